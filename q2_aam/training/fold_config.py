"""Settings of cross-validation. Imports no torch."""

from dataclasses import dataclass

from q2_aam.training.config import FineTuning, Optimization, check_choice, check_least

PRETRAINING = ("auto", "each_fold", "transductive", "none")


@dataclass(frozen=True)
class CrossValidation:
    """How samples are parted, and what each fold's model is learnt from and with."""

    folds: int = 5
    """Parts; each is predicted by what was learnt from the others."""

    leave_one_group_out: bool = False
    """Make each group a fold of its own."""

    repeats: int = 1
    """Times that all is done, each with other folds and another seed."""

    pretraining: str = "auto"
    """``auto`` is each_fold where no encoder is given, none where one is."""

    pretrain_epochs: int | str = Optimization.epochs
    """Most epochs of pretraining."""

    fit_epochs: int = FineTuning.epochs
    """Most epochs of tuning."""

    batch_size: int = Optimization.batch_size
    """Samples a step, of pretraining and of tuning."""

    freeze_encoder: bool = False
    """Stop after the head."""

    def __post_init__(self):
        check_choice(self, "pretraining", PRETRAINING)
        check_least(self, folds=2, repeats=1, fit_epochs=1, batch_size=1)
        if self.pretrain_epochs != "auto":
            check_least(self, pretrain_epochs=1)
        if self.leave_one_group_out and self.folds != CrossValidation.folds:
            raise ValueError(
                f"folds is {self.folds}, but leave_one_group_out makes each group a fold. Leave one of them out."
            )
