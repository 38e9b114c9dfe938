"""`qiime aam cross-validate`, a pipeline, by the real program: the command of the README at a small size."""

import re

import pandas as pd
import pytest
from sklearn import metrics

from .conftest import COLUMN, plain

SMALL = "--p-folds 2 --p-threads 1"


@pytest.fixture(scope="module")
def said(qiime, survey):
    return qiime(
        rf"""qiime aam cross-validate --i-table T.qza --i-sequences S.qza --i-phylogeny P.qza \
        {COLUMN.format("habitat")} {SMALL} --output-dir cv --verbose"""
    )


def test_outputs_are_of_their_types_and_agree(said, qiime, survey, tmp_path):
    types = {
        "predictions": "SampleData[ClassifierPredictions]",
        "certainty": "SampleData[Probabilities]",
        "baselines": "SampleData[BaselinePredictions]",
        "scores": "AAMScores",
    }
    outputs = {name: qiime.check(f"cv/{name}.qza") for name in types}
    assert {name: str(artifact.type) for name, artifact in outputs.items()} == types
    truth = survey[0].metadata["habitat"]
    predicted = outputs["predictions"].view(pd.Series)
    assert set(predicted.index) == set(survey[0].table.ids())
    scores = outputs["scores"].view(pd.DataFrame)
    baselines = outputs["baselines"].view(pd.DataFrame)
    for method, values in {"q2-aam": predicted, **baselines}.items():
        expected = metrics.balanced_accuracy_score(truth[values.index], values)
        assert scores.loc[f"repeat 1, all folds, {method}", "balanced_accuracy"] == pytest.approx(expected)
    assert len(scores) == 3 * (1 + len(baselines.columns))
    qiime.check("cv/report.qzv").export_data(str(tmp_path / "report"))
    assert "Better than the baselines:" in (tmp_path / "report" / "index.html").read_text()


def test_provenance_names_every_action(said, qiime):
    actions = set()
    for file in qiime.check("cv/predictions.qza")._archiver.provenance_dir.rglob("action.yaml"):
        actions |= set(re.findall(r"^    action: (\w+)$", file.read_text(), flags=re.MULTILINE))
    own = {"fit", "predict", "predict_baselines", "merge_folds", "cross_validate"}
    assert own | {"filter_samples"} <= actions and "pretrain" not in actions


def test_each_fold_and_the_scores_are_told(said, survey):
    lines = said.lines
    folds = [line for line in lines if line.startswith("Fold ")]
    assert len(folds) == 2
    n = len(survey[0].metadata)
    for number, line in enumerate(folds, 1):
        counts = r"(\d+) \(\d+ groups\)"
        match = re.fullmatch(rf"Fold {number} of 2: samples to learn from {counts}, to predict {counts}\.", line)
        assert match and int(match[1]) + int(match[2]) == n
    methods = [line.split(" (habitat): ")[0] for line in lines if " (habitat): balanced_accuracy " in line]
    forests = ["random forest", "balanced forest"]
    tables = ["log-ratios", "boosted trees"]
    assert methods[-8:] == ["q2-aam", "largest class", *forests, *tables, "SVM UniFrac", "SVM Jaccard"]
    # warnings of the actions themselves
    assert all(line.startswith(("Warning: ", "  ")) for line in said.err.splitlines()), said.err
    assert max(map(len, [*lines, *said.err.splitlines()])) <= 120


def test_a_contradiction_is_a_sentence(qiime, survey):
    refused = qiime(
        f"qiime aam cross-validate --i-table T.qza --m-metadata-file md.tsv --m-metadata-column ph {SMALL} "
        "--p-pretraining each_fold --output-dir no-cv",
        ok=False,
    )
    assert refused.code == 1
    assert (
        "pretraining is 'each_fold', which needs the phylogeny: its distances are what is learnt. Give the phylogeny, "
        "or leave pretraining out: the encoder is then the one that comes with q2-aam, or yours."
    ) in plain(refused.err)
