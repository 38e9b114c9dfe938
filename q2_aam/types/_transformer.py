"""Transformers: how files become tables, metadata and dictionaries, and back.

Numbers are written and read with all their digits, and IDs stay the text that they are.
"""

import csv
import json

import numpy as np
import pandas as pd

from q2_aam.framework import qiime2
from q2_aam.types._format import (
    INTERVAL_COLUMNS,
    LEARNT_COLUMNS,
    NEIGHBOUR_COLUMNS,
    NOVELTY_COLUMNS,
    AAMModelDirectoryFormat,
    AAMTrainingLogDirectoryFormat,
    NoveltyFormat,
    PredictionIntervalsFormat,
)
from q2_aam.types._judging import (
    SCORE_KEYS,
    SCORE_TEXTS,
    TRIVIAL,
    AAMScoresFormat,
    BaselinePredictionsFormat,
)
from q2_aam.types._maturity import MATURITY_COLUMNS, MATURITY_TEXTS, AAMMaturityDirectoryFormat, AAMMaturityFormat
from q2_aam.types._vectors import (
    AAMClassEffectsFormat,
    AAMEffectsDirectoryFormat,
    AAMMembersFormat,
    AAMVectorsFormat,
)


def _read(path) -> pd.DataFrame:
    """A table of text, whose first column is the index."""
    # pandas would guess types ('001' -> 1), missing values ('NA') and quotes, all of which IDs may hold. It
    # guesses an index even where dtype says str, so that is set afterwards.
    frame = pd.read_csv(
        path, sep="\t", dtype=str, na_filter=False, quoting=csv.QUOTE_NONE, encoding="utf-8-sig"
    )
    return frame.set_index(frame.columns[0])


def _read_samples(path) -> pd.DataFrame:
    # astype reads each number as Python does, exactly; the parser of pandas may be off in the last digit.
    frame = _read(path).astype(np.float64)
    frame.index.name = "SampleID"
    return frame


def _write_samples(frame: pd.DataFrame, columns: tuple, file_format):
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(
            f"the table lacks the columns {', '.join(missing)}; it has {', '.join(frame.columns)}."
        )
    result = file_format()
    frame = frame.loc[:, list(columns)].set_axis(frame.index.astype(str), axis="index")
    frame.to_csv(str(result), sep="\t", index_label="SampleID", quoting=csv.QUOTE_NONE)
    result.validate("max")
    return result


def _metadata(frame: pd.DataFrame):
    return qiime2.Metadata(frame.rename_axis("id"))


def _1(data: pd.DataFrame) -> PredictionIntervalsFormat:
    return _write_samples(data, INTERVAL_COLUMNS, PredictionIntervalsFormat)


def _2(ff: PredictionIntervalsFormat) -> pd.DataFrame:
    return _read_samples(str(ff))


def _3(ff: PredictionIntervalsFormat) -> qiime2.Metadata:
    return _metadata(_read_samples(str(ff)))


def _4(data: pd.DataFrame) -> NoveltyFormat:
    further = [name for name in (*NEIGHBOUR_COLUMNS, *LEARNT_COLUMNS) if name in data.columns]
    return _write_samples(data, (*NOVELTY_COLUMNS, *further), NoveltyFormat)


def _5(ff: NoveltyFormat) -> pd.DataFrame:
    return _read_samples(str(ff))


def _6(ff: NoveltyFormat) -> qiime2.Metadata:
    return _metadata(_read_samples(str(ff)))


def _7(df: AAMTrainingLogDirectoryFormat) -> pd.DataFrame:
    # An empty cell was not measured in that epoch.
    history = _read(df.path / "history.tsv").replace("", "nan").astype(np.float64)
    history.index = history.index.astype(int)
    return history


def _8(df: AAMTrainingLogDirectoryFormat) -> qiime2.Metadata:
    history = _7(df)
    return _metadata(history.set_axis(history.index.astype(str), axis="index"))


def _9(df: AAMTrainingLogDirectoryFormat) -> dict:
    return json.loads((df.path / "log.json").read_text(encoding="utf-8-sig"))


def _10(df: AAMModelDirectoryFormat) -> dict:
    return json.loads((df.path / "model.json").read_text(encoding="utf-8-sig"))


def _11(df: AAMModelDirectoryFormat) -> qiime2.Metadata:
    values = pd.Series(dict(flattened(_10(df))), dtype=object, name="value")
    return _metadata(values.to_frame())


