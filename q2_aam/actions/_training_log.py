"""What of a training run goes into a training log artifact."""

import json
import shutil
from pathlib import Path


def training_log(result, action: str, target: str | None = None):
    """A run's history, event files and plots as an artifact's directory."""
    from q2_aam.types import AAMTrainingLogDirectoryFormat

    log = AAMTrainingLogDirectoryFormat()
    directory = Path(str(log))
    shutil.copy(result.directory / "history.tsv", directory / "history.tsv")
    for folder, pattern in (("events", "events.out.tfevents.*"), ("plots", "epoch-*.png")):
        paths = sorted((result.directory / folder).glob(pattern))
        if paths:
            (directory / folder).mkdir()
        for path in paths:
            shutil.copy(path, directory / folder / path.name)
    summary = {
        "schema_version": 1,
        "action": action,
        "monitor": result.monitor,
        "mode": result.mode,
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "stopped": result.stopped,
        "target": target,
    }
    (directory / "log.json").write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
    return log
