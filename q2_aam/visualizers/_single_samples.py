"""The sections of the page of `show-importance` on effects in single samples: beeswarm, heatmap, waterfall."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ._importance_sections import first_of
from ._page import number
from ._samples import some

N_SWARMS, N_HEATMAP, N_STEPS = 20, 30, 12
MAX_POINTS = 300  # samples of a feature in the beeswarm, and of the heatmap
MAX_SAMPLES = 500  # to choose from; of several classes fewer, as each has bars of its own
MAX_CHOICES = 6  # classes to choose from
SEED = 0
LIKELIEST = "the likeliest class of each sample"


def choices(explanation) -> dict:
    """What effects can be looked at: of numbers the prediction alone (''); else the likeliest class of each sample, and
    the classes that are so in most samples.

    Returns
    -------
    dict of str to Explanation
    """
    if explanation.probabilities is None:
        return {"": explanation}
    likeliest = explanation.probabilities.idxmax(axis=1).value_counts()
    names = [name for name in explanation.classes if name in likeliest.nlargest(MAX_CHOICES).index]
    others = [name for name in explanation.classes if name not in likeliest.index]
    names += others[: MAX_CHOICES - len(names)]
    return {LIKELIEST: explanation} | {name: of_class(explanation, name) for name in names}


def of_class(explanation, name: str):
    """The same explanation, of the probability of one class."""
    rows = explanation.class_effects
    wide = pd.DataFrame(0.0, explanation.effects.index, explanation.effects.columns)
    places = wide.index.get_indexer(rows["sample-id"]), wide.columns.get_indexer(rows["feature-id"])
    values = wide.to_numpy().copy()
    values[places] = rows[name]
    effects = pd.DataFrame(values, wide.index, wide.columns)
    return replace(explanation, effects=effects, prediction=explanation.probabilities[name])


def single_samples(page, explanation) -> None:
    """Beeswarm and heatmap."""
    from ..evaluation.importance_charts import beeswarm, heatmap

    noun, kinds = explanation.noun, choices(explanation)
    classes, labels = [name for name in kinds if name], list(explanation.frame["label"])
    whose = ""
    if explanation.classes:
        whose = (
            " Effects are on the probability of the class that is the likeliest in that sample, which is not the same "
            "class in all; the prediction is that probability."
        )
    if classes:
        whose += " Or choose a class below the picture: effects and predictions are then on its probability."
        left_out = len(explanation.classes) - (len(classes) - 1)
        if left_out:
            whose += f" {left_out} more classes are in the file alone."
    page.section("In single samples", f"What the presence of each {noun} does in each sample that holds it.{whose}")
    points = {name: _points(kind) for name, kind in kinds.items()}
    caption = first_of(len(explanation.frame), N_SWARMS, f"{noun}s")
    caption += "A point is a sample, coloured by its prediction."
    if any(cut for _, cut in points.values()):
        caption += f" Of those that more samples hold, {MAX_POINTS} are drawn at random (seed {SEED})."
    file = "class-effects.tsv" if classes else "effects.tsv"
    swarm = _together({name: part for name, (part, _) in points.items()})
    picture = beeswarm(swarm, labels[:N_SWARMS], unit(explanation), classes)
    page.chart("beeswarm", picture, "Effects", caption + _of_files(classes), file)
    rows = _drawn(len(explanation.effects), MAX_POINTS)
    cells = _together({name: _cells(kind, N_HEATMAP, _ordered(kind, rows)) for name, kind in kinds.items()})
    parts = _parts(explanation, rows)
    low, high = (number(float(explanation.prediction.iloc[rows].agg(which))) for which in ("min", "max"))
    caption = first_of(len(explanation.frame), N_HEATMAP, f"{noun}s")
    caption += ("" if classes else f"Predictions go from {low} to {high}. ") + "Grey: the sample does not hold it."
    by = "prediction"
    if explanation.truth is not None:
        by = f"true {explanation.target}"
        caption += " Of the same true value those of the lowest prediction come first."
        unknown = int(explanation.truth.iloc[rows].isna().sum())
        if unknown:
            caption += f" {some(unknown, 'sample')} without one {'is' if unknown == 1 else 'are'} at the end."
    if len(rows) < len(explanation.effects):
        caption += f" {len(rows)} of {some(explanation.effects, 'sample')} are drawn at random (seed {SEED})."
    picture = heatmap(cells, labels[:N_HEATMAP], len(rows), unit(explanation), classes, by, parts)
    page.chart("heatmap", picture, f"Samples by their {by}", caption + _of_files(classes), file)


def unit(explanation) -> str:
    """What an effect is measured in, where a class can be chosen."""
    return explanation.unit if explanation.probabilities is None else "effect on the class's probability"


def one_sample(page, explanation) -> None:
    """Waterfall of a sample that is chosen."""
    from natsort import natsorted

    from ..evaluation.importance_charts import waterfall
    from ..evaluation.labels import short_name

    ids, kinds = explanation.effects.index, choices(explanation)
    classes = [name for name in kinds if name]
    most = MAX_SAMPLES if len(kinds) == 1 else 2 * MAX_SAMPLES // len(kinds)
    chosen = natsorted(ids[_drawn(len(ids), most)])
    noun = explanation.noun
    whose = "the probability of its likeliest class" if explanation.classes else "its prediction"
    text = (
        f"Choose a sample below the picture{', and a class' if classes else ''}. The bars lead to {whose}"
        f"{' (or of the chosen one)' if classes else ''} (dashed line), the strongest effect at the top. "
        f"The start is the prediction less all effects: each is of one {noun} that leaves alone, and they need not add "
        "up, so that the start is not what the model would say of an empty sample."
    )
    page.section("One sample", text)
    caption = f"PNG and SVG are of the sample {chosen[0]}."
    if len(chosen) < len(ids):
        caption += f" {len(chosen)} of {len(ids):,} samples, drawn at random (seed {SEED}); effects.tsv has all."
    what = "probability" if explanation.classes else "prediction"
    title = what if explanation.classes else f"predicted {short_name(explanation.target)}"
    bars = _together({name: steps(kind, chosen) for name, kind in kinds.items()})
    page.chart("waterfall", waterfall(bars, chosen, title, what, classes), caption=caption, data="effects.tsv")


def steps(explanation, samples) -> pd.DataFrame:
    """Of each sample, its strongest effects and the rest in one, as bars that lead to the prediction."""
    labels, parts = explanation.frame["label"].to_numpy(), []
    for sample in samples:
        effects = explanation.effects.loc[sample].to_numpy()
        prediction = float(explanation.prediction[sample])
        order = np.argsort(-np.abs(effects), kind="stable")
        held = order[effects[order] != 0]
        sizes, names = effects[held[:N_STEPS]], list(labels[held[:N_STEPS]])
        if len(held) > N_STEPS or not len(held):
            sizes = np.append(sizes, effects[held[N_STEPS:]].sum())
            names.append(some(len(held) - len(names), "other"))
        # From the top each bar ends where the one above it starts.
        ends = prediction - np.concatenate([[0.0], np.cumsum(sizes)[:-1]])
        parts.append(
            pd.DataFrame({"sample": sample, "place": range(len(sizes)), "label": names, "effect": sizes})
            .assign(start=ends - sizes, end=ends, prediction=prediction)
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _together(frames: dict) -> pd.DataFrame:
    """The frames of all classes, with a column ``class``; of numbers the one frame as it is."""
    if list(frames) == [""]:
        return frames[""]
    return pd.concat([frame.assign(**{"class": name}) for name, frame in frames.items()], ignore_index=True)


def _ordered(explanation, rows: np.ndarray) -> np.ndarray:
    """Rows by their true values where these are known, then from the lowest prediction to the highest."""
    prediction = explanation.prediction.to_numpy()[rows]
    return rows[np.lexsort((prediction, _places(explanation)[rows]))]


def _places(explanation) -> np.ndarray:
    """By what samples are ordered: true numbers, or the places of true classes; what is not known comes last."""
    truth = explanation.truth
    if truth is None:
        return np.zeros(len(explanation.effects))
    if not explanation.classes:
        return truth.fillna(np.inf).to_numpy()
    place = pd.Index(explanation.classes).get_indexer(truth)
    return np.where(place < 0, np.inf, place)


def _parts(explanation, rows: np.ndarray) -> pd.DataFrame:
    """Where each true class begins among the samples that are drawn; of numbers nothing."""
    if explanation.truth is None or not explanation.classes:
        return pd.DataFrame(columns=["place", "name"])
    places, names = np.sort(_places(explanation)[rows]), [*explanation.classes, "not known"]
    found, first = np.unique(places, return_index=True)
    return pd.DataFrame({"place": first, "name": [names[int(min(part, len(names) - 1))] for part in found]})


def _points(explanation) -> tuple[pd.DataFrame, bool]:
    """Points of the beeswarm, and whether some were left out."""
    cells = _cells(explanation, N_SWARMS, np.arange(len(explanation.effects)))
    cells = cells.sample(frac=1, random_state=SEED)
    kept = cells.groupby("label").head(MAX_POINTS)
    return kept.sort_index(), len(kept) < len(cells)


def _cells(explanation, features: int, rows: np.ndarray) -> pd.DataFrame:
    """A row a feature and sample that holds it, of the most important features and some rows of the samples."""
    effects = explanation.effects.to_numpy()[rows][:, :features]
    place, column = np.nonzero(effects)
    samples = rows[place]
    return pd.DataFrame(
        {
            "label": explanation.frame["label"].to_numpy()[column],
            "place": place,
            "sample": explanation.effects.index.to_numpy()[samples],
            "effect": effects[place, column],
            "prediction": explanation.prediction.to_numpy()[samples],
            **({} if explanation.truth is None else {"true": explanation.truth.to_numpy()[samples]}),
        }
    )


def _drawn(count: int, most: int) -> np.ndarray:
    """Places of at most so many of some samples, ascending."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).permutation(count)[:most])


def _of_files(classes) -> str:
    return f" PNG and SVG are of {classes[0]}." if classes else ""
