"""`pretrain` called as QIIME 2 calls it: what it leaves, and what may not change it."""

import json
import re

import biom
import numpy as np
import pandas as pd
import pytest
import skbio
import torch
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.files import read_tensors
from q2_aam.settings import Objective, Optimization, PretrainingSampling, Runtime
from q2_aam.study.tokenizer import tokenize

from .small import SIZES, description, newick, printed, run_pretrain, told


def weights(model):
    return Encoder.load(model.path).network.state_dict()


def assert_same_weights(model, other, atol=0.0):
    ours, theirs = weights(model), weights(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=atol, msg=name)


def history_of(log):
    return pd.read_csv(log.path / "history.tsv", sep="\t")


def test_leaves_an_encoder_that_says_what_it_is(study, pretrained):
    model, log = pretrained
    model.validate("max")
    log.validate("max")
    facts = description(model)
    assert facts["kind"] == "encoder" and facts["target"] is facts["head"] is facts["encoder"] is None
    assert {name: facts["architecture"][name] for name in SIZES} == SIZES
    assert facts["data"]["samples"] == 48
    assert facts["data"]["validation_samples"] == 12
    assert facts["data"]["reads"] == study.table.sum()
    summary = json.loads((log.path / "log.json").read_text())
    assert summary["action"] == "pretrain" and summary["epochs"] == 2
    # The scores are those of the epoch that was kept.
    kept = history_of(log).set_index("epoch").loc[summary["best_epoch"]]
    assert facts["scores"]["val/unifrac_loss"] == kept["val/unifrac_loss"]


def test_settings_are_kept_with_the_model(pretrained):
    settings = description(pretrained[0])["settings"]
    for group, kind in (
        ("optimization", Optimization),
        ("objective", Objective),
        ("sampling", PretrainingSampling),
        ("runtime", Runtime),
    ):
        assert settings[group].keys() == set(kind.__dataclass_fields__)
    assert settings["optimization"]["epochs"] == 2
    assert settings["sampling"]["validation_share"] == 0.25
    assert settings["metric"] == "unweighted"


def test_train_and_validation_metrics_have_the_same_names(pretrained):
    """8.1"""
    columns = set(history_of(pretrained[1]).columns) - {"epoch", "learning_rate", "seconds"}
    train = {name.removeprefix("train/") for name in columns if name.startswith("train/")}
    val = {name.removeprefix("val/") for name in columns if name.startswith("val/")}
    assert train == val
    assert {"total_loss", "unifrac_loss", "nucleotide_loss", "count_loss", "unifrac_r"} <= val


def test_total_loss_is_the_weighted_sum_of_the_named_losses(pretrained):
    history, objective = history_of(pretrained[1]), Objective()
    total = sum(
        getattr(objective, f"{name}_weight") * history[f"val/{name}_loss"]
        for name in ("unifrac", "nucleotide", "count")
    )
    # Each loss is a mean over what it counts, the total over samples: the same with one validation batch.
    np.testing.assert_allclose(history["val/total_loss"], total, rtol=1e-5)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(study, encoder):
    again, other = run_pretrain(study)[0], run_pretrain(study, random_seed=1)[0]
    assert_same_weights(encoder, again)
    assert (encoder.path / "best_model.pt").read_bytes() == (again.path / "best_model.pt").read_bytes()
    with pytest.raises(AssertionError):
        assert_same_weights(encoder, other, atol=1e-3)


def test_tips_that_no_sample_holds_change_nothing(study, encoder, tmp_path):
    crowded = study.tree.copy()
    for number, tip in enumerate(list(crowded.tips())[::7]):
        tip.parent.append(skbio.TreeNode(f"extra-{number}", length=0.5))
    model = run_pretrain(study, phylogeny=newick(crowded, tmp_path / "crowded.nwk"))[0]
    assert_same_weights(encoder, model)


