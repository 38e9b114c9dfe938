import io
import json
import pickle
import tarfile

import pytest

from q2_aam.framework import Artifact, ValidationError
from q2_aam.schema import COVARIATE_KEYS, TARGET_KEYS, ModelDescription, SchemaError
from q2_aam.types import AAMModelDirectoryFormat
from tests.types.conftest import CLASSES_TARGET, INTERVALS, NUMERIC_TARGET, describe, write_torch_file

AGE = {
    "name": "age",
    "kind": "numeric",
    "location": 30.5,
    "scale": 0.1 + 0.2,
    "lowest": 1,
    "highest": 80.0,
    "categories": [],
    "imputed": None,
    "missing": 0,
}
LEVELS = pytest.mark.parametrize("level", ["min", "max"])


def refused(folder, level):
    """The sentence of the refusal, without the framework's first line."""
    with pytest.raises(ValidationError) as error:
        AAMModelDirectoryFormat(str(folder), mode="r").validate(level)
    return str(error.value).split("\n\n")[-1]


@LEVELS
@pytest.mark.parametrize("kind", ["encoder", "regressor", "classifier"])
def test_models_are_accepted(kind, level, model_folder):
    describe(model_folder, kind)
    AAMModelDirectoryFormat(str(model_folder), mode="r").validate(level)
    Artifact.import_data(f"AAMModel[{kind.capitalize()}]", str(model_folder)).validate(level)


def test_what_torch_saves_is_accepted(model_folder):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 2).bfloat16()
    optimizer = torch.optim.AdamW(layer.parameters())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    layer(torch.ones(1, 3, dtype=torch.bfloat16)).sum().backward()
    optimizer.step()
    state = {
        "model": layer.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "rng": torch.get_rng_state(),
        "buffers": [
            torch.ones(2, dtype=dtype) for dtype in (torch.int64, torch.uint8, torch.bool, torch.float64)
        ],
        "plain": {
            "dtype": torch.float32,
            "shape": torch.Size([1]),
            "score": 0.5,
            "set": {1},
            "device": torch.device("cpu"),
        },
    }
    torch.save(state, model_folder / "best_model.pt")
    assert torch.load(model_folder / "best_model.pt", weights_only=True)["plain"]["score"] == 0.5
    describe(model_folder)
    AAMModelDirectoryFormat(str(model_folder), mode="r").validate("max")
    whole = model_folder / "best_model.pt"
    whole.write_bytes(whole.read_bytes()[:-100])
    assert refused(model_folder, "min").startswith(
        "best_model.pt is truncated or damaged (File is not a zip file)."
    )


@LEVELS
@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_truncated_file_is_refused(share, level, model_folder):
    file = model_folder / "best_model.pt"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    describe(model_folder)
    assert refused(model_folder, level) == (
        "best_model.pt is truncated or damaged (File is not a zip file). Export it again from the artifact "
        "it comes from, or train the model again."
    )


@LEVELS
def test_an_empty_file_is_refused(level, model_folder):
    (model_folder / "best_model.pt").write_bytes(b"")
    assert refused(model_folder, level) == (
        "best_model.pt is empty. Export it again from the artifact it comes from, or train the model again."
    )


@LEVELS
@pytest.mark.parametrize("what", ["no zip file", "a tar archive"])
def test_a_foreign_file_is_refused(what, level, model_folder):
    if what == "no zip file":
        (model_folder / "best_model.pt").write_text("weights: 1, 2, 3\n" * 100)
    else:
        with tarfile.open(model_folder / "best_model.pt", "w") as archive:
            archive.addfile(tarfile.TarInfo("sklearn_pipeline.pkl"), io.BytesIO())
    describe(model_folder)
    assert refused(model_folder, level) == (
        f"best_model.pt is {what}, but PyTorch writes zip files: this is not a model of q2-aam. Give a model "
        "that `qiime aam pretrain` or `qiime aam fit` wrote."
    )


@LEVELS
@pytest.mark.parametrize("names", [("table.csv",), ("data.pkl",)])
def test_a_foreign_zip_file_is_refused(names, level, model_folder):
    write_torch_file(model_folder / "best_model.pt", names=names)
    describe(model_folder)
    assert refused(model_folder, level) == (
        "best_model.pt is a zip file, but not one that PyTorch wrote: it has no records data.pkl and "
        "version. Give a model that `qiime aam pretrain` or `qiime aam fit` wrote."
    )


