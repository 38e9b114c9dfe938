"""`cross_validate`, a pipeline: every sample predicted once by what was learnt without it and without its group."""

import warnings

import biom
import pandas as pd

from q2_aam.actions._reading import foreign_cautions, refuse_columns_of_nothing, refuse_id_headers
from q2_aam.actions._reporting import readable_warnings, say
from q2_aam.framework import qiime2
from q2_aam.interface import speaking
from q2_aam.settings import LARGEST_SEED, CrossValidation, Fitting, Reading, of_arguments


def cross_validate(
    ctx,
    table,
    metadata,
    sequences=None,
    phylogeny=None,
    encoder=None,
    groups=None,
    covariates=None,
    folds=CrossValidation.folds,
    leave_one_group_out=CrossValidation.leave_one_group_out,
    repeats=CrossValidation.repeats,
    pretraining=CrossValidation.pretraining,
    pretrain_epochs=CrossValidation.pretrain_epochs,
    covariate_columns=None,
    missing_covariates=Reading.missing_covariates,
    missing_samples=Reading.missing_samples,
    missing_features=Reading.missing_features,
    head=Fitting.head,
    target_transform=Fitting.target_transform,
    decision=Fitting.decision,
    foreign=Fitting.foreign,
    device=Fitting.device,
    threads=Fitting.threads,
    random_seed=Fitting.random_seed,
):
    """Cross-validate; the parameters are described where they are registered."""
    arguments = dict(locals())
    with speaking(cross_validate), readable_warnings():
        of_arguments(CrossValidation, arguments)
        of_arguments(Fitting, arguments)
        refuse_columns_of_nothing(covariates, covariate_columns)
        refuse_contradictions(pretraining, phylogeny, pretrain_epochs)
        refuse_no_counts(pretraining, table)
        warn_of_seen_samples(pretraining, encoder)
        pipeline = Pipeline(ctx, arguments)
        pipeline.run_repeats()
        return pipeline.results()


