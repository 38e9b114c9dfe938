"""What leaves together: clades of a tree, which of them are kept, and the encoder's own clusters."""

from types import SimpleNamespace

import bp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from q2_aam.encoder.encoder import Encoder
from q2_aam.explain import clades_of, cluster_asvs, clusters, occlude
from q2_aam.explain.groups import Departures, Groups, groups_of
from q2_aam.explain.trust import _shared
from q2_aam.predictor import Predictor
from q2_aam.settings import Explaining, Fitting
from q2_aam.simulation.planted import plant
from q2_aam.simulation.study import simulate_study
from q2_aam.study.phylogeny import Phylogeny, read_phylogeny
from q2_aam.study.study import read_study

from ..tiny_predictors import few_trees

QUIET = Explaining(threads=1, foreign="ignore")


def tree_of(text):
    return Phylogeny.from_bp(bp.parse_newick(text))


@pytest.fixture
def study():
    """Ten ASVs called f0 to f9; the last one is called g, too."""
    names = pd.Series([*range(10), 9], [*(f"f{n}" for n in range(10)), "g"])
    return SimpleNamespace(asv_of_feature=names, communities=SimpleNamespace(tokens=np.zeros((10, 60))))


def sets_of(groups):
    return {name: set(row.indices) for name, row in zip(groups.names, groups.members, strict=True)}


@pytest.mark.parametrize("asvs, largest", [(4, 2), (10, 5), (40, 5), (60, 6), (100, 10)])
def test_clades_of_at_most_a_tenth_of_the_asvs_leave(asvs, largest):
    ladder = "f0:1"
    for n in range(1, asvs):
        ladder = f"({ladder},f{n}:1):1"
    names = pd.Series(range(asvs), [f"f{n}" for n in range(asvs)])
    study = SimpleNamespace(asv_of_feature=names, communities=SimpleNamespace(tokens=np.zeros((asvs, 60))))
    sizes = groups_of(study, tree_of(ladder + ";")).sizes
    assert sorted(sizes[sizes > 1]) == list(range(2, largest + 1)) and (sizes == 1).sum() == asvs


def test_clades_of_a_tree_leave_and_what_is_no_tip_leaves_alone(study):
    tree = tree_of("((f0:1,(f1:1,f2:1)0.9:1)0.9:1,((f3:1,f4:1):1,(f5:1,f6:1,other:1):1):1,(f7:1,(f8:1,g:1):1):1);")
    groups = groups_of(study, tree)
    found = sets_of(groups)
    clades = [members for name, members in found.items() if name.startswith("clade-")]
    assert sorted(map(sorted, clades)) == [[0, 1, 2], [1, 2], [3, 4], [3, 4, 5, 6], [5, 6], [7, 8]]
    assert {name: members for name, members in found.items() if name.startswith("f")} == {
        f"f{n}": {n} for n in range(10)
    }
    around = {name: None if up < 0 else groups.names[up] for name, up in zip(groups.names, groups.parents, strict=True)}
    assert all(found[name] < found[up] for name, up in around.items() if up is not None)
    assert {name for name, up in around.items() if up is None and name.startswith("f")} == {"f9"}
    # A name says the same in a tree that was cut before.
    cut = clades_of(study, tree)
    again = groups_of(study, cut)
    assert list(again.names) == list(groups.names) and set(cut.names) >= set(groups.names) - {"f9"}


def test_a_tree_of_other_features_is_refused(study):
    with pytest.raises(ValueError, match="None of the table's features is a tip of the phylogeny. The features are"):
        groups_of(study, tree_of("(a:1,b:1);"))


def test_some_of_the_clades_know_the_clade_around_them(study):
    tree = "(((f0:1,f1:1):1,f2:1):1,(f3:1,f4:1):1,(f5:1,(f6:1,(f7:1,(f8:1,f9:1):1):1):1):1);"
    groups = groups_of(study, tree_of(tree))
    names = list(groups.names)
    inner = next(name for name, members in sets_of(groups).items() if members == {0, 1})
    outer = next(name for name, members in sets_of(groups).items() if members == {0, 1, 2})
    chosen = np.sort([names.index(name) for name in (outer, "f0", "f3")])
    part = groups.subset(chosen)
    around = dict(zip(part.names, part.parents, strict=True))
    assert part.names[around["f0"]] == outer and around["f3"] == around[outer] == -1
    assert inner not in part.names