@LEVELS
def test_a_file_with_one_byte_changed_is_refused(level, model_folder):
    """Also where whoever changed it has made its records' checksums fit."""
    file = model_folder / "best_model.pt"
    content = bytearray(file.read_bytes())
    stated = json.loads((model_folder / "model.json").read_text())["sha256"]
    content[content.index(b"3\n")] ^= 1
    file.write_bytes(content)
    assert refused(model_folder, level) == (
        "best_model.pt is truncated or damaged (wrong checksum of best_model/version). Export it again from the "
        "artifact it comes from, or train the model again."
    )
    write_torch_file(file, b"\x80\x02N.")
    found = refused(model_folder, level)
    describe(model_folder)
    now = json.loads((model_folder / "model.json").read_text())["sha256"]
    assert found == (
        f"best_model.pt is not the file that model.json describes: its SHA-256 is {now}, but model.json "
        f"states {stated}. One of them was changed or damaged: get the model again from where it comes from."
    )


@LEVELS
def test_no_byte_can_be_changed_unnoticed(level, model_folder):
    file = model_folder / "best_model.pt"
    content = file.read_bytes()
    for position in range(0, len(content), 7):
        changed = bytearray(content)
        changed[position] ^= 255
        file.write_bytes(changed)
        assert refused(model_folder, level).startswith("best_model.pt ")


class Harmful:
    def __reduce__(self):
        return print, ("a stranger's code ran",)


@pytest.mark.parametrize(
    "pickled, named",
    [
        (pickle.dumps(Harmful(), protocol=2), "__builtin__.print"),
        (pickle.dumps(Harmful(), protocol=4), "None"),
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"\x80\x02ctorch.hub\nload\n.", "torch.hub.load"),
        (b"\x80\x02ctorch\nload\n.", "torch.load"),
    ],
)
def test_a_pickle_that_could_run_code_is_refused_unread(pickled, named, model_folder, capsys):
    write_torch_file(model_folder / "best_model.pt", pickled)
    describe(model_folder)
    assert refused(model_folder, "max") == (
        f"best_model.pt names 1 things that no model of q2-aam holds ({named}). Loading such a file could "
        "run code of a stranger: do not use it, and ask where it comes from."
    )
    assert capsys.readouterr().out == ""


def test_a_broken_pickle_is_refused(model_folder):
    write_torch_file(model_folder / "best_model.pt", b"\x80\x02}")
    describe(model_folder)
    assert refused(model_folder, "max") == (
        "best_model.pt is damaged: its data.pkl cannot be read (pickle exhausted before seeing STOP)."
    )


@LEVELS
def test_missing_and_further_files_are_refused(level, model_folder):
    (model_folder / "notes.txt").write_text("x")
    assert "Unrecognized file" in refused(model_folder, level)
    (model_folder / "notes.txt").unlink()
    (model_folder / "model.json").unlink()
    assert (
        refused(model_folder, level)
        == r"Missing one or more files for AAMModelDirectoryFormat: 'model\\.json'"
    )


@LEVELS
@pytest.mark.parametrize(
    "text, sentence",
    [
        (
            "{'kind': 1}",
            "model.json is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 "
            "(char 1).",
        ),
        ("", "model.json is not JSON: Expecting value: line 1 column 1 (char 0)."),
        ("[1]", "model.json holds a list, not a JSON object ({...})."),
        ("{}", "model.json lacks the key schema_version: it is not a file of q2-aam, or a damaged one."),
    ],
)
def test_a_description_that_is_no_json_object_is_refused(text, sentence, level, model_folder):
    (model_folder / "model.json").write_text(text)
    assert refused(model_folder, level) == sentence


