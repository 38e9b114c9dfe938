"""The files that a run leaves in its directory: written whole, and read as what may be damaged or a stranger's."""

from pathlib import Path

from lightning.pytorch.plugins.io import TorchCheckpointIO

from q2_aam.encoder.files import WEIGHTS, read_tensors, write_atomically

# What a killed run goes on from.
LAST_STATE = "last.ckpt"
# What a run leaves to look at.
OUTPUTS = (WEIGHTS, "history.tsv", "plots/epoch-[0-9]*.png", "events/events.out.tfevents.*", "events/hparams.yaml")
# Some of what Lightning writes, and asks for without saying which file lacks it.
STATE_PARTS = {"pytorch-lightning_version", "state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks"}


def begin_anew(path: Path) -> str:
    """What to do about a file of a run that is damaged."""
    return f"Delete {path.parent} to begin anew, or give another run_dir."


def read_saved(path: Path) -> dict:
    """The best model or the last state of a run; nothing in it is ever executed.

    Raises
    ------
    ValueError
        If it is not there, is cut short or is something else.
    """
    try:
        return read_tensors(path)
    except FileNotFoundError as error:
        raise ValueError(f"{path} is not there, without which the run cannot go on. {begin_anew(path)}") from error
    except ValueError as error:
        said = "is damaged, or holds something other than weights; it was not loaded."
        raise ValueError(f"{path} {said} {begin_anew(path)}") from error


def clear(directory: Path) -> None:
    """Remove what another run has left that would pass for this one's."""
    for pattern in OUTPUTS:
        for path in directory.glob(pattern):
            # Another node may have been quicker, on a file system that they share.
            path.unlink(missing_ok=True)


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a last state beside the old one, then puts it in its place.

    Lightning's own way is by the system's directory for temporary files; where that is another disk, the move from it
    is a copy, and a run that is killed meanwhile has no state to go on from.
    """

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        write_atomically(checkpoint, path)

    def load_checkpoint(self, path, map_location=None, weights_only=None) -> dict:
        state = read_saved(Path(path))
        if not (isinstance(state, dict) and STATE_PARTS <= state.keys()):
            raise ValueError(f"{path} is no last state of a run. {begin_anew(Path(path))}")
        return state