class Pipeline:
    """The actions of a cross-validation, called fold by fold; no result is looked at before all were called.

    So folds can run at the same time where QIIME 2 can do that.

    Parameters
    ----------
    ctx : Context
        Of the pipeline.
    arguments : dict
        Those of :func:`cross_validate`.
    """

    RESULTS = ("predictions", "certainty", "novelty", "baselines")

    def __init__(self, ctx, arguments: dict):
        self.arguments, self.pretraining = arguments, arguments["pretraining"]
        self.filter_samples = ctx.get_action("feature_table", "filter_samples")
        names = ("pretrain", "fit", "predict", "predict_baselines", "merge_folds", "evaluate")
        self.actions = {name: ctx.get_action("aam", name) for name in names}
        self.table, self.metadata = arguments["table"], arguments["metadata"]
        self.sample_ids, self.values, self.groups = self._known_samples()
        self.parts = {name: [] for name in self.RESULTS}
        # Of each repeat: its seed and its folds.
        self.repeats = [self._folds(repeat) for repeat in range(arguments["repeats"])]
        self._check_sequences()

    def _known_samples(self):
        """IDs of the samples that have all that is needed; their values and groups, in this order."""
        from q2_aam.study.cautions import Caution, warn_of_cautions
        from q2_aam.study.metadata import refuse_missing
        from q2_aam.study.parts import samples_with_values
        from q2_aam.study.targets import Target

        columns = [self.metadata.to_series()]
        if self.arguments["groups"] is not None:
            columns.append(self.arguments["groups"].to_series())
        covariates = self._covariates()
        table = samples_with_values(
            self.table.view(biom.Table),
            *columns,
            covariates=covariates,
            missing_samples=self.arguments["missing_samples"],
        )
        sample_ids = table.ids().astype(object)
        if covariates is not None and self.arguments["missing_covariates"] == "error":
            for name in covariates:
                refuse_missing(covariates.loc[sample_ids, name])
        values, *groups = (column.reindex(sample_ids) for column in columns)
        groups = groups[0] if groups else None
        if self.metadata.type == "categorical":
            Target.fit_categorical(values)
            refuse_id_headers(values)
        else:
            Target.fit_numeric(values, self.arguments["target_transform"])
        warn_of_cautions(values, groups)
        # Said once, of all samples; each fold would say it again of its own.
        warnings.filterwarnings("ignore", category=Caution)
        return sample_ids, values, groups

    def _check_sequences(self) -> None:
        """Once and of all samples whether the encoder can judge them: not in the midst of the folds."""
        table = self.table.view(biom.Table).filter(set(self.sample_ids), inplace=False)
        given = self._some("encoder", "sequences", "groups", "missing_features", "foreign", "threads")
        for caution in foreign_cautions(table, **given, pretrained=self.pretraining != "none"):
            warnings.warn(caution, stacklevel=4)

    def _covariates(self) -> pd.DataFrame | None:
        """The columns that each fold's model will read, refused here rather than after the first fold's encoder."""
        from q2_aam.study.metadata import choose_columns

        if self.arguments["covariates"] is None:
            return None
        frame, groups = self.arguments["covariates"].to_dataframe(), self.arguments["groups"]
        names, group_name = self.arguments["covariate_columns"], None if groups is None else groups.name
        return frame[choose_columns(frame.columns, names, self.metadata.name, group_name)]

    def _folds(self, repeat: int) -> tuple[int, list]:
        """The seed of a repeat, and its folds: rows to learn from and rows to predict."""
        from q2_aam.study.folds import grouped_folds

        seed = (self.arguments["random_seed"] + repeat) % (LARGEST_SEED + 1)
        return seed, grouped_folds(
            len(self.sample_ids),
            self.arguments["folds"],
            groups=self.groups,
            classes=None if self.metadata.type == "numeric" else self.values,
            leave_one_group_out=self.arguments["leave_one_group_out"],
            random_seed=seed,
        )

    def run_repeats(self) -> None:
        """All folds of all repeats."""
        repeats, tests = len(self.repeats), []
        for repeat, (seed, parts) in enumerate(self.repeats, 1):
            tests.append({tuple(test) for _, test in parts})
            encoder = self.arguments["encoder"]
            if self.pretraining == "transductive":
                # Of all samples of the table, those without a value included.
                encoder = self._pretrain(self.table, seed)
            place = f"Repeat {repeat} of {repeats}, fold" if repeats > 1 else "Fold"
            for number, (train_rows, test_rows) in enumerate(parts, 1):
                train_ids, test_ids = self.sample_ids[train_rows], self.sample_ids[test_rows]
                say(f"{place} {number} of {len(parts)}: {self._describe_fold(train_ids, test_ids)}.")
                self._run_fold(encoder, train_ids, test_ids, seed)
        same = repeats > 1 and all(test == tests[0] for test in tests)
        if same and not self.arguments["leave_one_group_out"]:
            warnings.warn(
                "The folds of all repeats are the same, because the groups can be parted evenly in one way only. The "
                "repeats differ by the seeds of the models alone.",
                stacklevel=3,
            )

    def _run_fold(self, encoder, train_ids, test_ids, seed: int) -> None:
        [train_table] = self.filter_samples(table=self.table, metadata=_as_metadata(train_ids))
        [test_table] = self.filter_samples(table=self.table, metadata=_as_metadata(test_ids))
        if self.pretraining == "each_fold":
            encoder = self._pretrain(train_table, seed)
        # What is learnt from is given the values of these samples and of no others.
        groups = self.arguments["groups"]
        labels = {
            "metadata": self.metadata.filter_ids(list(train_ids)),
            "groups": None if groups is None else groups.filter_ids(list(train_ids)),
        }
        reading = self._some("missing_features")
        covariates = self._some("covariates", "covariate_columns", "missing_covariates")
        model, *_ = self.actions["fit"](
            table=train_table,
            encoder=encoder,
            random_seed=seed,
            foreign="ignore",
            **labels,
            **reading,
            **covariates,
            **self._some("sequences", "head", "target_transform", "decision", "device", "threads"),
        )
        predicted = self.actions["predict"](
            table=test_table,
            model=model,
            foreign="ignore",
            **reading,
            **self._some("sequences", "covariates", "device", "threads"),
        )
        [baselines] = self.actions["predict_baselines"](
            train_table=train_table,
            table=test_table,
            random_seed=seed,
            **labels,
            **reading,
            **covariates,
            **self._some("phylogeny", "threads"),
        )
        for name, result in zip(self.RESULTS, (*predicted, baselines), strict=True):
            self.parts[name].append(result)

    def _pretrain(self, table, seed: int):
        model, _ = self.actions["pretrain"](
            table=table,
            epochs=self.arguments["pretrain_epochs"],
            random_seed=seed,
            **self._some("sequences", "phylogeny", "encoder", "missing_features", "device", "threads"),
        )
        return model

    def _some(self, *names: str) -> dict:
        """Some of the pipeline's arguments, to be handed on under the same names."""
        return {name: self.arguments[name] for name in names}

    def _describe_fold(self, train_ids, test_ids) -> str:
        counts = []
        for ids in (train_ids, test_ids):
            groups = "" if self.groups is None else f" ({self.groups.loc[ids].nunique()} groups)"
            counts.append(f"{len(ids)}{groups}")
        return f"samples to learn from {counts[0]}, to predict {counts[1]}"

    def results(self) -> tuple:
        """The folds merged and scored, and the page of them."""
        groups, ids = self.arguments["groups"], list(self.sample_ids)
        # Side by side, results are promises. The framework keeps those of a list by waiting for them while it holds
        # the lock of its cache, which the actions that make them need: here they are waited for without it.
        for results in self.parts.values():
            for result in results:
                _ = result.uuid
        read = self.pretraining if self.arguments["encoder"] is None else f"encoder+{self.pretraining}"
        predictions, certainty, novelty, baselines, scores = self.actions["merge_folds"](
            **self.parts,
            metadata=self.metadata.filter_ids(ids),
            groups=None if groups is None else groups.filter_ids(ids),
            pretraining="ready" if read == "none" else read,
        )
        outcome = {"predictions": predictions, "certainty": certainty, "baselines": baselines, "scores": scores}
        [report] = self.actions["evaluate"](
            **outcome,
            # Of several repeats each has a novelty of its own.
            novelty=novelty if self.arguments["repeats"] == 1 else None,
            metadata=self.metadata,
            groups=groups,
        )
        return (*outcome.values(), report)