AGAIN = " Make the artifact again with q2-aam."
CLASSIFIER = {"kind": "classifier", "intervals": None, "temperature": 1.0, "decision": "balanced"}
CONTRADICTIONS = [
    (
        {"kind": ..., "tokenizer": ..., "scores": ...},
        "model.json lacks the keys kind, tokenizer, scores: it is incomplete." + AGAIN,
    ),
    (
        {"schema_version": 6, "kind": ...},
        "model.json was made by a newer q2-aam (schema version 6, while this one reads up to 5): update "
        "q2-aam.",
    ),
    (
        {"schema_version": "1"},
        'model.json: schema_version is "1"; it must be a whole number from 1 to 5.' + AGAIN,
    ),
    (
        {"schema_version": True},
        "model.json: schema_version is true; it must be a whole number from 1 to 5." + AGAIN,
    ),
    (
        {"kind": "regressor", "target": None},
        "model.json: kind is regressor, but target is null: what it predicts is unknown. Train the model "
        "again with `qiime aam fit`.",
    ),
    (
        {"target": CLASSES_TARGET},
        'model.json: target.kind is "categorical"; it must be "numeric", as kind is regressor.' + AGAIN,
    ),
    (
        {"kind": "classifier", "target": NUMERIC_TARGET},
        'model.json: target.kind is "numeric"; it must be "categorical", as kind is classifier.' + AGAIN,
    ),
    (
        {"kind": "classifier", "target": {**CLASSES_TARGET, "classes": ["a"]}},
        'model.json: target.classes is ["a"]; it must be a list of two classes or more.' + AGAIN,
    ),
    (
        {"target": {"name": "ph", "kind": "numeric"}},
        "model.json: target lacks the keys transform, location, scale, classes, class_weights: it is "
        "incomplete." + AGAIN,
    ),
    (
        {"kind": "encoder", "target": NUMERIC_TARGET},
        f"model.json: target is {json.dumps(NUMERIC_TARGET)}; it must be null, as kind is encoder." + AGAIN,
    ),
    (
        {"kind": "forest"},
        'model.json: kind is "forest"; it must be one of encoder, regressor, classifier.' + AGAIN,
    ),
    (
        {"kind": ["encoder"]},
        'model.json: kind is ["encoder"]; it must be one of encoder, regressor, classifier.' + AGAIN,
    ),
    ({"architecture": []}, "model.json: architecture is []; it must be an object ({...})." + AGAIN),
    (
        {"tokenizer": {"vocabulary": []}},
        "model.json: tokenizer lacks the keys max_length: it is incomplete." + AGAIN,
    ),
    (
        {"tokenizer": {"vocabulary": [], "max_length": 0}},
        "model.json: tokenizer.max_length is 0; it must be a positive whole number." + AGAIN,
    ),
    (
        {"kind": "encoder", "target": None, "covariates": {"columns": [AGE]}},
        f"model.json: covariates is {json.dumps({'columns': [AGE]})}; it must be null, as kind is encoder." + AGAIN,
    ),
    (
        {"covariates": {"columns": []}},
        'model.json: covariates is {"columns": []}; it must be null or an object with a list of columns.' + AGAIN,
    ),
    (
        {"covariates": {"columns": [AGE, {"name": "sex", "kind": "categorical"}]}},
        "model.json: covariates.columns[1] lacks the keys location, scale, lowest, highest, categories, imputed, "
        "missing: it is incomplete." + AGAIN,
    ),
    (
        {"covariates": {"columns": [{**AGE, "kind": "date"}]}},
        'model.json: covariates.columns[0].kind is "date"; it must be one of numeric, categorical.' + AGAIN,
    ),
    (
        {"covariates": {"columns": [{**AGE, "scale": "1"}]}},
        'model.json: covariates.columns[0].scale is "1"; it must be a number.' + AGAIN,
    ),
    (
        {"covariates": {"columns": [{**AGE, "categories": None}]}},
        "model.json: covariates.columns[0].categories is null; it must be a list." + AGAIN,
    ),
    (
        {"target": {**NUMERIC_TARGET, "scale": "abc"}},
        'model.json: target.scale is "abc"; it must be a number above 0.' + AGAIN,
    ),
    ({"target": {**NUMERIC_TARGET, "scale": 0}}, "model.json: target.scale is 0; it must be a number above 0." + AGAIN),
    (
        {"target": {**NUMERIC_TARGET, "location": None}},
        "model.json: target.location is null; it must be a number." + AGAIN,
    ),
    (
        {"target": {**NUMERIC_TARGET, "location": 10**400}},
        f"model.json: target.location is {10**400}; it must be a number." + AGAIN,
    ),
    (
        {"target": {**NUMERIC_TARGET, "transform": "log"}},
        'model.json: target.transform is "log"; it must be one of none, zscore, minmax, log1p, as kind is regressor.'
        + AGAIN,
    ),
    (
        {"target": {**NUMERIC_TARGET, "name": 7}},
        "model.json: target.name is 7; it must be the name of a metadata column." + AGAIN,
    ),
    (
        {"target": {**NUMERIC_TARGET, "classes": ["a"]}},
        'model.json: target.classes is ["a"]; it must be an empty list, as kind is regressor.' + AGAIN,
    ),
    (
        {**CLASSIFIER, "target": {**CLASSES_TARGET, "transform": "zscore"}},
        'model.json: target.transform is "zscore"; it must be one of none, as kind is classifier.' + AGAIN,
    ),
    (
        {**CLASSIFIER, "target": {**CLASSES_TARGET, "classes": ["a", "b", "a"]}},
        'model.json: target.classes is ["a", "b", "a"]; it must be a list of names, each once.' + AGAIN,
    ),
    (
        {**CLASSIFIER, "target": {**CLASSES_TARGET, "classes": ["a", ["b"], "c"]}},
        'model.json: target.classes is ["a", ["b"], "c"]; it must be a list of names, each once.' + AGAIN,
    ),
    (
        {**CLASSIFIER, "target": {**CLASSES_TARGET, "class_weights": [1, 2]}},
        "model.json: target.class_weights is [1, 2]; it must be a list of 3 numbers, one for each class." + AGAIN,
    ),
    (
        {"kind": "classifier", "target": CLASSES_TARGET, "intervals": INTERVALS},
        f"model.json: intervals is {json.dumps(INTERVALS)}; it must be null, as kind is classifier." + AGAIN,
    ),
    (
        {"intervals": None},
        "model.json: intervals is null; it must be an object ({...}), as kind is regressor." + AGAIN,
    ),
    ({"intervals": {}}, "model.json: intervals lacks the keys half_width, coverage: it is incomplete." + AGAIN),
    (
        {"kind": "classifier", "intervals": None, "target": CLASSES_TARGET, "temperature": 0},
        "model.json: temperature is 0; it must be a number above 0." + AGAIN,
    ),
    (
        {"decision": "balanced"},
        'model.json: decision is "balanced"; it must be null, as kind is regressor.' + AGAIN,
    ),
    (
        {**CLASSIFIER, "target": CLASSES_TARGET, "decision": None},
        "model.json: decision is null; it must be one of balanced, likeliest." + AGAIN,
    ),
    (
        {"temperature": 2.0},
        "model.json: temperature is 2.0; it must be null, as kind is regressor." + AGAIN,
    ),
    (
        {"intervals": {**INTERVALS, "half_width": -1}},
        "model.json: intervals.half_width is -1; it must be a number from 0." + AGAIN,
    ),
    (
        {"intervals": {**INTERVALS, "coverage": 90}},
        "model.json: intervals.coverage is 90; it must be a number between 0 and 1." + AGAIN,
    ),
    (
        {"architecture": {"dim": "x"}},
        'model.json: architecture.dim is "x"; it must be a positive whole number.' + AGAIN,
    ),
    (
        {"architecture": {"dim": 8, "lineages": 2.5}},
        "model.json: architecture.lineages is 2.5; it must be a positive whole number." + AGAIN,
    ),
    (
        {"architecture": {"dropout": 1}},
        "model.json: architecture.dropout is 1; it must be a number from 0 and below 1." + AGAIN,
    ),
    ({"settings": 3}, "model.json: settings is 3; it must be an object ({...})." + AGAIN),
    ({"token_limit": "all"}, 'model.json: token_limit is "all"; it must be a positive whole number.' + AGAIN),
    ({"token_limit": True}, "model.json: token_limit is true; it must be a positive whole number." + AGAIN),
    (
        {"head": "forest"},
        'model.json: head is "forest"; it must be one of ensemble, kernel, trees, linear.' + AGAIN,
    ),
    (
        {"kind": "encoder", "target": None, "intervals": None, "head": "linear"},
        'model.json: head is "linear"; it must be null, as kind is encoder.' + AGAIN,
    ),
    ({"encoder": 7}, "model.json: encoder is 7; it must be null or an object ({...})." + AGAIN),
    ({"scores": {"r2": "0.5"}}, 'model.json: scores.r2 is "0.5"; it must be a number or null.' + AGAIN),
]