def test_goes_on_from_an_encoder(study, encoder, capsys):
    with told() as messages:
        model, log = run_pretrain(study, encoder=encoder, epochs=1, learning_rate=1e-12)
    assert messages == []
    assert capsys.readouterr().out.splitlines()[1] == "The encoder has read all of these ASVs in pretraining."
    assert_same_weights(encoder, model, atol=1e-6)
    before, after = description(encoder), description(model)
    assert after["architecture"] == before["architecture"]
    assert after["encoder"] == {name: before[name] for name in after["encoder"]}
    assert after["encoder"]["sha256"] == before["sha256"]


def test_what_the_first_encoder_had_seen_counts_as_seen(study, encoder):
    few = study.samples(study.table.ids()[:8])
    model, _ = run_pretrain(study, encoder=encoder, table=few, epochs=1)
    alone, _ = run_pretrain(study, table=few, epochs=1)
    before, after, own = (set(Encoder.load(one.path).seen_asvs) for one in (encoder, model, alone))
    assert own < before <= after == before | own


def test_goes_on_with_the_encoders_metric_unless_another_is_asked_for(study, weighted_encoder):
    settings = {}
    for metric in ("auto", "weighted_normalized", "unweighted"):
        with told() as messages:
            model, log = run_pretrain(study, encoder=weighted_encoder, metric=metric, epochs=1, learning_rate=1e-12)
        learnt = description(model)["settings"]["metric"]
        settings[metric] = learnt, history_of(log)["val/unifrac_loss"].iloc[0], messages
    assert settings["auto"] == settings["weighted_normalized"]
    assert settings["auto"][0] == "weighted_normalized" and settings["auto"][2] == []
    assert settings["unweighted"][0] == "unweighted" and settings["unweighted"][1] != settings["auto"][1]
    assert settings["unweighted"][2] == [
        "The encoder has learnt weighted_normalized UniFrac, but metric is 'unweighted': what it has learnt will "
        "change. Leave metric out to go on with weighted_normalized."
    ]


def test_a_token_limit_below_the_richness_decides_what_is_read(study, encoder):
    first, again = (run_pretrain(study, token_limit=5)[0] for _ in range(2))
    assert description(first)["token_limit"] == 5
    assert_same_weights(first, again)
    with pytest.raises(AssertionError):
        assert_same_weights(first, encoder)


def test_what_was_left_out_is_kept_with_the_model(study, tmp_path):
    """The warnings are seen with --verbose only."""
    ids = study.table.ids("observation")
    tree = newick(study.tree.shear(set(ids[3:])), tmp_path / "tree.nwk")
    with told():
        model, _ = run_pretrain(study, phylogeny=tree, missing_features="ignore", epochs=1)
    data = description(model)["data"]
    assert data["reads_dropped"] == study.table.matrix_data[:3].sum() > 0
    assert data["features"] == 117


def test_twenty_steps_learn_distances(study):
    """A short run learns too: warm-up is a share of it, not a number of steps."""
    # 36 training samples in batches of 18: two steps an epoch.
    history = history_of(run_pretrain(study, epochs=10, batch_size=18, learning_rate=3e-3)[1])
    # Distances begin at the right size: on 12 validation samples their error hardly changes, while their order does.
    for name in ("val/total_loss", "val/nucleotide_loss", "train/unifrac_loss"):
        assert history[name].iloc[2:].min() < 0.95 * history[name].iloc[0], name
    assert history["val/total_loss"].min() < 0.9 * history["val/total_loss"].iloc[0]
    assert history["train/unifrac_r"].max() > history["train/unifrac_r"].iloc[0]
    assert history["learning_rate"].max() == pytest.approx(3e-3, rel=0.1)


def test_without_validation_part_the_training_loss_picks_the_epoch(study):
    """8.2"""
    with told() as messages:
        model, log = run_pretrain(study, validation_share=0.0)
    assert messages == []
    summary = json.loads((log.path / "log.json").read_text())
    assert summary["monitor"] == "train/total_loss"
    assert not [name for name in history_of(log).columns if name.startswith("val/")]
    log.validate("max")
    assert description(model)["data"]["training_samples"] == 48


