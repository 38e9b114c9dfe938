import pickle
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import biom
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import skbio
from skbio.diversity.beta import unweighted_unifrac, weighted_unifrac

from q2_aam.settings import METRICS
from q2_aam.study.unifrac import UniFracDistances, match_tips, read_phylogeny, tip_names

WHOLE, PARTS = 2**28, 0  # matrix budgets of the two modes
NEWICK = "(((a:1,b:1):5,c:1):0.5,d:2);"


def table_of(counts, features):
    """Table of samples x features."""
    counts = np.array(counts, dtype=float).T
    return biom.Table(counts, features, [f"s{i}" for i in range(counts.shape[1])])


def write(folder, newick):
    path = folder / "written.nwk"
    path.write_text(newick)
    return path


def generalized_unifrac(u, v, features, tree, alpha=0.5):
    """Chen et al. 2012, branch by branch: scikit-bio has no such function."""
    shares_u, shares_v = (dict(zip(features, x / x.sum(), strict=True)) for x in (u, v))
    over = under = 0.0
    for node in tree.traverse(include_self=False):
        tips = [tip.name for tip in node.tips(include_self=True)]
        p, q = (sum(shares.get(tip, 0) for tip in tips) for shares in (shares_u, shares_v))
        if p + q:
            over += node.length * (p + q) ** alpha * abs(p - q) / (p + q)
            under += node.length * (p + q) ** alpha
    return over / under


def oracle(metric, counts, features, newick):
    """UniFrac matrix by scikit-bio."""
    tree = skbio.TreeNode.read([newick], convert_underscores=False)
    pair = {
        "unweighted": lambda u, v: unweighted_unifrac(u, v, features, tree),
        "weighted_normalized": lambda u, v: weighted_unifrac(u, v, features, tree, normalized=True),
        "generalized": lambda u, v: generalized_unifrac(u, v, features, tree),
    }[metric]
    matrix = np.zeros((len(counts), len(counts)))
    for i in range(len(counts)):
        for j in range(i):
            matrix[i, j] = matrix[j, i] = pair(counts[i], counts[j])
    return matrix


@pytest.mark.parametrize("budget", [WHOLE, PARTS])
@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_those_of_scikit_bio(survey, metric, budget):
    distances = UniFracDistances(survey.table, survey.tree, metric, matrix_budget=budget)
    given = distances(np.arange(13))
    assert given.dtype == np.float32 and given.shape == (13, 13)
    expected = oracle(metric, survey.counts, survey.features, survey.newick)
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)
    assert expected[np.triu_indices(13, 1)].min() > 0.05  # nothing trivial was compared


@pytest.mark.parametrize("budget", [WHOLE, PARTS])
def test_8_5_shuffled_batches_take_exactly_their_own_sub_matrix(survey, budget):
    """Requirement 8.5, in both modes, with an odd last batch."""
    expected = oracle("unweighted", survey.counts, survey.features, survey.newick)
    distances = UniFracDistances(survey.table, survey.tree, matrix_budget=budget)
    whole = UniFracDistances(survey.table, survey.tree)(np.arange(13))
    rng = np.random.default_rng(0)
    for _ in range(5):
        for batch in np.array_split(rng.permutation(13), [4, 8, 12]):
            given = distances(batch)
            np.testing.assert_allclose(given, expected[np.ix_(batch, batch)], atol=1e-6)
            np.testing.assert_allclose(given, whole[np.ix_(batch, batch)], rtol=2e-7, atol=0)


