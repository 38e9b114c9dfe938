"""Help is quick and complete; wrong input ends in a sentence."""

import re

import pytest

from tests.scikit_bio import torch_by_scikit_bio

from .conftest import SIZES, plain

HEAVY = {"torch", "lightning", "sklearn", "altair", "unifrac", "matplotlib", "tensorboard", "vl_convert"}
HEAVY_OF_OURS = {"torch", "lightning", "altair", "tensorboard", "vl_convert"}
ACTIONS = ("pretrain", "fit", "fine-tune", "predict", "evaluate", "summarize-training", "predict-baselines")
ACTIONS += ("merge-folds", "split-samples", "cross-validate", "embed", "embed-vectors", "explain", "summarize-model")
ACTIONS += ("show-importance", "maturity", "show-maturity", "show-novelty", "harmonize-regions")


def imported(importtime):
    """Top-level packages in the output of `python -X importtime`."""
    return {name.split(".")[0] for name in re.findall(r"\|\s+([\w.]+)\s*$", importtime, flags=re.MULTILINE)}


def test_the_list_of_imports_is_read():
    line = "import time:       105 |       2000 |   torch.nn.modules\nimport time:  1 | 2 | os\n"
    assert imported(line) == {"torch", "os"}


@pytest.fixture(scope="module")
def help_of(qiime):
    """What the program says of itself and of each action, and what it imports for it."""
    return {action: qiime(f"qiime aam {action} --help", python=("-X", "importtime")) for action in ("", *ACTIONS)}


@pytest.mark.parametrize("action", ["", *ACTIONS])
def test_help_loads_nothing_heavy(help_of, action):
    said = help_of[action]
    assert "click" in imported(said.err)
    assert imported(said.err) & HEAVY == set()
    if not action:
        assert all(f"  {name} " in said.out for name in ACTIONS)


def test_registering_the_plugin_loads_no_network(qiime):
    """Where q2cli has no cache yet, help reads all plugins; q2-sample-classifier's own loads scikit-learn."""
    assert "q2_aam" in imported(qiime.refreshed.err)
    assert imported(qiime.refreshed.err) & HEAVY_OF_OURS <= torch_by_scikit_bio()


@pytest.mark.parametrize("action", ACTIONS)
def test_help_shows_an_example(help_of, action):
    out = help_of[action].out
    assert "NO DESCRIPTION" not in out.upper().replace("_", " ")
    assert f"  qiime aam {action} \\\n" in out
    assert "# ### example: " in out


def test_example_of_fit_is_the_command_of_the_documents(help_of):
    example = help_of["fit"].out.split("# ### example: Numeric column")[1].split("# ###")[0]
    assert plain(example.replace("\\\n", " ")) == (
        "qiime aam fit --i-table table.qza --i-sequences sequences.qza "
        "--m-metadata-file metadata.tsv --m-metadata-column ph --m-groups-file metadata.tsv --m-groups-column site "
        "--o-model ph-model.qza --o-predictions ph-out-of-fold.qza --o-certainty ph-out-of-fold-certainty.qza"
    )


def test_refusal_is_a_sentence_and_leaves_nothing(qiime, survey):
    said = qiime(
        f"qiime aam pretrain --i-table T.qza --i-phylogeny P.qza --o-model no.qza --o-training-log no-log.qza {SIZES}",
        ok=False,
    )
    assert said.code == 1
    features = survey[0].table.shape[0]
    assert re.search(rf"{features} of {features} features have no sequence: \w{{32}}, ", plain(said.err))
    assert "Give the sequences of all features." in plain(said.err)
    assert not (qiime.folder / "no.qza").exists()


def test_a_way_out_is_named_as_the_option_that_it_is(qiime, survey):
    (qiime.folder / "one.tsv").write_text("sample-id\tph\n" + f"{survey[0].table.ids()[0]}\t7\n")
    said = qiime(
        "qiime aam split-samples --i-table T.qza --m-metadata-file one.tsv --m-metadata-column ph "
        "--o-train-table no.qza --o-test-table no-test.qza",
        ok=False,
    )
    assert "filter them from the table, or set --p-missing-samples ignore." in plain(said.err)


def test_parameters_are_refused_before_anything_is_loaded(qiime, survey):
    said = qiime(
        "qiime aam fit --i-table T.qza --i-sequences S.qza --m-metadata-file md.tsv --m-metadata-column ph "
        "--p-head forest --output-dir never",
        ok=False,
        python=("-X", "importtime"),
    )
    assert said.code == 1
    assert "forest" in said.err and imported(said.err) & {"torch"} <= torch_by_scikit_bio()