@pytest.mark.parametrize("metric", ["weighted_normalized", "generalized"])
def test_other_kinds_of_unifrac(study, metric, encoder):
    with told() as messages:
        model, log = run_pretrain(study, metric=metric, epochs=1)
    assert messages == []
    assert np.isfinite(history_of(log)["val/unifrac_rmse"]).all()
    assert description(model)["settings"]["metric"] == metric
    with pytest.raises(AssertionError):
        assert_same_weights(encoder, model, atol=1e-3)


@pytest.mark.parametrize("batch_size", [1, 7, 37])
def test_any_batch_size(study, batch_size):
    """8.6: odd batch sizes, a last batch of one sample, batches of one sample."""
    with told() as messages:
        _, log = run_pretrain(study, batch_size=batch_size, epochs=1, validation_share=10 / 48)
    assert messages == []
    losses = history_of(log).filter(like="_loss")
    assert not losses.drop(columns=["train/unifrac_loss", "val/unifrac_loss"], errors="ignore").isna().any(axis=None)
    # A batch of one sample has no pair of samples, and with it no distance to learn.
    assert ("val/unifrac_loss" in losses) == (batch_size > 1)


def test_token_limit_works_with_accumulation(study):
    """8.9"""
    with told() as messages:
        _, log = run_pretrain(study, token_limit=10, batch_size=5, accumulation=3, epochs=1)
    assert messages == []
    assert np.isfinite(history_of(log).filter(like="_loss")).all(axis=None)


def test_sequences_longer_than_max_length_are_cut_with_a_count(study):
    with told() as messages:
        model, _ = run_pretrain(study, max_length=59, epochs=1)
    assert messages == [
        "120 of 120 features have a sequence longer than 59 nucleotides (max_length); only the first "
        "59 are read."
    ]
    facts = description(model)
    assert facts["tokenizer"]["max_length"] == 59
    assert facts["data"]["features_cut"] == 120
    assert tokenize([next(iter(study.sequence_of.values()))], 59).shape[1] == 60


def longer(study, path, tail="ACGTTGCA" * 70):
    """The study's sequences, the first of which goes on for longer than the 512 that are usual."""
    first = study.table.ids("observation")[0]
    path.write_text("".join(f">{i}\n{s + tail * (i == first)}\n" for i, s in study.sequence_of.items()))
    return DNAFASTAFormat(str(path), "r"), len(study.sequence_of[first]) + len(tail)


def test_longer_sequences_are_read_whole_and_what_that_costs_is_said(study, tmp_path, capsys):
    sequences, length = longer(study, tmp_path / "longer.fasta")
    with told() as messages:
        model, _ = run_pretrain(study, sequences=sequences, epochs=1)
    assert messages == []
    assert printed(capsys)[0] == (
        f"Sequences of up to {length} nucleotides are read whole (max_length), which takes some "
        f"{length / 512:.1f} times as long, and as much memory, as 512."
    )
    facts = description(model)
    # A little longer ones can be read, too.
    assert (length, facts["tokenizer"]["max_length"]) == (620, 1024)
    assert facts["data"]["features_cut"] == 0


def test_an_encoder_that_reads_less_is_not_gone_on_from(study, pretrained, tmp_path):
    sequences, _ = longer(study, tmp_path / "longer.fasta")
    with told(), pytest.raises(ValueError) as error:
        run_pretrain(study, sequences=sequences, encoder=pretrained[0])
    assert str(error.value) == (
        "1 of 120 features have a sequence of more than 512 nucleotides, of which the encoder reads the first 512 "
        "alone. Leave the encoder out: one that is begun anew reads them whole."
    )


def test_what_is_no_amplicon_is_refused(study, tmp_path):
    sequences, _ = longer(study, tmp_path / "longer.fasta", "ACGT" * 1250)
    with told(), pytest.raises(ValueError, match=r"^1 of 120 .* alone\. These are no amplicons\. Leave them out, or"):
        run_pretrain(study, sequences=sequences)


def test_one_asv_is_nothing_to_learn_from(study):
    # Reads of one feature alone; the others are in the tree and the table.
    counts = np.zeros(study.table.shape)
    counts[0] = 7
    table = biom.Table(counts, study.table.ids("observation"), study.table.ids())
    with pytest.raises(ValueError) as error:
        run_pretrain(study, table=table)
    assert str(error.value) == (
        "All 48 samples hold one and the same ASV alone: there is nothing by which they differ. Give a table of "
        "several ASVs."
    )


