"""A small study made in code, ways to spoil it, and the actions as a user calls them."""

import json
import shutil
import warnings
from functools import cached_property
from pathlib import Path
from unittest.mock import patch

import biom
import numpy as np
import pandas as pd
from q2_types.feature_data import DNAFASTAFormat
from q2_types.tree import NewickFormat

from q2_aam import fine_tuning, predictor
from q2_aam.actions.cross_validate import cross_validate
from q2_aam.actions.embed import embed
from q2_aam.actions.explain import explain
from q2_aam.actions.fine_tune import fine_tune
from q2_aam.actions.fit import fit
from q2_aam.actions.maturity import maturity
from q2_aam.actions.predict import predict
from q2_aam.actions.predict_baselines import predict_baselines
from q2_aam.actions.pretrain import pretrain
from q2_aam.actions.split_samples import split_samples
from q2_aam.encoder import pretraining
from q2_aam.framework import qiime2
from q2_aam.interface import spoken
from q2_aam.types import AAMModelDirectoryFormat
from q2_aam.visualizers.evaluate import evaluate
from tests.actions.small import SIZES, as_column
from tests.actions.stand_ins import Actions, Content
from tests.visualizers.pages import predictions_of

SAMPLES, FEATURES, LENGTH = 30, 40, 150
PRIMER = "GTGCCAGCAGCCGCGGTAA"
COMPLEMENT = str.maketrans("ACGT", "TGCA")


class Began(BaseException):
    """Work has begun: nothing more is refused."""


class GoesOn(tuple):
    """What is warned of where nothing is refused."""

    def __new__(cls, *warnings):
        return super().__new__(cls, warnings)

    def __repr__(self):
        return f"GoesOn{super().__repr__()}"