# A clade (0) of a clade (1) of two ASVs (2, 3), and of an ASV (4).
NESTED = Groups(
    np.array(["all", "two", "a", "b", "c"], dtype=object),
    sp.csr_matrix(np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=bool)),
    np.array([-1, 0, 1, 1, 0]),
)


@pytest.mark.parametrize(
    "importance, same_way, kept",
    [
        ([3, 2, 1, 1, 1], 1, ["all"]),  # they add up
        ([3, 2, 1, 1, 0.2], 1, ["all"]),  # all does more than its parts
        ([2.2, 2, 1, 1, 0.2], 1, ["two", "c"]),  # a part does most of it
        ([1.5, 2, 1, 1, 1], 1, ["two", "c"]),  # parts work against each other
        ([1.5, 1, 1, 1, 1], 1, ["a", "b", "c"]),
        ([3, 1, 1, 1, 0], 1, ["all"]),  # nothing is known of one
        ([3, 2, 1, 1, 1], 0.5, ["a", "b", "c"]),  # now the one, now the other way
        ([0, 0, 0, 1, 0], 1, ["b"]),
    ],
)
def test_the_clades_that_say_most_with_the_fewest_names(importance, same_way, kept):
    found = NESTED.cut(np.array(importance, dtype=float), np.full(5, same_way))
    assert list(NESTED.names[found]) == kept
    part = NESTED.subset(found)
    assert (part.parents == -1).all()
    assert list(part.names[part.cut(np.array(importance, dtype=float)[found], np.zeros(len(found)))]) == kept


def test_what_is_the_same_in_a_sample_is_read_once():
    departures = Departures(NESTED)
    leaving = departures.of(np.array([0, 2]))
    # Without b the two are the same as a, and all is the whole sample.
    assert list(NESTED.names[leaving.groups]) == ["all", "two", "a", "c"]
    assert len(leaving.stays) == 3 and leaving.sets[1] == leaving.sets[2]
    left = dict(zip("all two a c".split(), leaving.stays[leaving.sets].tolist(), strict=True))
    assert left == {"all": [False, False], "two": [False, True], "a": [False, True], "c": [True, False]}
    counts = sp.csr_matrix(np.array([[5, 0, 2], [1, 1, 1], [0, 0, 3]]))
    assert departures.counts(counts).tolist() == [3, 5, 1]
    assert len(Departures(NESTED.subset(np.array([2]))).of(np.array([1])).groups) == 0


def test_clades_leave_as_a_table_without_them_says():
    study = simulate_study(24, 40, 60, target="ph", with_phylogeny=True)
    with few_trees():
        predictor = Predictor.fit(Encoder.ready(), study, Fitting(threads=1, foreign="ignore", head="kernel"))
    effects = occlude(predictor, study, study.phylogeny, QUIET)
    alone = occlude(predictor, study, settings=QUIET).table()
    table = effects.table()
    np.testing.assert_allclose(table.loc[alone.index, "importance"], alone["importance"], atol=1e-5)
    assert (table["asvs"] == pd.Series(effects.groups.sizes, effects.names)[table.index]).all()
    asvs, clade = study.asv_of_feature, next(n for n in table.index if n.startswith("clade-"))
    gone = asvs.index[asvs.isin(effects.groups.members[list(effects.names).index(clade)].indices)]
    named = occlude(predictor, study, pd.Series(clade, gone, name="g"), QUIET).table()
    np.testing.assert_allclose(named["importance"][clade], table["importance"][clade], atol=1e-5)
    cut = effects.cut()
    members = cut.members()
    assert set(members.index) <= set(asvs.index) and set(members) == set(cut.names)
    assert (members.value_counts()[cut.names].to_numpy() == cut.groups.sizes).all()
    assert cut.cut().names.tolist() == cut.names.tolist()