def test_features_that_are_no_tips_are_left_out_with_a_count(study, tmp_path):
    ids = study.table.ids("observation")
    tree = newick(study.tree.shear(set(ids[3:])), tmp_path / "tree.nwk")
    share = study.table.matrix_data[:3].sum() / study.table.sum()
    with told() as messages:
        model, _ = run_pretrain(study, phylogeny=tree, missing_features="ignore")
    assert messages == [
        f"3 of 120 features, with {share:.2%} of the reads, are no tips of the phylogeny and are left out: "
        f"{ids[0]}, {ids[1]}, {ids[2]}."
    ]
    kept = study.table.filter(set(ids[3:]), axis="observation", inplace=False)
    assert_same_weights(model, run_pretrain(study, table=kept, phylogeny=tree)[0])


def test_features_without_a_sequence_are_left_out_with_a_count(study, tmp_path, capsys):
    ids = study.table.ids("observation")
    few = "".join(f">{name}\n{study.sequence_of[name]}\n" for name in ids[3:])
    (tmp_path / "few.fasta").write_text(few)
    share = study.table.matrix_data[:3].sum() / study.table.sum()
    sequences = DNAFASTAFormat(str(tmp_path / "few.fasta"), "r")
    with told() as messages:
        run_pretrain(study, sequences=sequences, missing_features="ignore", epochs=1)
    assert messages == []
    first = printed(capsys)[0]
    assert ", 117 distinct ASVs, " in first
    assert first.endswith(f" at most. Left out: {share:.1%} of the reads, whose features have no sequence.")


def test_what_is_printed_is_readable(study, capsys):
    run_pretrain(study)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    richness = np.diff(study.table.matrix_data.tocsc().indptr)
    median, most = int(np.median(richness)), richness.max()
    assert lines[0] == f"48 samples, 120 distinct ASVs, {median} a sample (median), {most} at most."
    assert [line.split("  ")[0] for line in lines[1:3]] == ["epoch 1/2", "epoch 2/2"]
    for name in ("total_loss", "unifrac_r"):
        assert re.search(rf"  {name} [\d.]+ \(val [\d.]+\)  ", lines[1])
    assert lines[3].startswith("Epoch ") and lines[3].endswith("of 2 was best and is kept. All 2 epochs were run.")
    assert lines[4].startswith("Predicted and true UniFrac of validation samples: r ")
    assert len(lines) == 5


def test_one_sample_to_learn_from_has_no_distance(study):
    table = study.samples(study.table.ids()[:2])
    with pytest.raises(ValueError, match=r"^There is 1 sample to learn distances from; two or more are needed\."):
        run_pretrain(study, table=table, validation_share=0.5)


def test_two_processes_leave_a_model_like_any_other(study, tmp_path):
    """8.8: from start to end by real UniFrac distances; the log is that of both."""
    model, log = run_pretrain(study, devices=2, batch_size=8, run_dir=str(tmp_path))
    model.validate("max")
    log.validate("max")
    runtime = description(model)["settings"]["runtime"]
    assert runtime["devices"] == 2 and runtime["num_nodes"] == 1
    history = history_of(log)
    assert list(history["epoch"]) == [1, 2] and np.isfinite(history.to_numpy()).all()
    best = read_tensors(tmp_path / "best_model.pt")["model"]
    for name, weight in weights(model).items():
        assert torch.equal(weight, best[name])
    # One with batches of 16 learns the same distances; what is masked differs.
    alone = history_of(run_pretrain(study, batch_size=16, epochs=1)[1])
    assert history["train/unifrac_loss"][0] == pytest.approx(alone["train/unifrac_loss"][0], rel=0.5)


def test_epochs_by_themselves_make_300_steps(study):
    """As many as the samples to learn from want; told, and kept with the model."""
    model, log = run_pretrain(study, epochs="auto", batch_size=2, patience=0)
    # 36 samples to learn from are 18 steps.
    assert description(model)["settings"]["optimization"]["epochs"] == len(history_of(log)) == 17
