"""Contradictions that `cross_validate` refuses before it calls any action, in exact sentences."""

import pytest

from q2_aam.actions.cross_validate import cross_validate
from q2_aam.framework import qiime2

from .small import as_column
from .stand_ins import Actions, Content, run, small_frame, small_table

NO_PHYLOGENY = (
    ", which needs the phylogeny: its distances are what is learnt. Give the phylogeny, or leave pretraining out: the "
    "encoder is then the one that comes with q2-aam, or yours."
)
ENCODER = Content(None, seen=5)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"phylogeny": None, "pretraining": "each_fold"}, f"pretraining is 'each_fold'{NO_PHYLOGENY}"),
        (
            {"phylogeny": None, "pretraining": "transductive", "encoder": ENCODER},
            f"pretraining is 'transductive'{NO_PHYLOGENY}",
        ),
        (
            {"encoder": ENCODER, "pretrain_epochs": 7},
            "pretrain_epochs is 7, but nothing is pretrained. Leave pretrain_epochs out, or set pretraining to "
            "'each_fold'.",
        ),
        (
            {"covariate_columns": ["kind"]},
            "covariate_columns names columns of the covariates' metadata, but there is none. Give it as covariates, or "
            "leave covariate_columns out.",
        ),
        (
            {"folds": 3, "leave_one_group_out": True},
            "folds is 3, but leave_one_group_out makes each group a fold. Leave one of them out.",
        ),
        (
            {"groups": None, "leave_one_group_out": True},
            "leave_one_group_out needs groups. Give the column of the groups, or leave it out.",
        ),
        (
            {"folds": 11},
            "folds is 11, but there are 10 groups only. Give fewer folds, or more samples or a column of smaller "
            "groups.",
        ),
        ({"head": "forest"}, "head must be one of ensemble, kernel, trees, linear, but is 'forest'."),
    ],
)
def test_contradictions_are_refused_before_anything_is_called(changes, sentence):
    context, frame = Actions(), small_frame()
    arguments = {"phylogeny": "tree", "groups": as_column(frame["site"]), **changes}
    with pytest.raises(ValueError) as error:
        cross_validate(context, Content(small_table()), as_column(frame["ph"]), **arguments)
    assert str(error.value) == sentence
    assert context.calls == []


def test_pretraining_takes_counts_alone():
    """Pretraining in a fold would refuse the table, too, but in QIIME 2's words and after the first fold was made."""
    context, frame = Actions(), small_frame()
    table = Content(small_table(), type="FeatureTable[RelativeFrequency]")
    with pytest.raises(ValueError) as error:
        cross_validate(context, table, as_column(frame["ph"]), phylogeny="tree", pretraining="each_fold")
    assert str(error.value) == (
        "pretraining is 'each_fold', which needs counts of reads, but the table is FeatureTable[RelativeFrequency]. "
        "Give a table of counts, or leave pretraining out."
    )
    assert context.calls == []


@pytest.mark.parametrize(
    "columns, sentence",
    [
        (
            ["ph"],
            "Covariate 'ph' is the column to predict: the model would be given the answer. Name the columns to use as "
            "covariates, without it.",
        ),
        (
            None,
            "Covariate 'ph' is the column to predict: the model would be given the answer. Name the columns to use as "
            "covariates, without it.",
        ),
        (
            ["site"],
            "Covariate 'site' is the group column: new samples are of other groups, of which nothing can be learnt. "
            "Name the columns to use as covariates, without it.",
        ),
        (
            ["depth"],
            "The metadata of the covariates has no column depth; there are ph, kind, site. Correct the names of the "
            "covariates.",
        ),
        (
            ["kind"],
            "Covariate 'kind' has no value in 2 of 30 samples: 04, 07. Fill them in, filter these samples from the "
            "table, leave the covariate out, or set missing_covariates to 'impute'.",
        ),
    ],
)
def test_covariates_are_refused_before_an_encoder_is_pretrained(columns, sentence, monkeypatch):
    frame = small_frame()
    frame.loc[["04", "07"], "kind"] = None
    monkeypatch.setattr(Actions, "pretrain", None)
    with pytest.raises(ValueError) as error:
        run(small_table(), frame, covariates=qiime2.Metadata(frame.rename_axis("id")), covariate_columns=columns)
    assert str(error.value) == sentence


def test_a_class_called_as_ids_are_is_refused():
    frame = small_frame()
    frame["kind"] = frame["kind"].replace("x", "sample-id")
    with pytest.raises(ValueError, match="^1 classes of column 'kind' are called what QIIME 2 calls a column of IDs"):
        run(small_table(), frame, "kind")
