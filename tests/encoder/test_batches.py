import re
import threading

import biom
import numpy as np
import pytest
import torch

from q2_aam.encoder.batches import CommunityDataset, batch_loader
from q2_aam.encoder.sampler import BatchKey, BatchSampler, part_sizes
from q2_aam.study.communities import asv_hashes, read_communities
from q2_aam.study.tokenizer import PAD
from tests import tiny
from tests.scikit_bio import tips_of_columns

ROWS = np.array([7, 2, 19, 0, 11])


def batch_of(rows=ROWS, seed=0, communities=None, **how):
    return CommunityDataset(tiny.survey() if communities is None else communities, **how)[BatchKey(rows, seed)]


def shares(communities, rows):
    """Share of the sample's reads of every ASV of the table `[B, V]`."""
    counts = communities.counts.toarray().astype(np.float64)
    return (counts / counts.sum(1, keepdims=True))[rows]


def rebuilt(batch, communities):
    """The same from a batch, by the hash of each ASV's tokens."""
    places = {number: column for column, number in enumerate(asv_hashes(communities.tokens))}
    columns = np.array([places[number] for number in asv_hashes(batch.tokens.numpy())])
    dense = np.zeros((len(batch.rows), len(places)))
    for row, mask in enumerate(batch.mask):
        for index, share in zip(batch.asv_index[row][mask], batch.abundance[row][mask], strict=True):
            dense[row, columns[index]] += share
    return dense


def test_each_asv_of_a_batch_is_there_once_and_no_other():
    communities = tiny.survey()
    batch = batch_of()
    present = np.flatnonzero(communities.counts[ROWS].toarray().any(0))
    assert len(present) < len(communities.tokens) and len(present) < communities.counts[ROWS].nnz
    assert sorted(asv_hashes(batch.tokens.numpy())) == sorted(asv_hashes(communities.tokens[present]))
    assert batch.tokens.dtype == torch.uint8
    # Every one of them is pointed at.
    assert sorted(batch.asv_index[batch.mask].unique().tolist()) == list(range(len(present)))


def test_a_batch_rebuilds_the_counts_exactly():
    communities = tiny.survey()
    batch = batch_of()
    assert np.allclose(rebuilt(batch, communities), shares(communities, ROWS), atol=1e-7)
    reads = np.asarray(communities.counts[ROWS].sum(1))
    assert np.array_equal(np.rint(rebuilt(batch, communities) * reads), communities.counts[ROWS].toarray())
    assert torch.allclose(batch.abundance.sum(1), torch.ones(5))
    assert batch.rows.tolist() == ROWS.tolist()


def test_sizes_are_the_batchs_own_maxima():
    communities = tiny.survey()
    richness = np.diff(communities.counts.indptr)
    for row in (int(richness.argmin()), int(richness.argmax())):
        batch = batch_of(np.array([row]))
        assert batch.mask.shape == batch.asv_index.shape == batch.abundance.shape == (1, richness[row])
        lengths = (communities.tokens[communities.counts[row].indices] != PAD).sum(1)
        assert batch.tokens.shape == (richness[row], lengths.max())
    assert batch_of().mask.sum(1).tolist() == richness[ROWS].tolist()


def test_padding_is_behind_and_holds_nothing():
    batch = batch_of()
    assert not batch.mask.all()
    assert torch.equal(batch.mask, batch.mask.sort(1, descending=True).values)
    assert (batch.abundance[~batch.mask] == 0).all()
    assert (batch.asv_index[~batch.mask] == 0).all()


def test_tokens_are_cut_to_the_longest_asv_of_the_batch():
    """Not to that of the table."""
    communities = tiny.survey()
    lengths = (communities.tokens != PAD).sum(1)
    short = lengths < lengths.max()
    counts = communities.counts.toarray()
    counts[3, ~short] = 0
    communities = tiny.changed(communities, counts=type(communities.counts)(counts))
    assert batch_of(np.array([3]), communities=communities).tokens.shape[1] == lengths[counts[3] > 0].max()


