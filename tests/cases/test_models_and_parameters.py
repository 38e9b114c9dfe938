"""Models, parameters and directories."""

import pytest

from .inputs import outcome

CASES = {
    "a regressor as encoder": (
        lambda g: g.fit(encoder=g.regressor),
        "The model is a regressor of 'ph', but an encoder is needed. Give what `qiime aam pretrain` made.",
    ),
    "a regressor as encoder, in pretrain": (
        lambda g: g.pretrain(encoder=g.regressor),
        "The model is a regressor of 'ph', but an encoder is needed. Give what `qiime aam pretrain` made.",
    ),
    "an encoder in predict": (
        lambda g: g.predict(model=g.encoder),
        "The model is an encoder, which has no target. Give it to `qiime aam fit` first.",
    ),
    "an encoder in explain": (
        lambda g: g.explain(model=g.encoder),
        "The model is an encoder, which has no target. Give it to `qiime aam fit` first.",
    ),
    "a model of a newer q2-aam": (
        lambda g: g.predict(model=g.model(g.regressor, schema_version=99)),
        "model.json was made by a newer q2-aam (schema version 99, while this one reads up to 5): update q2-aam.",
    ),
    "a model whose weights are another's": (
        lambda g: g.predict(model=g.model(g.regressor, sha256="0" * 64)),
        "best_model.pt is not the file that model.json describes (its SHA-256 differs). Use an unaltered copy of the "
        "model.",
    ),
    "a model of an unknown kind": (
        lambda g: g.predict(model=g.model(g.regressor, kind="oracle")),
        'model.json: kind is "oracle"; it must be one of encoder, regressor, classifier. Make the artifact again with '
        "q2-aam.",
    ),
    "an encoder of other sizes than are asked for": (
        lambda g: g.pretrain(encoder=g.encoder, dim=32),
        "The encoder has sizes of its own, but others were asked for: dim 32 (the encoder has 16). Leave them out, or "
        "pretrain an encoder with them.",
    ),
    "a metric that the encoder has not learnt": (
        lambda g: g.embed(metric="weighted_normalized"),
        "metric is 'weighted_normalized', but the encoder has learnt unweighted UniFrac alone. Take unweighted, or an "
        "encoder that has learnt weighted_normalized UniFrac.",
    ),
    "threads that are no number": (
        lambda g: g.predict(threads="many"),
        "threads must be at least 1, but is many.",
    ),
    "no threads": (
        lambda g: g.fit(threads=0),
        "threads must be at least 1, but is 0.",
    ),
    "a seed below 0": (
        lambda g: g.fit(random_seed=-1),
        "random_seed must be from 0 to 4294967295, but is -1.",
    ),
    "a batch of no sample": (
        lambda g: g.predict(batch_size=0),
        "batch_size must be at least 1, but is 0.",
    ),
    "no epoch": (
        lambda g: g.pretrain(epochs=0),
        "epochs must be at least 1, but is 0.",
    ),
    "a learning rate of 0": (
        lambda g: g.pretrain(learning_rate=0.0),
        "learning_rate must be above 0, but is 0.0.",
    ),
    "a learning rate that is not a number": (
        lambda g: g.pretrain(learning_rate=float("nan")),
        "learning_rate must be above 0, but is nan.",
    ),
    "a validation share of 1": (
        lambda g: g.pretrain(validation_share=1.0),
        "validation_share must be at least 0 and below 1, but is 1.0.",
    ),
    "a validation share of 0, in fine-tune": (
        lambda g: g.fine_tune(validation_share=0.0),
        "validation_share is 0, but fine-tuning needs validation samples: they pick the best epoch and tell the "
        "errors. Set it above 0.",
    ),
    "more heads than the width can be parted into": (
        lambda g: g.pretrain(dim=7),
        "dim (7) must be a multiple of heads (4).",
    ),
    "a length of 0": (
        lambda g: g.pretrain(max_length=0),
        "max_length must be at least 1, but is 0.",
    ),
    "a monitor that is not measured": (
        lambda g: g.fine_tune(monitor="accuracy"),
        "monitor is 'accuracy', which is not measured here; choose one of total_loss, target_loss, r2, mae, rmse.",
    ),
    "a weight of UniFrac without a phylogeny": (
        lambda g: g.fine_tune(unifrac_weight=1.5),
        "unifrac_weight is 1.5, but there is no phylogeny, without which no distances are learnt. Give the phylogeny, "
        "or leave unifrac_weight out.",
    ),
    "ranks without groups of features": (
        lambda g: g.explain(level=2),
        "level is 2, but there are no feature_groups whose ranks it could keep. Give them, or leave level out.",
    ),
    "groups without true values, in explain": (
        lambda g: g.explain(groups=g.own("site")),
        "There are groups, but no metadata: groups tell how far the explanation can be trusted, which takes the true "
        "values. Give metadata, or leave groups out.",
    ),
    "two kinds of groups of features": (
        lambda g: g.explain(clusters=True, phylogeny=g.tree()),
        "phylogeny and clusters each say which features leave together. Give one of them, and run explain again for "
        "another.",
    ),
    "true values of another column, in explain": (
        lambda g: g.explain(metadata=g.own("habitat")),
        "The model predicts the numeric column 'ph', but metadata is the categorical column 'habitat'. Give the "
        "column that the model was fitted to, or leave metadata out.",
    ),
    "groups of features that the table lacks": (
        lambda g: g.explain(
            feature_groups=g.metadata(ids=[f"q{n}" for n in range(40)], taxon=["a;b"] * 40).get_column("taxon")
        ),
        "None of the table's features has a name in column 'taxon' of the feature groups. The features are called "
        "f01, f02, f03, f04, f05, ... (40 in all), those of the groups q0, q1, q2, q3, q4, ... (40 in all).",
    ),
    "a share of 0, in split-samples": (
        lambda g: g.split(share=0),
        "share must be between 0 and 1, but is 0.",
    ),
    "a share of 1, in split-samples": (
        lambda g: g.split(share=1),
        "share must be between 0 and 1, but is 1.",
    ),
    "more folds than samples": (
        lambda g: g.cross_validate(folds=31),
        "folds is 31, but there are 30 samples only. Give fewer folds, or more samples.",
    ),
    "one fold": (
        lambda g: g.cross_validate(folds=1),
        "folds must be at least 2, but is 1.",
    ),
    "each group a fold without groups": (
        lambda g: g.cross_validate(leave_one_group_out=True),
        "leave_one_group_out needs groups. Give the column of the groups, or leave it out.",
    ),
    "folds and each group a fold": (
        lambda g: g.cross_validate(folds=3, leave_one_group_out=True, groups=g.own("site")),
        "folds is 3, but leave_one_group_out makes each group a fold. Leave one of them out.",
    ),
    "epochs of pretraining without pretraining": (
        lambda g: g.cross_validate(pretrain_epochs=7),
        "pretrain_epochs is 7, but nothing is pretrained. Leave pretrain_epochs out, or set pretraining to "
        "'each_fold'.",
    ),
    "pretraining without a phylogeny": (
        lambda g: g.cross_validate(pretraining="each_fold"),
        "pretraining is 'each_fold', which needs the phylogeny: its distances are what is learnt. Give the phylogeny, "
        "or leave pretraining out: the encoder is then the one that comes with q2-aam, or yours.",
    ),
    "a run directory that is a file": (
        lambda g: g.pretrain(run_dir=g.file),
        "run_dir FOLDER/file is a file. Give a directory; it is made where it is not there.",
    ),
    "a run directory in a file": (
        lambda g: g.pretrain(run_dir=f"{g.file}/run"),
        "Nothing can be written to run_dir FOLDER/file/run (Not a directory). Give another directory.",
    ),
    "a run directory without a name": (
        lambda g: g.pretrain(run_dir=""),
        "run_dir is empty. Name a directory, or leave it out.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_models_and_parameters(given, case):
    call, expected = CASES[case]
    assert outcome(given, call) == expected
