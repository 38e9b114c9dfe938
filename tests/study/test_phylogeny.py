import bp
import numpy as np
import pytest

from q2_aam.study.phylogeny import Phylogeny, read_phylogeny, tip_names
from tests.study.conftest import random_newick


def write(folder, newick):
    path = folder / "written.nwk"
    path.write_text(newick, encoding="utf-8")
    return path


def assert_same(tree, other):
    """Two trees of the bp library are the same."""
    (_, given), (_, expected) = tree.__reduce__(), other.__reduce__()
    np.testing.assert_array_equal(given[0], expected[0])
    np.testing.assert_allclose(given[1], expected[1], rtol=1e-14)
    np.testing.assert_array_equal(given[2], expected[2])


@pytest.fixture(params=range(20))
def tree(request):
    """A random tree of 2 to 40 tips and its library's own."""
    rng = np.random.default_rng(request.param)
    tips = [f"t{i}" for i in range(2 + 2 * request.param)]
    library = bp.parse_newick(random_newick(tips, rng))
    return Phylogeny.from_bp(library), library, rng.permutation(tips), rng


def test_the_librarys_tree_comes_back_as_it_was(tree):
    ours, library, tips, _ = tree
    assert_same(ours.to_bp(), library)
    assert sorted(tip_names(ours)) == sorted(tips)
    assert ours.sizes[0] == len(ours) == len(library)


def test_cutting_is_what_the_library_does(tree):
    ours, library, tips, rng = tree
    for count in (1, 2, len(tips) // 2 + 1, len(tips)):
        chosen = rng.choice(tips, count, replace=False)
        cut = ours.cut(ours.nodes_of(chosen))
        assert_same(cut.to_bp(), library.shear(set(chosen)).collapse())
        some = rng.choice(chosen, (count + 1) // 2, replace=False)
        assert_same(cut.cut(cut.nodes_of(some)).to_bp(), library.shear(set(some)).collapse())


def test_a_cut_tree_keeps_the_way_to_the_root():
    tree = Phylogeny.from_bp(bp.parse_newick("((((a:1,b:2)x:4,c:8)y:16)z:32,d:64)r:128;"))
    cut = tree.cut(tree.nodes_of(["b", "c"]))
    assert cut.names.tolist() == ["r", "y", "b", "c"]
    assert cut.lengths.tolist() == [128, 48, 6, 8]
    assert cut.sizes.tolist() == [4, 3, 1, 1]
    assert tree.cut(tree.nodes_of(["a"])).lengths.tolist() == [128, 53]


def test_names_that_are_no_tips_are_nowhere():
    tree = Phylogeny.from_bp(bp.parse_newick("((a:1,b:2)x:4,:8,c:1);"))
    nodes = tree.nodes_of(["c", "x", "a", "nobody"])
    assert tree.names[nodes[[0, 2]]].tolist() == ["c", "a"]
    assert nodes[1] == nodes[3] == -1
    assert tip_names(tree) == ["a", "b", "c"]


@pytest.mark.parametrize("comb", [True, False])
def test_a_large_tree_needs_few_steps(comb):
    """A comb is as deep as a tree can be; 20,000 tips, cut in a moment."""
    n = 20_000
    if comb:
        sizes = np.ones(2 * n - 1, dtype=np.int64)
        sizes[:-1:2] = np.arange(2 * n - 1, 1, -2)
    else:
        sizes = np.ones(n + 1, dtype=np.int64)
        sizes[0] = n + 1
    names = np.full(len(sizes), None, dtype=object)
    tips = np.flatnonzero(sizes == 1)
    names[tips] = [f"t{i}" for i in range(n)]
    tree = Phylogeny(sizes, np.ones(len(sizes)), names)
    assert_same(Phylogeny.from_bp(tree.to_bp()).to_bp(), tree.to_bp())
    cut = tree.cut(tips[[5, 700, 15_000]])
    assert cut.names[cut.tips()].tolist() == ["t5", "t700", "t15000"]
    if comb:  # a tip hangs from each of n - 1 nodes in a row, of which the first is the root
        assert cut.lengths.tolist() == [1, 5, 1, 695, 1, 14301]
    else:
        assert cut.lengths.tolist() == [1, 1, 1, 1]


def test_quoted_names_and_underscores_are_read(tmp_path):
    tree = read_phylogeny(write(tmp_path, "('a_b':1,(c_d:2,'e f':1)0.93:1)root;\n"))
    assert tip_names(tree) == ["a_b", "c_d", "e f"]


@pytest.mark.parametrize(
    "newick",
    [
        "[&R] ((a:1,b:2):1,(c:1,d:2):1);",
        "((a[a comment]:1,b:2[&&NHX:S=x]):1[0.9],(c:1,d:2)[;(:]:1);",
        "\ufeff((a:1,\nb:2):1,\n( c:1, d:2):1)root:0.5;",
        "((a:1{0},b:2{1}):1{2},(c:1{3},d:2{4}):1{5});",
        "((a:1e0,b:2E+0)0.95:1.,('c':1,'d':+2)100:1);",
    ],
)
def test_one_tree_in_many_ways_of_writing(tmp_path, newick, capfd):
    tree = read_phylogeny(write(tmp_path, newick))
    assert tip_names(tree) == list("abcd")
    assert tree.lengths[1:].tolist() == [1, 1, 2, 1, 1, 2]
    # Its reader prints what it passes over.
    assert capfd.readouterr() == ("", "")


def test_names_in_quotes_may_hold_anything(tmp_path):
    tree = read_phylogeny(write(tmp_path, "(('a;b':1,'it''s (one):[x]':2):1,'c,d':1);"))
    assert tip_names(tree) == ["a;b", "it's (one):[x]", "c,d"]


@pytest.mark.parametrize(
    ("newick", "message"),
    [
        ("((a:1,b:1):1,a:1,b:2,c:1);", "has more than one tip of the same name: a, b. Keep one tip of each."),
        ("((a:1,b:1);", "cannot be read as a Newick tree: its parentheses do not match."),
        ("", "cannot be read as a Newick tree: it is empty."),
        (
            "(a:1,b:1)",
            "cannot be read as a Newick tree: Newick does not appear terminated with a semicolon.",
        ),
        ("(a:1,b:2);\n(c:1,d:2);", "cannot be read as a Newick tree: it holds 2 trees; keep one."),
        (
            "#NEXUS\nbegin trees;\ntree t=(a:1,b:2);\nend;",
            "cannot be read as a Newick tree: it is a NEXUS file; write the tree as Newick.",
        ),
        ("((a:x,b:2):1,c:1);", "cannot be read as a Newick tree: 1 lengths are no numbers: 'x'."),
        ("((a:,b:2):1,c:1);", "cannot be read as a Newick tree: 1 lengths are no numbers: ''."),
        ("((a:1,b):1,(c:1,d):1);", "cannot be read as a Newick tree: 2 of its 6 branches have no length."),
        ("((a:1,b):1,c:1):0;", "cannot be read as a Newick tree: 1 of its 4 branches have no length."),
        ("(D'Arcy:1,b:1);", "cannot be read as a Newick tree: a name has an apostrophe that is not in quotes."),
    ],
)
def test_unreadable_trees_are_refused(tmp_path, newick, message):
    path = write(tmp_path, newick)
    with pytest.raises(ValueError) as error:
        read_phylogeny(path)
    assert str(error.value) == f"{path} {message}"
