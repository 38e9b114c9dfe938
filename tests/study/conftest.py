"""A small simulated survey, and the real studies beside the project (skipped where they are not)."""

from pathlib import Path
from types import SimpleNamespace

import biom
import numpy as np
import pytest

STUDIES = Path(__file__).parents[3] / "shared" / "data"
STUDY_NAMES = (
    "ecam-infant-age",
    "ibd-crohns-families",
    "soil88-ph",
    "moving-pictures-bodysite",
    "oral-saliva-ph",
)


def random_newick(tips, rng):
    """A random rooted tree; a node in five takes a third child."""
    nodes = [f"{tip}:{rng.exponential():.6f}" for tip in tips]
    while len(nodes) > 1:
        rng.shuffle(nodes)
        children = 3 if len(nodes) > 2 and rng.random() < 0.2 else 2
        nodes = [*nodes[children:], f"({','.join(nodes[:children])}):{rng.exponential():.6f}"]
    return nodes[0].rsplit(":", 1)[0] + ";"


@pytest.fixture
def survey(tmp_path):
    """13 samples of 40 features whose IDs are sequences of 30 nt, and a tree of them."""
    rng = np.random.default_rng(0)
    features = ["".join(rng.choice(list("ACGT"), 30)) for _ in range(40)]
    counts = rng.poisson(6, (40, 13)) * (rng.random((40, 13)) < 0.3)
    counts[0] += 1
    counts[counts.sum(axis=1) == 0, 0] = 1
    tree = tmp_path / "tree.nwk"
    tree.write_text(random_newick(features, rng))
    return SimpleNamespace(
        table=biom.Table(counts, features, [f"s{i}" for i in range(13)]),
        counts=counts.T,
        features=features,
        newick=tree.read_text(),
        tree=tree,
    )


@pytest.fixture(scope="session")
def study():
    """Function from a study's name to its table and the paths of its files."""

    def load(name):
        folder = STUDIES / name
        if not folder.exists():
            pytest.skip(f"the study {name} is not there")
        return SimpleNamespace(
            table=biom.load_table(str(folder / "table.biom")),
            fasta=folder / "sequences.fasta",
            tree=folder / "tree.nwk",
        )

    return load