@LEVELS
@pytest.mark.parametrize("changes, sentence", CONTRADICTIONS)
def test_contradictions_in_the_description_are_refused(changes, sentence, level, model_folder):
    describe(model_folder)
    content = {**json.loads((model_folder / "model.json").read_text()), **changes}
    content = {key: value for key, value in content.items() if value is not ...}
    (model_folder / "model.json").write_text(json.dumps(content))
    assert refused(model_folder, level) == sentence


def test_numbers_that_json_does_not_have_are_refused_at_level_max(model_folder):
    describe(model_folder, scores={"val/r2": float("nan"), "val/mae": None})
    AAMModelDirectoryFormat(str(model_folder), mode="r").validate("min")
    assert refused(model_folder, "max") == (
        "model.json is not JSON: NaN is not JSON; null stands for what was not measured."
    )


def test_a_model_is_no_model_of_another_type(model_folder):
    with pytest.raises(ValidationError) as error:
        Artifact.import_data("AAMModel[Classifier]", str(model_folder))
    assert str(error.value) == (
        "model.json: kind is regressor, so the type of this model is not AAMModel[Classifier] but "
        "AAMModel[Regressor]. Import it as that."
    )


@LEVELS
@pytest.mark.parametrize("covariates", [None, {"columns": [AGE, {**AGE, "name": "weight"}]}])
def test_models_with_and_without_covariates_columns_are_accepted(covariates, level, model_folder):
    describe(model_folder, covariates=covariates)
    AAMModelDirectoryFormat(str(model_folder), mode="r").validate(level)


