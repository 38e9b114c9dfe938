"""Trees: read right, or refused; in `pretrain`."""

from pathlib import Path

import pytest

from .inputs import GoesOn, outcome

CASES = {
    "a tree": (
        lambda g: g.pretrain(),
        GoesOn(),
    ),
    "comments and a rooting sign": (
        lambda g: g.pretrain(
            phylogeny=g.newick("[&R] " + Path(str(g.tree())).read_text().replace(",f02", "[a (comment),],f02"))
        ),
        GoesOn(),
    ),
    "names in quotes": (
        lambda g: g.pretrain(phylogeny=g.tree(lambda name: f"'{name}'")),
        GoesOn(),
    ),
    "names in double quotes": (
        lambda g: g.pretrain(phylogeny=g.tree(lambda name: f'"{name}"')),
        "40 of 40 features are no tips of the phylogeny: f01, f02, f03, f04, f05, ... (40 in all). None of them is "
        'there, but "f01", "f02", "f03", "f04", "f05", ... (40 in all). They are there in another spelling: '
        "'f01' is '\"f01\"' in the phylogeny. Name them alike.",
    ),
    "names with a prefix": (
        lambda g: g.pretrain(phylogeny=g.tree(lambda name: f"run1_{name}")),
        "40 of 40 features are no tips of the phylogeny: f01, f02, f03, f04, f05, ... (40 in all). None of them is "
        "there, but run1_f01, run1_f02, run1_f03, run1_f04, run1_f05, ... (40 in all). Those in the phylogeny have "
        "'run1_' before the same names. Name them alike.",
    ),
    "names in capitals": (
        lambda g: g.pretrain(phylogeny=g.tree(str.upper)),
        "40 of 40 features are no tips of the phylogeny: f01, f02, f03, f04, f05, ... (40 in all). None of them is "
        "there, but F01, F02, F03, F04, F05, ... (40 in all). They are there in another spelling: 'f01' is 'F01' in "
        "the phylogeny. Name them alike.",
    ),
    "empty names": (
        lambda g: g.pretrain(phylogeny=g.tree(lambda name: "")),
        "40 of 40 features are no tips of the phylogeny: f01, f02, f03, f04, f05, ... (40 in all). Give the phylogeny "
        "that was made for this table.",
    ),
    "two names lack": (
        lambda g: g.pretrain(phylogeny=g.tree(lambda name: "" if name in ("f01", "f02") else name)),
        "2 of 40 features are no tips of the phylogeny: f01, f02. Give the phylogeny that was made for this table, or "
        "set missing_features to 'ignore' to leave these features out.",
    ),
    "two tips of the same name": (
        lambda g: g.pretrain(phylogeny=g.tree(lambda name: "f03" if name == "f02" else name)),
        "The artifact given as phylogeny has more than one tip of the same name: f03. Keep one tip of each.",
    ),
    "a tree of other features": (
        lambda g: g.pretrain(phylogeny=g.newick("((a:1,b:1):1,c:1);")),
        "40 of 40 features are no tips of the phylogeny: f01, f02, f03, f04, f05, ... (40 in all). None of them is "
        "there, but a, b, c. Give the phylogeny that was made for this table.",
    ),
    "no lengths": (
        lambda g: g.pretrain(phylogeny=g.tree(length="")),
        "The phylogeny has no branch lengths. Give one that has: UniFrac sums them up.",
    ),
    "lengths of 0": (
        lambda g: g.pretrain(phylogeny=g.tree(length=":0")),
        "The phylogeny has no branch lengths. Give one that has: UniFrac sums them up.",
    ),
    "negative lengths": (
        lambda g: g.pretrain(phylogeny=g.tree(length=":-1")),
        "50 branches of the phylogeny have a length that is negative or not finite: an inner node, f01, f02, f03, "
        "f04, ... (50 in all). Give a phylogeny with lengths of at least 0.",
    ),
    "lengths that are not numbers": (
        lambda g: g.pretrain(phylogeny=g.tree(length=":nan")),
        "50 branches of the phylogeny have a length that is negative or not finite: an inner node, f01, f02, f03, "
        "f04, ... (50 in all). Give a phylogeny with lengths of at least 0.",
    ),
    "words for lengths": (
        lambda g: g.pretrain(phylogeny=g.tree(length=":long")),
        "The artifact given as phylogeny cannot be read as a Newick tree: 50 lengths are no numbers: 'long', 'long', "
        "'long', 'long', 'long', ... (50 in all).",
    ),
    "one length lacks": (
        lambda g: g.pretrain(phylogeny=g.newick(Path(str(g.tree())).read_text().replace("f01:1", "f01"))),
        "The artifact given as phylogeny cannot be read as a Newick tree: 1 of its 50 branches have no length.",
    ),
    "two trees": (
        lambda g: g.pretrain(phylogeny=g.newick(Path(str(g.tree())).read_text() * 2)),
        "The artifact given as phylogeny cannot be read as a Newick tree: it holds 2 trees; keep one.",
    ),
    "an empty file": (
        lambda g: g.pretrain(phylogeny=g.newick("")),
        "The artifact given as phylogeny cannot be read as a Newick tree: it is empty.",
    ),
    "a NEXUS file": (
        lambda g: g.pretrain(phylogeny=g.newick("#NEXUS\nbegin trees;\ntree t=(a:1,b:2);\nend;")),
        "The artifact given as phylogeny cannot be read as a Newick tree: it is a NEXUS file; write the tree as "
        "Newick.",
    ),
    "a parenthesis too few": (
        lambda g: g.pretrain(phylogeny=g.newick("((f01:1,f02:1);")),
        "The artifact given as phylogeny cannot be read as a Newick tree: its parentheses do not match.",
    ),
    "no semicolon": (
        lambda g: g.pretrain(phylogeny=g.newick("(f01:1,f02:1)")),
        "The artifact given as phylogeny cannot be read as a Newick tree: Newick does not appear terminated with a "
        "semicolon.",
    ),
    "an apostrophe": (
        lambda g: g.pretrain(phylogeny=g.newick("(D'Arcy:1,f02:1);")),
        "The artifact given as phylogeny cannot be read as a Newick tree: a name has an apostrophe that is not in "
        "quotes.",
    ),
    "a tree of other features, in explain": (
        lambda g: g.explain(phylogeny=g.newick("((a:1,b:1):1,c:1);")),
        "None of the table's features is a tip of the phylogeny. The features are called f01, f02, f03, f04, f05, ... "
        "(40 in all), the tips a, b, c. Give the phylogeny of these features.",
    ),
    "no lengths, in fine-tune": (
        lambda g: g.fine_tune(phylogeny=g.tree(length="")),
        "The phylogeny has no branch lengths. Give one that has: UniFrac sums them up.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_trees(given, case):
    call, expected = CASES[case]
    assert outcome(given, call) == expected