def test_planted_clades_are_found(tmp_path):
    planted = plant(100, 100, 100, random_seed=2)
    planted.survey.tree.write(str(tmp_path / "tree.nwk"), format="newick")
    survey = planted.survey
    study = read_study(
        survey.table, survey.sequences, metadata=survey.metadata, target="y", phylogeny=tmp_path / "tree.nwk"
    )
    predictor = Predictor.fit(Encoder.ready(), study, Fitting(threads=1, foreign="ignore", head="kernel"))
    effects = occlude(predictor, study, study.phylogeny, QUIET).cut()
    table, members = effects.table(), effects.members()
    ranks = table["importance"].rank(ascending=False)
    assert members[planted.up] == planted.up or table["asvs"][members[planted.up]] <= 3
    # In the top tenth: others come with them, as communities follow gradients.
    top = len(table) / 10
    assert max(ranks[members[planted.up]], ranks[members[planted.down]]) <= top
    assert table["effect"][members[planted.up]] > 0 > table["effect"][members[planted.down]]
    held = [name for name in planted.clade if name in members.index]
    [clade] = set(members[held])
    assert ranks[clade] <= top and table["effect"][clade] > 0
    assert table["asvs"][clade] <= 2 * len(held)


def test_alike_asvs_are_joined_first():
    study = simulate_study(12, 30, 100)
    tree = cluster_asvs(Encoder.ready(), study, QUIET)
    assert sorted(tree.names[tree.tips()]) == sorted(study.asv_of_feature.index)
    assert (tree.lengths >= -1e-9).all() and tree.sizes[0] == len(tree) == 2 * len(study.asv_of_feature) - 1
    vectors = Encoder.ready().embed_asvs(study, QUIET)
    vectors = vectors / vectors.std(0)
    apart = ((vectors[:, None] - vectors[None]) ** 2).sum(2)
    np.fill_diagonal(apart, np.inf)
    nearest = np.unravel_index(apart.argmin(), apart.shape)
    names = pd.Series(study.asv_of_feature.index, study.asv_of_feature)
    first, second = sorted(tree.nodes_of([names[n] for n in nearest]))
    assert second == first + 1 and tree.sizes[first - 1] == 3


def test_of_very_many_asvs_the_most_widespread_are_joined(monkeypatch):
    study = simulate_study(12, 30, 100)
    monkeypatch.setattr(clusters, "MOST_CLUSTERED", 5)
    tree = cluster_asvs(Encoder.ready(), study, QUIET)
    held = pd.Series((study.communities.counts > 0).sum(0).A1[study.asv_of_feature], study.asv_of_feature.index)
    inside = held[tree.names[tree.tips()]]
    assert len(inside) == 5 and inside.min() >= held.drop(inside.index).max()
    monkeypatch.setattr(clusters, "MOST_CLUSTERED", 1)
    assert len(cluster_asvs(Encoder.ready(), study, QUIET)) == 1


def test_clades_of_two_folds_are_the_same_where_more_than_half_is():
    one = sp.csr_matrix(np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0]]))
    assert _shared(one, one) == 2 / 20
    assert _shared(one, sp.csr_matrix(np.array([[1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0]]))) == 1 / 20
    assert _shared(one, sp.csr_matrix(np.array([[0, 0, 0, 0, 1, 1], [1, 0, 0, 0, 0, 0]]))) == 0


def test_a_written_tree_is_read_again(tmp_path):
    tree = tree_of("((a:1,b:2)x:.5,(c:1,(d:1,e:2)y:1)z:3,f:1)r;")
    names = tree.names.copy()
    names[[2, 3]] = ["it's a", "(b), c_d:"]
    tree = Phylogeny(tree.sizes, tree.lengths, names)
    (tmp_path / "tree.nwk").write_text(tree.to_newick())
    again = read_phylogeny(tmp_path / "tree.nwk")
    assert list(again.names) == list(names) and (again.sizes == tree.sizes).all()
    np.testing.assert_allclose(again.lengths, tree.lengths)