def test_token_limit_keeps_the_most_abundant_and_their_share_of_all_reads():
    communities = tiny.survey()
    batch = batch_of(token_limit=4)
    found, whole = rebuilt(batch, communities), shares(communities, ROWS)
    for kept, full in zip(found, whole, strict=True):
        assert (kept > 0).sum() == min(4, (full > 0).sum())
        assert np.allclose(kept[kept > 0], full[kept > 0], atol=1e-7)
        assert kept[kept > 0].min() >= full[kept == 0].max() - 1e-7
    assert batch.mask.shape == (5, 4)
    assert (found.sum(1) < 0.999).any()


def test_token_limit_leaves_poorer_samples_whole():
    communities = tiny.survey()
    richness = np.diff(communities.counts.indptr)
    limit = int(np.median(richness))
    rows = np.arange(tiny.SAMPLES)
    found = rebuilt(batch_of(rows, token_limit=limit), communities)
    assert ((found > 0).sum(1) == np.minimum(richness, limit)).all()
    poor = richness <= limit
    assert np.allclose(found[poor], shares(communities, rows)[poor], atol=1e-7)
    assert np.allclose(rebuilt(batch_of(rows, token_limit=10**6), communities), shares(communities, rows), atol=1e-7)


def test_ties_among_equally_abundant_asvs_do_not_follow_the_tables_order():
    communities = tiny.survey()
    counts = communities.counts.copy()
    counts.data[:] = 1
    tied = tiny.changed(communities, counts=counts)
    order = np.random.default_rng(0).permutation(len(communities.tokens))
    shuffled = tiny.changed(
        communities, counts=counts[:, order].sorted_indices(), tokens=np.ascontiguousarray(communities.tokens[order])
    )
    found = rebuilt(batch_of(communities=tied, token_limit=4), communities)
    assert np.array_equal(found, rebuilt(batch_of(communities=shuffled, token_limit=4), communities))


def test_8_9_a_random_choice_is_fresh_each_epoch_and_repeats_itself():
    communities = tiny.survey()
    dataset = CommunityDataset(communities, token_limit=4, token_choice="random")
    sampler = BatchSampler(ROWS, 5, random_seed=3, shuffle=True)
    epochs = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        batch = dataset[next(iter(sampler))]
        order = np.argsort(batch.rows.numpy())
        epochs.append(rebuilt(batch, communities)[order])
    assert np.array_equal(epochs[0], epochs[2])
    assert not np.array_equal(epochs[0] > 0, epochs[1] > 0)
    whole = shares(communities, np.sort(ROWS))
    for found in epochs:
        assert np.allclose(found[found > 0], whole[found > 0], atol=1e-7)
        assert ((found > 0).sum(1) == np.minimum(4, (whole > 0).sum(1))).all()


def test_8_9_every_asv_has_its_turn_in_a_random_choice():
    communities = tiny.survey()
    richest = np.array([np.diff(communities.counts.indptr).argmax()])
    times = np.zeros(len(communities.tokens))
    for seed in range(300):
        batch = batch_of(richest, seed, token_limit=4, token_choice="random")
        times += rebuilt(batch, communities)[0] > 0
    richness = communities.counts[richest].nnz
    expected = 300 * 4 / richness
    held = communities.counts[richest].toarray()[0] > 0
    # Rare and abundant ones alike: within five standard deviations of an even choice.
    assert np.abs(times[held] - expected).max() < 5 * np.sqrt(expected)
    assert times[~held].max() == 0


def test_8_5_unifrac_is_exactly_the_batchs_own(survey):
    """Against scikit-bio's whole matrix, for shuffled batches."""
    from skbio import TreeNode
    from skbio.diversity import beta_diversity

    from q2_aam.study.unifrac import UniFracDistances, read_phylogeny

    tree = TreeNode.read([survey.newick])
    expected = beta_diversity("unweighted_unifrac", survey.counts, **tips_of_columns(survey.features), tree=tree).data
    communities = read_communities(survey.table, None, max_length=30)
    unifrac = UniFracDistances(survey.table, read_phylogeny(survey.tree))
    loader = batch_loader(CommunityDataset(communities, unifrac=unifrac), np.arange(13), 5, 1, shuffle=True)
    seen = []
    for batch in loader:
        rows = batch.rows.numpy()
        assert batch.unifrac.dtype == torch.float32
        assert np.allclose(batch.unifrac.numpy(), expected[np.ix_(rows, rows)], atol=1e-6)
        seen += rows.tolist()
    assert seen != sorted(seen)