def outcome(given, call) -> str | GoesOn:
    """The sentence that something is refused with, or what is warned of: without what is said of any small study."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            call(given)
        except Began:
            pass
        except ValueError as error:
            return str(error).replace(str(given.directory), "FOLDER")
    said = [str(entry.message) for entry in caught]
    return GoesOn(*(text for text in said if not text.startswith(f"Only {SAMPLES} samples have a value")))


def began(*_, **__):
    raise Began


def turned(sequence: str) -> str:
    """The reverse complement."""
    return sequence.translate(COMPLEMENT)[::-1]


def shuffled(sequence: str) -> str:
    """The same nucleotides in another order, which differs from sequence to sequence."""
    return "".join(np.random.default_rng(len(set(sequence[:80])) + ord(sequence[90])).permutation(list(sequence)))


def unrelated(sequence: str) -> str:
    """As of another gene."""
    rng = np.random.default_rng(int.from_bytes(sequence.encode(), "big") % 2**32)
    return "".join(rng.choice(list("ACGT"), LENGTH))


class Inputs:
    """Samples s01 to s30 of six sites along a gradient of pH; features f01 to f40, reads of one primer, of 150 nt."""

    def __init__(self, directory: Path):
        self.directory, self.files = directory, 0
        rng = np.random.default_rng(0)
        self.ids = [f"s{n:02d}" for n in range(1, SAMPLES + 1)]
        self.features = [f"f{n:02d}" for n in range(1, FEATURES + 1)]
        ancestor = rng.integers(0, 4, LENGTH)
        letters = np.where(rng.random((FEATURES, LENGTH)) < 0.2, rng.integers(0, 4, (FEATURES, LENGTH)), ancestor)
        self.sequence_of = {f: "".join("ACGT"[i] for i in row) for f, row in zip(self.features, letters, strict=True)}
        place = rng.permutation(SAMPLES) / SAMPLES
        near = np.exp(-(((np.linspace(0, 1, FEATURES)[:, None] - place) / 0.3) ** 2))
        self.counts = rng.poisson(400 * near * rng.gamma(1, 1, near.shape)) * (rng.random(near.shape) < 0.8)
        self.counts[:2] += 1
        self.ph = np.round(4 + 5 * place + rng.normal(0, 0.3, SAMPLES), 2)
        kinds = np.array(["bog", "fen", "heath"])[(place * 2.999).astype(int)]
        self.frame = pd.DataFrame(
            {"ph": self.ph, "habitat": kinds, "site": [f"site {n % 6}" for n in range(SAMPLES)]}, index=self.ids
        )
        self.table = self.table_of(self.counts)
        self.sequences = self.fasta(self.sequence_of)

    # Made anew

    def path(self, end: str) -> Path:
        """Of a file that is not there."""
        self.files += 1
        return self.directory / f"{self.files}{end}"

    def table_of(self, counts, features=None, ids=None) -> biom.Table:
        """A table, of the study's features and samples by default."""
        return biom.Table(np.asarray(counts, dtype=float), features or self.features, ids or self.ids)

    def with_count(self, value: float) -> biom.Table:
        """One of the counts is another."""
        counts = self.counts.astype(float)
        counts[6, 4] = value
        return self.table_of(counts)

    def called(self, name) -> biom.Table:
        """The features have other names, by their number."""
        return self.table_of(self.counts, [name(n) for n in range(1, FEATURES + 1)])

    def samples_called(self, name) -> biom.Table:
        """The samples have other names."""
        return self.table_of(self.counts, ids=[name(one) for one in self.ids])

    def fasta(self, sequences) -> DNAFASTAFormat:
        """A file of sequences by name, or of any text."""
        text = sequences if isinstance(sequences, str) else "".join(f">{k}\n{v}\n" for k, v in sequences.items())
        path = self.path(".fasta")
        path.write_text(text)
        return DNAFASTAFormat(str(path), "r")

    def named(self, name) -> DNAFASTAFormat:
        """The sequences under other names, by their number."""
        return self.fasta({name(n): self.sequence_of[f] for n, f in enumerate(self.features, 1)})

    def one_sequence(self, text: str) -> DNAFASTAFormat:
        """The first sequence is another one."""
        return self.fasta({**self.sequence_of, "f01": text})

    def changed(self, change, samples=None, share: float = 1.0) -> dict:
        """Table and sequences: so large a part of the reads of some samples (all) is in changed sequences."""
        own = self.counts.astype(float).copy()
        other = np.zeros_like(own)
        columns = slice(None) if samples is None else samples
        other[:, columns] = np.round(own[:, columns] * share)
        own[:, columns] -= other[:, columns]
        names = [f"x{f}" for f in self.features]
        more = {f"x{f}": change(text) for f, text in self.sequence_of.items()}
        return {
            "table": self.table_of(np.vstack([own, other]), self.features + names),
            "sequences": self.fasta({**self.sequence_of, **more}),
        }

    def replicated(self, times: int = 2) -> biom.Table:
        """Samples that were sequenced several times."""
        rng = np.random.default_rng(1)
        shares = self.counts / self.counts.sum(0)
        return self.table_of(np.stack([rng.multinomial(8000, shares[:, n // times]) for n in range(SAMPLES)], 1))

    def column(self, values, name: str = "x", ids=None):
        """A metadata column of numbers or text, of the first samples where there are fewer values."""
        values = list(values)
        kind = object if any(isinstance(value, str) for value in values) else float
        return as_column(pd.Series(values, index=list(ids or self.ids)[: len(values)], name=name, dtype=kind))

    def classes(self, *names: str):
        """A column of classes in turns."""
        return self.column([names[n % len(names)] for n in range(SAMPLES)])

    def metadata(self, ids=None, **columns) -> qiime2.Metadata:
        return qiime2.Metadata(pd.DataFrame(columns, index=pd.Index(ids or self.ids, name="id")))

    def own(self, name: str):
        """One of the study's columns."""
        return as_column(self.frame[name])

    def renamed(self, rename, name: str = "ph"):
        """One of the study's columns, its samples renamed."""
        return as_column(self.frame[name].rename(rename))

    def newick(self, text: str) -> NewickFormat:
        path = self.path(".nwk")
        path.write_text(text, encoding="utf-8")
        return NewickFormat(str(path), "r")

    def tree(self, name=lambda feature: feature, length: str = ":1") -> NewickFormat:
        """A tree of the features."""
        tips = [f"{name(f)}{length}" for f in self.features]
        pairs = [f"({','.join(tips[n : n + 4])}){length}" for n in range(0, FEATURES, 4)]
        return self.newick(f"({','.join(pairs)});")

    def model(self, source, **facts) -> AAMModelDirectoryFormat:
        """A copy of a model that describes itself otherwise."""
        path = self.path("-model")
        shutil.copytree(str(source), path)
        content = json.loads((path / "model.json").read_text())
        (path / "model.json").write_text(json.dumps({**content, **facts}))
        return AAMModelDirectoryFormat(str(path), "r")

    @cached_property
    def file(self) -> str:
        """A file where a directory is meant."""
        path = self.directory / "file"
        path.write_text("")
        return str(path)

    # Learnt once

    @cached_property
    def encoder(self):
        given = {"table": self.table, "phylogeny": self.tree(), "sequences": self.sequences}
        return pretrain(**given, epochs=1, precision="32", threads=1, **SIZES)[0]

    @cached_property
    def regressor(self):
        return fit(self.table, self.own("ph"), self.sequences, self.encoder, groups=self.own("site"), threads=1)[0]

    @cached_property
    def with_covariates(self):
        """A model that needs the covariates depth and soil."""
        covariates = self.metadata(depth=np.arange(float(SAMPLES)), soil=["clay", "sand"] * (SAMPLES // 2))
        given = {"covariates": covariates, "head": "linear", "threads": 1}
        return fit(self.table, self.own("ph"), self.sequences, self.encoder, **given)[0]

    # Actions; those that learn stop where they begin to

    def fit(self, column=None, **changes) -> None:
        with patch.object(predictor, "features_of", began):
            self.fitted(column, **changes)

    def fitted(self, column=None, **changes):
        """To the end."""
        column = self.own("ph") if column is None else column
        given = {"table": self.table, "sequences": self.sequences, "encoder": self.encoder, "head": "linear"}
        return spoken(fit)(metadata=column, **{**given, "threads": 1, **changes})

    def fine_tune(self, column=None, **changes) -> None:
        column = self.own("ph") if column is None else column
        given = {"table": self.table, "sequences": self.sequences, "encoder": self.encoder, "threads": 1}
        with patch.object(fine_tuning, "train", began):
            spoken(fine_tune)(metadata=column, **{**given, "precision": "32", **changes})

    def pretrain(self, **changes) -> None:
        given = {"table": self.table, "sequences": self.sequences, "phylogeny": self.tree(), "threads": 1}
        with patch.object(pretraining, "train", began):
            spoken(pretrain)(**{**given, "precision": "32", **SIZES, **changes})

    def predict(self, **changes):
        given = {"table": self.table, "sequences": self.sequences, "model": self.regressor, "threads": 1}
        return spoken(predict)(**{**given, **changes})

    def embed(self, **changes):
        given = {"table": self.table, "sequences": self.sequences, "model": self.encoder, "threads": 1}
        return spoken(embed)(**{**given, **changes})

    def explain(self, **changes):
        given = {"table": self.table, "sequences": self.sequences, "model": self.regressor, "threads": 1}
        return spoken(explain)(**{**given, "most_read": 1, **changes})

    def split(self, **changes):
        return spoken(split_samples)(**{"table": self.table, "metadata": self.own("ph"), **changes})

    def baselines(self, **changes):
        given = {"train_table": self.table, "table": self.table, "metadata": self.own("ph"), "threads": 1}
        return spoken(predict_baselines)(**{**given, **changes})

    def maturity(self, predicted=None, **changes):
        predicted = self.frame["ph"] if predicted is None else predicted
        given = {"metadata": self.own("ph"), "cohorts": self.own("habitat"), "control": "bog"}
        return spoken(maturity)(predictions_of(predicted), **{**given, **changes})

    def evaluate(self, predicted=None, column=None, **changes) -> None:
        predicted = self.frame["ph"] if predicted is None else predicted
        path = self.path("-page")
        path.mkdir()
        column = self.own("ph") if column is None else column
        with patch("q2_aam.visualizers.evaluate.Page", began):
            evaluate(str(path), predictions_of(predicted), column, **changes)

    def cross_validate(self, column=None, table=None, sequences=None, **changes) -> None:
        """Until it calls the first action."""
        column = self.own("ph") if column is None else column
        table, sequences = table or self.table, sequences or self.sequences
        given = {"sequences": Content(sequences), "encoder": Content(self.encoder), "threads": 1, **changes}
        with patch.object(Actions, "filter_samples", began):
            cross_validate(Actions(), Content(table), column, **given)
