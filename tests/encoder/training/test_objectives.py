"""One list of the objectives, from which names, weights, metrics and monitors follow."""

from dataclasses import fields

from q2_aam.encoder.training.lightning_setup import overlays
from q2_aam.encoder.training.objectives import JOINT_LOSSES, OBJECTIVES
from q2_aam.settings import (
    FINE_TUNE_MONITORS,
    LOSS_TERMS,
    PRETRAIN_MONITORS,
    Objective,
    TargetObjective,
    measured_names,
)


def test_every_term_has_a_weight_a_function_and_charts():
    assert [objective.term for objective in OBJECTIVES] == list(LOSS_TERMS)
    weights = [field.name for field in fields(Objective) if field.name.endswith("_weight")]
    assert [term.weight for term in LOSS_TERMS] == weights
    for term in LOSS_TERMS:
        assert Objective(**{term.weight: 3.5}).weight_of(term.loss) == 3.5
        assert list(overlays()[term.label]) == [term.loss, *term.metrics]
    assert JOINT_LOSSES == {"unifrac_loss", "weighted_unifrac_loss"}


def test_monitors_are_what_can_be_measured():
    assert set(PRETRAIN_MONITORS) == set(measured_names(Objective(), True, None))
    tuned = TargetObjective()
    kinds = [measured_names(tuned, True, kind) for kind in ("numeric", "categorical")]
    assert set(FINE_TUNE_MONITORS) == {name for names in kinds for name in names}
    assert FINE_TUNE_MONITORS[:3] == ("total_loss", "target_loss", "r2")
    assert PRETRAIN_MONITORS == (
        *("total_loss", "unifrac_loss", "unifrac_rmse", "unifrac_r"),
        *("nucleotide_loss", "nucleotide_accuracy", "count_loss"),
    )


def test_what_is_not_given_is_not_measured():
    assert measured_names(Objective(unifrac_weight=0.0), True, None) == [
        *("total_loss", "nucleotide_loss", "nucleotide_accuracy", "count_loss"),
    ]
    both = Objective(weighted_unifrac_weight=1.0)
    assert "weighted_unifrac_loss" in measured_names(both, True, None)
    assert "weighted_unifrac_loss" not in measured_names(both, False, None)
    assert measured_names(TargetObjective(), False, "numeric") == ["total_loss", "target_loss", "r2", "mae", "rmse"]
    assert measured_names(Objective(), False, "numeric") == measured_names(Objective(), False, None)
