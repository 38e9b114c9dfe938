"""What folds of samples, rather than of whole groups, make of a score; and how well a sample tells its owner.

The infants of ecam: how each was born, by a random forest with balanced classes, in five folds; the same with the
infants' labels exchanged by chance, so that there is nothing to learn. And how often the nearest other sample, by the
ASVs that are shared (Jaccard), is one of the same infant.

    python benchmarks/leaks.py --exchanges 5
"""

import argparse

import numpy as np
from skill import DATA, STUDIES, Study
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from q2_aam.evaluation.forests import square_root_shares
from q2_aam.evaluation.kernel_baselines import jaccard_distances

FOLDS = {"samples": StratifiedKFold, "whole infants": StratifiedGroupKFold}


def scores(roots, classes: np.ndarray, infants: np.ndarray, threads: int) -> dict[str, float]:
    """Balanced accuracy by folds of samples, and of whole infants."""
    found = {}
    for name, kind in FOLDS.items():
        predicted = np.empty(len(classes), dtype=object)
        for train, test in kind(5, shuffle=True, random_state=0).split(roots, classes, infants):
            forest = RandomForestClassifier(500, class_weight="balanced", n_jobs=threads, random_state=0)
            predicted[test] = forest.fit(roots[train], classes[train]).predict(roots[test])
        found[name] = balanced_accuracy_score(classes, predicted.astype(str))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    study = Study(DATA / "ecam-infant-age", *STUDIES["ecam-infant-age"])
    counts, infants = study.table.matrix_data.T.tocsr(), study.members().to_numpy()
    roots, classes = square_root_shares(counts).toarray(), study.frame["delivery"].to_numpy().astype(str)
    print("as they were born:", scores(roots, classes, infants, given.threads), flush=True)
    names, first = np.unique(infants, return_index=True)
    for seed in range(given.exchanges):
        exchanged = dict(zip(names, np.random.default_rng(seed).permutation(classes[first]), strict=True))
        labels = np.array([exchanged[name] for name in infants])
        print("exchanged:", scores(roots, labels, infants, given.threads), flush=True)
    distances = jaccard_distances(counts)
    np.fill_diagonal(distances, np.inf)
    same = infants[distances.argmin(axis=1)] == infants
    others = [(infants == name).sum() - 1 for name in infants]
    print(f"nearest of the same infant: {same.mean():.3f}, by chance {np.mean(others) / (len(infants) - 1):.3f}")


if __name__ == "__main__":
    main()
