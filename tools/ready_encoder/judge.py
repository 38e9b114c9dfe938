"""Distances that an encoder predicts among samples of surveys that it has not read, beside exact UniFrac.

    python tools/ready_encoder/judge.py ENCODER --trees FOLDER

By default those of the evaluation studies; with `--surveys` those that `make.py --without` has left out. Where a study
has a tree of its source, by a tree of mafft and FastTree, too, and how alike exact distances by both are.
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


def judge(encoder: Encoder, study: Study, other_tree: Study | None = None) -> dict:
    """r and RMSE of the distances among a study's samples; and of exact ones by another tree of the same samples."""
    pairs = np.triu_indices(len(study), 1)
    placed = encoder.embed(study)
    facts = {
        "samples": len(study),
        "ASVs": len(study.communities.tokens),
        "new ASVs": f"{encoder.new_asvs(study.communities).mean():.0%}",
    }
    for metric, distances in (("unweighted", placed.distances()), ("weighted_normalized", placed.weighted_distances())):
        true = study.unifrac(metric)(np.arange(len(study)))[pairs]
        facts |= compared(metric.split("_")[0], distances[pairs], true)
        if other_tree is not None:
            other = other_tree.unifrac(metric)(np.arange(len(study)))[pairs]
            facts[f"{metric.split('_')[0]} r of two trees"] = f"{np.corrcoef(other, true)[0, 1]:.3f}"
    return facts


def compared(name: str, predicted: np.ndarray, true: np.ndarray) -> dict:
    """How predicted distances differ from true ones."""
    return {
        f"{name} r": f"{np.corrcoef(predicted, true)[0, 1]:.3f}",
        f"{name} RMSE": f"{np.sqrt(np.mean((predicted - true) ** 2)):.3f}",
        f"{name} difference": f"{(predicted - true).mean():+.3f}",
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
        folder = known.get(name, DATA / name)
        common = folder, given.trees, given.samples, 0, given.threads
        tree, other = ("mafft, FastTree", None)
        if (folder / "tree.nwk").exists():
            tree, other = ("its source's", survey(*common, source_tree=False))
        rows.append({"study": name, "tree": tree, **judge(encoder, survey(*common), other)})
        if other is not None:
            rows.append({"study": name, "tree": "mafft, FastTree", **judge(encoder, other)})
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