@pytest.mark.parametrize("budget", [WHOLE, PARTS])
@pytest.mark.parametrize("metric", METRICS)
def test_distances_of_sub_communities_are_those_of_scikit_bio(survey, metric, budget):
    """Pairs of features are an ASV each; the ASVs are left in or taken out, whatever is stored of them."""
    asv_of_feature = pd.Series(np.random.default_rng(1).permutation(40) // 2, index=survey.features)
    distances = UniFracDistances(
        survey.table, survey.tree, metric, matrix_budget=budget, asv_of_feature=asv_of_feature[::-1]
    )
    rows = np.array([4, 4, 4, 9, 0, 9])
    left = np.random.default_rng(2).random((6, 20)) < 0.6
    left[0] = True
    given = distances(rows, sp.csr_matrix(left.astype(np.float32)))
    counts = survey.counts[rows] * left[:, asv_of_feature.to_numpy()]
    assert (counts.sum(1) < survey.counts[rows].sum(1)).tolist() == [False] + 5 * [True]
    np.testing.assert_allclose(given, oracle(metric, counts, survey.features, survey.newick), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(distances(rows), distances(rows, sp.csr_matrix(np.ones((6, 20)))))


def test_sub_communities_without_any_branch_are_alike(tmp_path):
    """Of samples that all have branches: what is drawn of them must not stop the run."""
    table, path = table_of([[1, 0, 1], [0, 1, 1]], list("abc")), write(tmp_path, "((a:0,b:0):0,c:1);")
    distances = UniFracDistances(table, path, asv_of_feature=pd.Series([0, 1, 2], index=list("abc")))
    assert np.isfinite(distances([0, 1])).all()
    assert distances([0, 1], sp.csr_matrix([[1, 0, 0], [0, 1, 0]])).tolist() == [[0, 0], [0, 0]]


def test_whole_samples_among_sub_communities_must_have_distances(tmp_path):
    table, path = table_of([[1, 0, 0], [0, 1, 1]], list("abc")), write(tmp_path, "((a:0,b:0):0,c:1);")
    distances = UniFracDistances(table, path, asv_of_feature=pd.Series([0, 1, 2], index=list("abc")), matrix_budget=0)
    both = sp.csr_matrix([[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    with pytest.raises(ValueError, match="^UniFrac distances are not finite for 2 of 2 samples: s0, s0. Check"):
        distances([0, 1, 0], both)


@pytest.mark.parametrize("metric", METRICS)
def test_matrix_and_sub_table_give_the_same_numbers(survey, metric):
    whole = UniFracDistances(survey.table, survey.tree, metric, matrix_budget=WHOLE)
    parts = UniFracDistances(survey.table, survey.tree, metric, matrix_budget=PARTS)
    for rows in ([3, 1], [12, 0, 7, 5, 2], np.arange(13)[::-1], [6], []):
        # Two units of the last place of a float32.
        np.testing.assert_allclose(parts(rows), whole(rows), rtol=2e-7, atol=0)


def test_the_whole_matrix_is_computed_once_and_only_within_the_budget(survey):
    calls = []

    def counted(distances):
        ssu = distances._ssu
        distances._ssu = lambda table, *rest: calls.append(table.shape[1]) or ssu(table, *rest)
        return distances

    small = counted(UniFracDistances(survey.table, survey.tree, matrix_budget=13 * 13 * 4))
    assert calls == []
    small([1, 2]), small([3, 4, 5])
    assert calls == [13]
    large = counted(UniFracDistances(survey.table, survey.tree, matrix_budget=13 * 13 * 4 - 1))
    large([1, 2]), large([3, 4, 5])
    assert calls == [13, 2, 3]


@pytest.mark.parametrize("metric", METRICS)
def test_extra_tips_within_the_clade_change_nothing(survey, metric, tmp_path):
    bigger = survey.newick
    for i, feature in enumerate(survey.features[::3]):
        bigger = bigger.replace(f"{feature}:", f"({feature}:0,extra_{i}:0.7):")
    bigger = bigger.replace(";", "")[:-1] + ",(extra_a:1,extra_b:2):3);"
    assert bigger.count("extra") == 16
    rows = np.arange(13)
    for budget in (WHOLE, PARTS):
        np.testing.assert_allclose(
            UniFracDistances(survey.table, write(tmp_path, bigger), metric, matrix_budget=budget)(rows),
            UniFracDistances(survey.table, survey.tree, metric)(rows),
            rtol=2e-7,
        )


def test_samples_of_one_clade_still_share_the_way_to_the_root(tmp_path):
    """a and b differ by 2 of the 7.5 to the root; without their shared 5.5 the distance would be 1."""
    path = write(tmp_path, NEWICK)
    for features, extra in (("ab", []), ("abd", [0])):
        rows = [[1, 0, *extra], [0, 1, *extra], [1, 1, *[x + 1 for x in extra]]]
        for budget in (WHOLE, PARTS):
            distances = UniFracDistances(table_of(rows, list(features)), path, matrix_budget=budget)
            np.testing.assert_allclose(distances([0, 1])[0, 1], 2 / 7.5, rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_tips_beyond_the_clade_add_its_stem_as_scikit_bio_does(survey, metric, tmp_path):
    """The survey's tree hung on a stem of 3 beside another tip: all samples share the stem."""
    bigger = f"({survey.newick.strip()[:-1]}:3,beyond:1);"
    path, rows = write(tmp_path, bigger), np.arange(13)
    expected = oracle(metric, survey.counts, survey.features, bigger)
    for budget in (WHOLE, PARTS):
        given = UniFracDistances(survey.table, path, metric, matrix_budget=budget)(rows)
        np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)
    alone = UniFracDistances(survey.table, survey.tree, metric)(rows)
    assert (given < alone)[np.triu_indices(13, 1)].all()


def test_the_roots_own_length_is_in_no_distance(survey, tmp_path):
    """Not even where a batch lies in one child's clade."""
    path = write(tmp_path, NEWICK.replace(";", ":100;"))
    table = table_of([[1, 0, 0], [0, 1, 0], [0, 0, 1]], list("abd"))
    for budget in (WHOLE, PARTS):
        distances = UniFracDistances(table, path, matrix_budget=budget)
        np.testing.assert_allclose(distances([0, 1])[0, 1], 2 / 7.5, rtol=1e-6)


@pytest.mark.parametrize("budget", [WHOLE, PARTS])
def test_several_threads_get_the_same_distances(survey, budget):
    rng = np.random.default_rng(1)
    batches = [rng.choice(13, 5, replace=False) for _ in range(40)]
    expected = UniFracDistances(survey.table, survey.tree)(np.arange(13))
    distances = UniFracDistances(survey.table, survey.tree, matrix_budget=budget)
    inside = []

    def alone(*arguments, ssu=distances._ssu):
        inside.append(1)
        assert len(inside) == 1
        found = ssu(*arguments)
        inside.pop()
        return found

    distances._ssu = alone
    with ThreadPoolExecutor(4) as pool:
        for rows, given in zip(batches, pool.map(distances, batches), strict=True):
            np.testing.assert_allclose(given, expected[np.ix_(rows, rows)], rtol=2e-7)


@pytest.mark.parametrize("budget", [WHOLE, PARTS])
def test_it_can_be_sent_to_another_process(survey, budget):
    distances = UniFracDistances(survey.table, survey.tree, matrix_budget=budget)
    sent = pickle.loads(pickle.dumps(distances))
    np.testing.assert_array_equal(sent([3, 9, 1]), distances([3, 9, 1]))


def test_shuffled_table_gives_the_same_distances(survey):
    rng = np.random.default_rng(4)
    order = rng.permutation(13)
    shuffled = survey.table.sort_order(survey.table.ids()[order]).sort_order(
        rng.permutation(survey.features), axis="observation"
    )
    np.testing.assert_allclose(
        UniFracDistances(shuffled, survey.tree)(np.arange(13)),
        UniFracDistances(survey.table, survey.tree)(order),
        rtol=2e-7,
    )


def test_small_batches_are_defined(survey):
    for budget in (WHOLE, PARTS):
        distances = UniFracDistances(survey.table, survey.tree, matrix_budget=budget)
        np.testing.assert_array_equal(distances([4]), [[0]])
        assert distances([]).shape == (0, 0)
        twice = distances([4, 2, 4])
        assert twice[0, 2] == 0 and twice[0, 1] == twice[2, 1] == distances([4, 2])[0, 1] > 0
        assert len(distances) == 13 and list(distances.sample_ids) == list(survey.table.ids())


def test_threads_change_nothing(survey):
    rows = np.arange(13)
    np.testing.assert_array_equal(
        UniFracDistances(survey.table, survey.tree, "weighted_normalized", threads=2)(rows),
        UniFracDistances(survey.table, survey.tree, "weighted_normalized", threads=1)(rows),
    )


@pytest.mark.parametrize("budget", [WHOLE, PARTS])
def test_they_can_be_sent_to_another_process(survey, budget, monkeypatch):
    """With the matrix, where it has been computed: not to be computed again in each of them."""
    distances = UniFracDistances(survey.table, survey.tree, "generalized", threads=2, matrix_budget=budget)
    rows = np.array([3, 0, 7])
    expected = distances(rows)
    sent = pickle.loads(pickle.dumps(distances))
    if budget:
        monkeypatch.setattr(UniFracDistances, "_distances", None)
    assert np.array_equal(sent(rows), expected)
    assert sent.threads == 2 and list(sent.sample_ids) == list(distances.sample_ids)


@pytest.mark.parametrize(("budget", "cores"), [(WHOLE, 3), (PARTS, 1)])
def test_a_batch_takes_one_core_and_a_whole_matrix_those_there_are(survey, budget, cores):
    distances, limits = UniFracDistances(survey.table, survey.tree, threads=3, matrix_budget=budget), []

    def limit(limits, user_api, own=distances._pool.limit, seen=limits):
        seen.append((limits, user_api))
        return own(limits=1, user_api=user_api)

    distances._pool = SimpleNamespace(limit=limit)
    distances([3, 4])
    assert limits == [(cores, "openmp")]


def test_a_tree_read_before_serves_as_well(survey):
    tree = read_phylogeny(survey.tree)
    assert sorted(tip_names(tree)) == sorted(survey.features)
    np.testing.assert_array_equal(
        UniFracDistances(survey.table, tree)([0, 1]), UniFracDistances(survey.table, survey.tree)([0, 1])
    )


def test_features_that_are_no_tips_are_refused_by_name(tmp_path):
    table = table_of(np.ones((2, 8)), list("axyzbuvw"))
    with pytest.raises(ValueError) as error:
        UniFracDistances(table, write(tmp_path, NEWICK))
    assert str(error.value) == (
        "6 of 8 features are no tips of the phylogeny: x, y, z, u, v, ... (6 in all). Give the phylogeny "
        "that was made for this table, or set missing_features to 'ignore' to leave these features out."
    )


def test_features_that_are_no_tips_are_dropped_with_a_warning():
    table = table_of([[5, 1, 2], [3, 0, 9]], list("axb"))
    with pytest.warns(UserWarning) as caught:
        matched = match_tips(table, ["b", "a", "c"], "ignore")
    assert [str(w.message) for w in caught] == [
        "1 of 3 features, with 5.00% of the reads, are no tips of the phylogeny and are left out: x."
    ]
    assert list(matched.ids("observation")) == ["a", "b"] and list(matched.ids()) == ["s0", "s1"]
    np.testing.assert_array_equal(matched.matrix_data.toarray(), [[5, 3], [2, 9]])


def test_features_without_reads_need_no_tip():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What other tests left is collected at any time, and is not this test's.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        matched = match_tips(table_of([[5, 0, 2], [3, 0, 9]], list("axb")), ["a", "b"])
    assert list(matched.ids("observation")) == ["a", "b"]


def test_a_sample_left_without_tips_is_refused_by_name():
    with pytest.raises(ValueError) as error:
        match_tips(table_of([[5, 1], [0, 9]], list("ax")), ["a"], "ignore")
    assert str(error.value) == (
        "1 of 2 samples have no reads left without the features that are no tips: s1. "
        "Remove them from the feature table."
    )
    with pytest.raises(ValueError, match="missing_features is 'drop'; it must be one of error, ignore."):
        match_tips(table_of([[5, 1]], list("ax")), ["a"], "drop")


@pytest.mark.parametrize(
    ("newick", "message"),
    [
        ("((a,b),c);", "The phylogeny has no branch lengths. Give one that has: UniFrac sums them up."),
        (
            "((a:1,b:-1):nan,c:1);",
            "2 branches of the phylogeny have a length that is negative or not finite: an inner node, b. "
            "Give a phylogeny with lengths of at least 0.",
        ),
    ],
)
def test_branches_without_usable_length_are_refused(tmp_path, newick, message):
    with pytest.raises(ValueError) as error:
        UniFracDistances(table_of([[1, 0, 1], [0, 1, 1]], list("abc")), write(tmp_path, newick))
    assert str(error.value) == message


def test_distances_that_are_not_finite_stop_with_the_samples_names(tmp_path):
    """Two samples with no branch between them and the root: 0 / 0."""
    path = write(tmp_path, "((a:0,b:0):0,c:1);")
    distances = UniFracDistances(table_of([[1, 0, 0], [0, 1, 0], [0, 0, 1]], list("abc")), path)
    with pytest.raises(ValueError) as error:
        distances([0, 1, 2])
    assert str(error.value) == (
        "UniFrac distances are not finite for 2 of 3 samples: s0, s1. Check the branch lengths of "
        "the phylogeny."
    )


def test_an_unknown_metric_is_refused(survey):
    message = f"metric is 'braycurtis'; it must be one of {', '.join(METRICS)}."
    with pytest.raises(ValueError, match=re.escape(message)):
        UniFracDistances(survey.table, survey.tree, "braycurtis")


@pytest.mark.parametrize("name", ["ecam-infant-age", "soil88-ph", "ibd-crohns-families"])
@pytest.mark.parametrize("metric", ["unweighted", "weighted_normalized"])
def test_real_studies_agree_with_scikit_bio(study, name, metric):
    given = study(name)
    rows = np.array([40, 3, 17, 60])
    counts = given.table.matrix_data.T.tocsr()[rows].toarray().astype(int)
    present = counts.any(axis=0)
    expected = oracle(
        metric,
        counts[:, present],
        list(given.table.ids("observation")[present]),
        given.tree.read_text(),
    )
    distances = UniFracDistances(given.table, given.tree, metric, matrix_budget=PARTS)
    np.testing.assert_allclose(distances(rows), expected, rtol=1e-5, atol=1e-6)