def test_sub_communities_are_parts_of_the_sample_before_them():
    communities = tiny.survey()
    batch = batch_of(subcommunities=3)
    assert batch.step == 4 and batch.mask.shape[0] == 20 and batch_of().step == 1
    held = [set(index[mask].tolist()) for index, mask in zip(batch.asv_index, batch.mask, strict=True)]
    counts = communities.counts[ROWS]
    reads = {number: counts[:, column].toarray().ravel() for number, column in enumerate(np.unique(counts.indices))}
    for number in range(20):
        own = number // 4
        assert held[number] and held[number] <= held[own * 4]
        taken = np.array([reads[asv][own] for asv in batch.asv_index[number][batch.mask[number]].tolist()])
        np.testing.assert_allclose(batch.abundance[number][batch.mask[number]], taken / taken.sum(), rtol=1e-6)
    assert [len(held[number]) for number in range(0, 20, 4)] == np.diff(counts.indptr).tolist()
    assert batch.rows.tolist() == ROWS.tolist()


def test_sub_communities_change_with_the_seed():
    seeds = [batch_of(subcommunities=3, seed=seed).mask.sum(1).tolist() for seed in (5, 5, 6)]
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize("choice", ["abundant", "random"])
def test_sub_communities_are_of_the_asvs_that_are_read(choice):
    """None is encoded for their sake; distances of whole samples are of all their ASVs all the same."""
    communities, seen = tiny.survey(), []

    def unifrac(rows, asvs):
        seen.append((rows, asvs))
        return tiny.jaccard(asvs)

    batch = batch_of(communities=communities, unifrac=unifrac, subcommunities=2, token_limit=4, token_choice=choice)
    held = [set(index[mask].tolist()) for index, mask in zip(batch.asv_index, batch.mask, strict=True)]
    assert max(map(len, held)) == 4 and all(held[number] <= held[number - number % 3] for number in range(15))
    assert len(batch.tokens) == len(set().union(*held[::3]))
    ((rows, asvs),) = seen
    assert rows.tolist() == np.repeat(ROWS, 3).tolist()
    assert (asvs[::3] != communities.counts[ROWS]).nnz == 0
    assert np.diff(asvs.indptr)[np.arange(15) % 3 > 0].tolist() == [len(held[n]) for n in range(15) if n % 3]
    # Shares are of all reads of the sample, or of the part.
    whole = batch.abundance[::3].sum(1)
    assert (whole < 0.999).any() and torch.allclose(batch.abundance.sum(1)[np.arange(15) % 3 > 0], torch.ones(10))


def test_distances_of_sub_communities_are_asked_for_in_the_order_of_the_batch(survey):
    from q2_aam.study.unifrac import UniFracDistances

    communities = read_communities(survey.table, None, max_length=30)
    unifrac = UniFracDistances(survey.table, survey.tree, asv_of_feature=communities.asv_of_feature)
    batch = CommunityDataset(communities, unifrac=unifrac, subcommunities=2)[BatchKey(np.array([6, 1, 9]), 3)]
    # Each community as a table of its own, by the sequences in the batch.
    texts = ["".join("?ACGT"[token] for token in row[1:]) for row in batch.tokens]
    columns = [[texts[asv] for asv in index[mask]] for index, mask in zip(batch.asv_index, batch.mask, strict=True)]
    counts = np.array([[float(feature in column) for column in columns] for feature in survey.features])
    alone = UniFracDistances(biom.Table(counts, survey.features, [f"c{i}" for i in range(9)]), survey.tree)
    np.testing.assert_allclose(batch.unifrac, alone(np.arange(9)), atol=1e-6)


