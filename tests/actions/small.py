"""A small simulated study and the actions at tiny sizes, for the tests of everything above the network."""

import hashlib
import json
import shutil
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import biom
import numpy as np
import pandas as pd
import torch
from q2_types.feature_data import DNAFASTAFormat
from q2_types.tree import NewickFormat

from q2_aam.actions.fine_tune import fine_tune
from q2_aam.actions.fit import fit
from q2_aam.actions.predict import predict
from q2_aam.actions.pretrain import pretrain
from q2_aam.encoder.files import digest_of
from q2_aam.framework import qiime2
from q2_aam.study.cautions import Caution

SIZES = {"dim": 16, "lineages": 16}
RUN = {"precision": "32", "threads": 1}
# As many validation samples as intervals of 90% take.
SHARE = {"validation_share": 0.25}


@dataclass
class Survey:
    """A table and what belongs to it, as the actions take it."""

    table: biom.Table
    sequence_of: dict
    tree: object
    frame: pd.DataFrame
    directory: Path

    @property
    def sequences(self):
        return DNAFASTAFormat(str(self.directory / "sequences.fasta"), "r")

    @property
    def phylogeny(self):
        return NewickFormat(str(self.directory / "tree.nwk"), "r")

    def column(self, name):
        """A column of the metadata."""
        return as_column(self.frame[name])

    def samples(self, sample_ids):
        """The table of some samples."""
        return self.table.filter(set(sample_ids), axis="sample", inplace=False)


def as_column(series):
    """A metadata column of a series of numbers or text."""
    return qiime2.Metadata(series.rename_axis("sample-id").to_frame()).get_column(series.name)


def description(model):
    """What model.json says."""
    return json.loads((Path(str(model)) / "model.json").read_text())


def shuffled(table, random_seed=0):
    """The same table, samples and features in another order."""
    rng = np.random.default_rng(random_seed)
    order = [rng.permutation(table.ids(axis)) for axis in ("sample", "observation")]
    return table.sort_order(order[0]).sort_order(order[1], axis="observation")


def tampered(model, folder, change, **described):
    """A copy of a model whose weights, and some of what describes it, were changed, with checksums that fit."""
    shutil.copytree(str(model), folder)
    path = folder / "best_model.pt"
    content = torch.load(path, weights_only=True)
    change(content)
    facts = {**description(folder), **described}
    content["description_sha256"] = digest_of(facts)
    torch.save(content, path)
    facts["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(facts))
    return folder


def newick(tree, path):
    """A tree of scikit-bio as the actions take it."""
    tree.write(str(path), format="newick")
    return NewickFormat(str(path), "r")


def run_pretrain(study, **changes):
    """Pretrain on the study, with what is to differ from tiny."""
    inputs = {"table": study.table, "phylogeny": study.phylogeny, "sequences": study.sequences}
    return pretrain(**{**inputs, "epochs": 2, **SIZES, **RUN, **SHARE, **changes})


def run_fit(study, column, encoder, **changes):
    """Fit the default head on the study; `column` is a name or a metadata column."""
    column = study.column(column) if isinstance(column, str) else column
    inputs = {"table": study.table, "metadata": column, "sequences": study.sequences, "encoder": encoder}
    return fit(**{**inputs, "threads": 1, **changes})


def run_fine_tune(study, column, encoder, **changes):
    """Tune an encoder on the study, with what is to differ from tiny."""
    column = study.column(column) if isinstance(column, str) else column
    inputs = {"table": study.table, "metadata": column, "sequences": study.sequences, "encoder": encoder}
    return fine_tune(**{**inputs, "epochs": 2, **RUN, **SHARE, **changes})


def run_predict(study, model, **changes):
    """Predict the study's samples."""
    return predict(**{"table": study.table, "model": model, "sequences": study.sequences, "threads": 1, **changes})


def printed(capsys):
    """What was printed, a sentence a line: lines that were wrapped are one again."""
    return capsys.readouterr().out.replace("\n  ", " ").splitlines()


@contextmanager
def told(cautions=False):
    """Collect the warnings that a user would be shown; without `cautions`, which any study of 48 samples is given."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        # Python shows users no DeprecationWarning of libraries.
        for category in (UserWarning, RuntimeWarning, FutureWarning):
            warnings.simplefilter("always", category)
        messages = []
        yield messages
    messages += [str(entry.message) for entry in caught if cautions or not issubclass(entry.category, Caution)]