def test_the_keys_of_a_covariates_column_are_those_of_the_core():
    covariates = pytest.importorskip("q2_aam.study.covariates")
    fitted = covariates.Covariates([covariates.Covariate("x", "numeric")]).to_dict()
    # The last one is missing in models of before.
    assert [*COVARIATE_KEYS, "unlearnt"] == list(fitted["columns"][0])


def test_the_keys_of_a_target_are_those_of_the_core():
    targets = pytest.importorskip("q2_aam.study.targets")
    assert list(TARGET_KEYS) == list(targets.Target("x", "numeric").to_dict())


def test_settings_that_this_version_does_not_know_are_left_to_the_core(model_folder):
    describe(model_folder, architecture={"dim": 8, "attention": "full"}, covariates=None, more={"a": 1})
    AAMModelDirectoryFormat(str(model_folder), mode="r").validate("max")


def old(kind, **changes):
    """What an earlier version wrote into model.json, beside the weights."""
    return {
        "schema_version": 3,
        "training": {"sampling": {"token_limit": 512}, "metric": "unweighted", "encoder": None},
        "settings": ...,
        "token_limit": ...,
        "covariates": ...,
        "head": ...,
        "encoder": ...,
        "temperature": ...,
        "decision": ...,
        **changes,
    }


@LEVELS
@pytest.mark.parametrize("kind", ["encoder", "regressor", "classifier"])
def test_models_of_earlier_schemas_are_models_still(kind, level, model_folder):
    describe(model_folder, kind, **old(kind))
    AAMModelDirectoryFormat(str(model_folder), mode="r").validate(level)


def test_an_encoder_of_an_earlier_schema_is_read_as_one_of_today(model_folder):
    describe(model_folder, "encoder", **old("encoder"))
    read = ModelDescription.from_dict(json.loads((model_folder / "model.json").read_text()))
    assert (read.token_limit, read.settings["metric"], read.head, read.encoder) == (512, "unweighted", None, None)


def test_an_encoder_of_an_earlier_schema_keeps_what_it_was_begun_with(model_folder):
    training = {"sampling": {"token_limit": 512}, "encoder": "abc"}
    describe(model_folder, "encoder", **old("encoder", training=training))
    read = ModelDescription.from_dict(json.loads((model_folder / "model.json").read_text()))
    assert read.encoder == {"sha256": "abc"}


@pytest.mark.parametrize("training", [{}, {"sampling": 3}, {"sampling": {"token_limit": "all"}}])
def test_an_encoder_of_an_earlier_schema_without_a_token_limit_is_refused(training, model_folder):
    describe(model_folder, "encoder", **old("encoder", training=training))
    with pytest.raises(SchemaError, match="training.sampling.token_limit is .*; it must be a positive whole number"):
        ModelDescription.from_dict(json.loads((model_folder / "model.json").read_text()))


def test_a_fitted_model_of_an_earlier_schema_is_refused_with_what_to_do(model_folder):
    describe(model_folder, "regressor", **old("regressor"))
    with pytest.raises(SchemaError) as error:
        ModelDescription.from_dict(json.loads((model_folder / "model.json").read_text()))
    assert str(error.value) == (
        "model.json: this regressor was made by an earlier q2-aam (schema version 3; this one reads 5). Fit it again "
        "with `qiime aam fit` and the encoder that it was made with: encoders of earlier versions are still read."
    )