def test_processes_share_the_sub_communities_of_a_batch():
    """What each draws of its samples is what the other takes for their distances."""
    communities = tiny.survey()
    how = {"unifrac": tiny.Distances(communities), "subcommunities": 2}
    alone = CommunityDataset(communities, **how)[BatchKey(ROWS, 40)]
    keys = [BatchKey(ROWS[:3], 40, ROWS, 0), BatchKey(ROWS[3:], 41, ROWS, 1)]
    first, second = (CommunityDataset(communities, **how)[key] for key in keys)
    assert torch.equal(first.unifrac, alone.unifrac) and torch.equal(second.unifrac, alone.unifrac)
    sizes = [batch.mask.sum(1) for batch in (first, second)]
    assert torch.equal(torch.cat(sizes), alone.mask.sum(1)) and [len(part) for part in sizes] == [9, 6]


def test_prediction_reads_whole_samples():
    batch = CommunityDataset(tiny.survey(), subcommunities=2).as_predicted()[BatchKey(ROWS, 0)]
    assert batch.step == 1


def test_8_5_the_target_is_that_of_the_batchs_samples():
    target = np.arange(tiny.SAMPLES, dtype=np.float32) * 10
    batch = batch_of(target=target)
    assert batch.target.tolist() == [70, 20, 190, 0, 110]
    assert batch_of(target=target.astype(np.int64)).target.dtype == torch.int64
    assert batch_of().target is None and batch_of().unifrac is None