def refuse_contradictions(pretraining: str, phylogeny, pretrain_epochs: int | str) -> None:
    """Stop when an encoder cannot be pretrained, or there are settings for one where none is."""
    if pretraining != "none" and phylogeny is None:
        raise ValueError(
            f"pretraining is {pretraining!r}, which needs the phylogeny: its distances are what is learnt. Give the "
            "phylogeny, or leave pretraining out: the encoder is then the one that comes with q2-aam, or yours."
        )
    if pretraining == "none" and pretrain_epochs != CrossValidation.pretrain_epochs:
        raise ValueError(
            f"pretrain_epochs is {pretrain_epochs}, but nothing is pretrained. Leave pretrain_epochs out, or set "
            "pretraining to 'each_fold'."
        )


def refuse_no_counts(pretraining: str, table) -> None:
    """Stop when an encoder is to be pretrained on a table that `pretrain` does not take."""
    if pretraining != "none" and str(table.type) != "FeatureTable[Frequency]":
        raise ValueError(
            f"pretraining is {pretraining!r}, which needs counts of reads, but the table is {table.type}. Give a table "
            "of counts, or leave pretraining out."
        )


def warn_of_seen_samples(pretraining: str, encoder) -> None:
    """Warn of encoders that have read samples which are predicted."""
    if pretraining == "transductive":
        warnings.warn(
            "pretraining is 'transductive': the encoder learns from the communities of all samples, those that are "
            "predicted included, without their values. The scores hold for samples that are there when the encoder is "
            "pretrained, not for later ones.",
            stacklevel=3,
        )
    if encoder is not None:
        warnings.warn(
            "An encoder was given: if it was pretrained on samples of this table, it has seen the communities "
            "(not the values) of samples that are predicted here, and the scores do not hold for later samples.",
            stacklevel=3,
        )


def _as_metadata(sample_ids):
    return qiime2.Metadata(pd.DataFrame(index=pd.Index(sample_ids, name="id")))
