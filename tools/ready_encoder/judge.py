"""Distances that an encoder predicts among samples of surveys that it has not read, beside exact UniFrac.

    python tools/ready_encoder/judge.py ENCODER --trees FOLDER

By default those of the evaluation studies; with `--surveys` those that `make.py --without` has left out.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from corpus import DATA, folders, survey

from q2_aam.encoder.encoder import Encoder
from q2_aam.study.study import Study

EVALUATION = (
    "ecam-infant-age", "ibd-crohns-families", "soil88-ph", "colombia-gut-250", "pancreatitis-gut",
    "nasopharynx-children", "horse-feces-colitis", "spacecraft-cleanroom", "chronic-fatigue-gut",
)  # fmt: skip


def judge(encoder: Encoder, study: Study) -> dict:
    """r and RMSE of the distances among a study's samples."""
    pairs = np.triu_indices(len(study), 1)
    true = study.unifrac(encoder.metric_for("auto"))(np.arange(len(study)))[pairs]
    placed = encoder.embed(study)
    off = (predicted := placed.distances()[pairs]) - true
    weighted = study.unifrac("weighted_normalized")(np.arange(len(study)))[pairs]
    return {
        "samples": len(study),
        "ASVs": len(study.communities.tokens),
        "new ASVs": f"{encoder.new_asvs(study.communities).mean():.0%}",
        "r": f"{np.corrcoef(predicted, true)[0, 1]:.3f}",
        "RMSE": f"{np.sqrt(np.mean(off**2)):.3f}",
        "mean difference": f"{off.mean():+.3f}",
        "weighted r": f"{np.corrcoef(placed.weighted_distances()[pairs], weighted)[0, 1]:.3f}",
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("--surveys", nargs="+", help="surveys of the corpus, instead of the evaluation studies")
    parser.add_argument("--samples", type=int, default=150, help="at most, of a study")
    parser.add_argument("--trees", type=Path, required=True, help="folder where trees that are made stay")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    encoder, known = Encoder.load(given.encoder), folders()
    rows = []
    for name in given.surveys or EVALUATION:
        study = survey(known.get(name, DATA / name), given.trees, given.samples, 0, given.threads)
        rows.append({"study": name, **judge(encoder, study)})
        print(rows[-1], flush=True)
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