def test_the_covariates_are_those_of_the_batchs_samples():
    covariates = np.arange(2 * tiny.SAMPLES, dtype=np.float32).reshape(tiny.SAMPLES, 2)
    batch = batch_of(covariates=covariates)
    assert batch.covariates.dtype == torch.float32
    assert batch.covariates.tolist() == [[14, 15], [4, 5], [38, 39], [0, 1], [22, 23]]
    assert batch_of().covariates is None


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 7, 15, 16, 100])
def test_8_6_no_sample_is_dropped_whatever_the_batch_size(batch_size, shuffle):
    rows = np.arange(3, 18)
    loader = batch_loader(CommunityDataset(tiny.survey()), rows, batch_size, 0, shuffle)
    batches = [batch.rows.tolist() for batch in loader]
    assert sorted(sum(batches, [])) == rows.tolist()
    sizes = [len(batch) for batch in batches]
    assert sizes == [batch_size] * (15 // batch_size) + [15 % batch_size] * (15 % batch_size > 0)
    assert len(loader) == len(batches)


def keys(seed=0, epoch=0, shuffle=True, rows=ROWS):
    sampler = BatchSampler(rows, 2, seed, shuffle)
    sampler.set_epoch(epoch)
    return [(key.rows.tolist(), key.seed) for key in sampler]


def test_the_shuffle_follows_from_seed_and_epoch_alone():
    assert keys(5, 3) == keys(5, 3)
    orders = [str([rows for rows, _ in keys(seed, epoch)]) for seed in range(4) for epoch in range(4)]
    assert len(set(orders)) > 12
    seeds = [seed for s in range(4) for epoch in range(4) for _, seed in keys(s, epoch)]
    assert len(set(seeds)) == len(seeds)


def test_going_through_an_epoch_twice_gives_it_twice():
    sampler = BatchSampler(ROWS, 2, 0, shuffle=True)
    first, again = ([(key.rows.tolist(), key.seed) for key in sampler] for _ in range(2))
    assert first == again


def test_validation_is_the_same_every_epoch():
    assert keys(epoch=0, shuffle=False) == keys(epoch=9, shuffle=False)
    assert [rows for rows, _ in keys(shuffle=False)] == [[7, 2], [19, 0], [11]]
    assert len({seed for _, seed in keys(shuffle=False)}) == 3


def shared(samples, processes, batch_size, shuffle=True, epoch=0):
    """Keys of each process."""
    samplers = [BatchSampler(np.arange(samples), batch_size, 3, shuffle, r, processes) for r in range(processes)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return [list(sampler) for sampler in samplers], [len(sampler) for sampler in samplers]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
@pytest.mark.parametrize("processes", [2, 3, 4])
@pytest.mark.parametrize("samples", [4, 9, 13, 16, 17])
def test_processes_share_every_batch_and_drop_nothing(samples, processes, batch_size, shuffle):
    keys, lengths = shared(samples, processes, batch_size, shuffle)
    assert len(set(lengths)) == 1 and {len(own) for own in keys} == set(lengths), "as many steps in each"
    whole = []
    for parts in zip(*keys, strict=True):
        rows = np.concatenate([key.rows for key in parts])
        for key in parts:
            assert key.together.tolist() == rows.tolist()
        sizes = [len(key.rows) for key in parts]
        assert sizes == part_sizes(len(rows), processes) and min(sizes) >= 1 and max(sizes) - min(sizes) <= 1
        assert len({key.seed for key in parts}) == processes
        whole.append(len(rows))
    assert sorted(np.concatenate([key.rows for own in keys for key in own])) == list(range(samples))
    assert whole[:-1] == [processes * batch_size] * (len(whole) - 1)
    # One that is too small for all processes has been taken by the one before.
    assert whole[-1] < processes * batch_size + processes


def test_the_order_of_several_processes_is_that_of_one():
    """Two with batches of 4 go through the batches of one with 8."""
    for epoch in (0, 2):
        alone = BatchSampler(np.arange(18), 8, 3, True)
        alone.set_epoch(epoch)
        first, second = shared(18, 2, 4, epoch=epoch)[0]
        assert [key.together.tolist() for key in first] == [key.rows.tolist() for key in alone]
        assert [key.seed for key in first] == [key.seed for key in alone]
        assert all(key.together is None for key in alone)


def test_fewer_samples_than_processes_are_refused():
    message = (
        "3 samples (of those to learn from, or of those for validation) cannot be shared by 4 processes: each takes "
        "one at least. Lower devices or num_nodes."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        batch_loader(CommunityDataset(tiny.survey()), np.arange(3), 2, processes=4)


def test_a_part_of_a_batch_has_the_distances_of_all_its_samples():
    communities = tiny.survey()
    distances = tiny.Distances(communities)
    batch = CommunityDataset(communities, unifrac=distances)[BatchKey(ROWS[2:], 0, ROWS)]
    assert batch.rows.tolist() == ROWS[2:].tolist() and batch.together == 5
    assert np.array_equal(batch.unifrac.numpy(), distances(ROWS))
    assert batch_of(unifrac=distances).together == 5


def test_asv_lookup_counts_in_the_whole_table():
    communities = tiny.survey()
    batch = batch_of(asv_lookup=True)
    assert batch.tokens.shape == (0, communities.tokens.shape[1])
    dense = np.zeros((5, len(communities.tokens)))
    for row in range(5):
        dense[row, batch.asv_index[row][batch.mask[row]]] = batch.abundance[row][batch.mask[row]]
    assert np.allclose(dense, shares(communities, ROWS), atol=1e-7)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"token_limit": 0}, "token_limit must be at least 1, but is 0."),
        ({"token_choice": "first"}, "token_choice must be one of abundant, random, but is 'first'."),
    ],
)
def test_wrong_settings_are_refused(how, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CommunityDataset(tiny.survey(), **how)


def test_a_batch_has_one_sample_at_least():
    with pytest.raises(ValueError, match=r"^batch_size must be at least 1, but is 0\.$"):
        batch_loader(CommunityDataset(tiny.survey()), ROWS, 0)


def test_the_next_batch_is_prepared_while_one_is_in_use():
    """Distances of batch two are asked for before batch two is, and in a thread that is not the learner's."""
    communities = tiny.survey()
    started, threads = threading.Event(), []

    def unifrac(rows):
        threads.append(threading.current_thread())
        if len(threads) == 2:
            started.set()
        return np.zeros((len(rows), len(rows)), dtype=np.float32)

    batches = iter(batch_loader(CommunityDataset(communities, unifrac=unifrac), np.arange(12), 4))
    next(batches)
    assert started.wait(5)
    assert threading.main_thread() not in threads
    assert len(list(batches)) == 2 and len(threads) == 3


def test_an_error_while_a_batch_is_prepared_reaches_the_learner():
    def unifrac(rows):
        raise ValueError("no such tree")

    with pytest.raises(ValueError, match="no such tree"):
        next(iter(batch_loader(CommunityDataset(tiny.survey(), unifrac=unifrac), np.arange(12), 4)))