def flattened(values: dict, prefix: str = ""):
    """Names such as 'training.epochs', and values as text."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            # Metadata has neither empty text nor blanks around it.
            yield f"{prefix}{key}", value.strip() or None
        else:
            yield f"{prefix}{key}", None if value is None else json.dumps(value, ensure_ascii=False)


def _12(data: pd.DataFrame) -> BaselinePredictionsFormat:
    first = [column for column in data.columns if column in TRIVIAL]
    others = [column for column in data.columns if column not in TRIVIAL]
    return _write_samples(data, (*first, *others), BaselinePredictionsFormat)


def _13(ff: BaselinePredictionsFormat) -> pd.DataFrame:
    frame = _read(str(ff))
    frame.index.name = "SampleID"
    return frame.astype(np.float64) if TRIVIAL.get(frame.columns[0]) == "numeric" else frame.astype(object)


def _14(ff: BaselinePredictionsFormat) -> qiime2.Metadata:
    return _metadata(_13(ff))


def _15(data: pd.DataFrame) -> AAMScoresFormat:
    data = data.rename_axis("id").reset_index() if "id" not in data else data
    missing = [column for column in SCORE_KEYS if column not in data]
    if missing:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}; it has {', '.join(data.columns)}.")
    result = AAMScoresFormat()
    columns = [*SCORE_KEYS, *(column for column in data if column not in SCORE_KEYS)]
    data[columns].to_csv(str(result), sep="\t", index=False, quoting=csv.QUOTE_NONE)
    result.validate("max")
    return result


def _16(ff: AAMScoresFormat) -> pd.DataFrame:
    # An empty cell is a score that is not defined or, of a fold, all of them together.
    frame = _read(str(ff))
    numbers = [column for column in frame if column not in SCORE_TEXTS]
    frame[numbers] = frame[numbers].replace("", "nan").astype(np.float64)
    return frame


def _17(ff: AAMScoresFormat) -> qiime2.Metadata:
    return _metadata(_16(ff))


def _18(data: pd.DataFrame) -> AAMVectorsFormat:
    result = AAMVectorsFormat()
    frame = data.set_axis(data.index.astype(str), axis="index")
    # The encoder computes in float32: more digits would be noise.
    frame.to_csv(str(result), sep="\t", index_label="id", quoting=csv.QUOTE_NONE, float_format="%.7g")
    return result


def _19(ff: AAMVectorsFormat) -> pd.DataFrame:
    return _read(str(ff)).astype(np.float64)


def _20(ff: AAMVectorsFormat) -> qiime2.Metadata:
    return _metadata(_19(ff))


def _21(df: AAMEffectsDirectoryFormat) -> pd.DataFrame:
    return _19(df.effects.view(AAMVectorsFormat))


def _22(df: AAMEffectsDirectoryFormat) -> qiime2.Metadata:
    return _metadata(_21(df))


def _23(df: AAMEffectsDirectoryFormat) -> dict:
    return json.loads((df.path / "explanation.json").read_text(encoding="utf-8"))


def _24(data: pd.DataFrame) -> AAMMaturityFormat:
    result = AAMMaturityFormat()
    frame = data[list(MATURITY_COLUMNS)].set_axis(data.index.astype(str), axis="index")
    frame.to_csv(str(result), sep="\t", index_label="SampleID", quoting=csv.QUOTE_NONE)
    result.validate("max")
    return result


def _25(ff: AAMMaturityFormat) -> pd.DataFrame:
    frame = _read(str(ff))
    frame.index.name = "SampleID"
    numbers = [column for column in frame if column not in MATURITY_TEXTS]
    # Nothing is expected of some samples; a sample without a subject is a subject of its own.
    frame[numbers] = frame[numbers].replace("", np.nan).astype(np.float64)
    return frame.assign(subject=frame["subject"].where(frame["subject"] != "", None))


def _26(df: AAMMaturityDirectoryFormat) -> pd.DataFrame:
    return _25(df.maturity.view(AAMMaturityFormat))


def _27(df: AAMMaturityDirectoryFormat) -> qiime2.Metadata:
    # Cohort and subject are columns of the metadata beside which this is read: of one name they could not be merged.
    frame = _26(df).drop(columns=["cohort", "subject"])
    return _metadata(frame.assign(reason=frame["reason"].where(frame["reason"] != "", None)))


def _28(df: AAMMaturityDirectoryFormat) -> dict:
    return json.loads((df.path / "maturity.json").read_text(encoding="utf-8"))


def _29(ff: AAMMembersFormat) -> pd.DataFrame:
    return _read(str(ff))


def _30(ff: AAMMembersFormat) -> qiime2.Metadata:
    return _metadata(_29(ff))


def _31(ff: AAMClassEffectsFormat) -> pd.DataFrame:
    frame = _read(str(ff)).reset_index()
    return frame.astype(dict.fromkeys(frame.columns[2:], np.float64))


TRANSFORMERS = (_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, _18, _19, _20, _21)
TRANSFORMERS += (_22, _23, _24, _25, _26, _27, _28, _29, _30, _31)
