"""The sections of the page of `show-importance`."""

import numpy as np
import pandas as pd

from ._page import number
from ._samples import some
from ._trust import deletion_table, removal, score_name, stability

N_BARS, N_SWARMS, N_HEATMAP, N_STEPS = 30, 20, 30, 12
MAX_POINTS = 300  # samples of a feature in the beeswarm, and of the heatmap
MAX_SAMPLES = 500  # to choose from
MAX_CLASSES = 6  # with a column in the table on the page; its file has all
SEED = 0
NO_CAUSE = (
    "It is no cause. One that always comes with another gets a part of that one's effect, and near-identical ASVs "
    "stand in for each other, so that a genus can matter where none of its ASVs does."
)


def most_important(page, explanation) -> None:
    """Ranked bars."""
    from ..evaluation.importance_charts import importance_bars
    from ..evaluation.labels import short_name

    frame, noun, classes = explanation.frame.head(N_BARS), explanation.noun, explanation.classes
    unit = "probability that moves from one class to another" if classes else f"change of {explanation.target}"
    text = (
        f"The bar is the importance: the mean size of the change when the {noun} leaves, over all samples "
        f"({unit}). Its colour is the direction: whether its presence makes "
        f"{'the probability of the chosen class' if classes else 'the prediction'} higher or lower, on average over "
        "the samples that hold it."
    )
    if "spread" in frame:
        text += (
            " The line is the spread: one standard deviation over folds, each explained by a model that has not learnt "
            "from it."
        )
    page.section(f"The most important {noun}s", f"{text} {NO_CAUSE}")
    columns = ["label", "importance", "spread", "samples", "prevalence", "taxon", "sequence"]
    shown = frame[[name for name in columns if name in frame]].assign(feature=frame.index)
    effects = pd.concat(
        [
            pd.DataFrame({"label": frame["label"], "class": name, "effect": frame[column]})
            for column, name in explanation.effect_columns.items()
        ]
    )
    caption = _first(len(explanation.frame), N_BARS, f"{noun}s") + "Point at a bar to see what is known of it."
    if classes:
        caption += f" Choose a class below the picture; PNG and SVG are of '{classes[0]}'."
    title = "importance (probability)" if classes else f"importance (units of {short_name(explanation.target)})"
    bars = importance_bars(shown, effects, title, classes)
    page.chart("importance_bars", bars, caption=caption, data="importance.tsv")


def deletion(page, explanation) -> None:
    """Scores without the most important features, and the stability of the ranks; nothing where they are not known."""
    from ..evaluation.importance_charts import deletion_curve

    trust, noun = explanation.about["trust"], explanation.noun
    if trust is None:
        return
    page.section(
        "How far can this be trusted?",
        f"The model was fitted anew without each of {trust['folds']} folds, and each fold was explained by the model "
        f"that has not learnt from it. The most important {noun}s of each fold leave all its samples, which are "
        "predicted again.",
        points=[removal(explanation)[0], stability(explanation)[0]],
    )
    table = deletion_table(trust)
    caption = (
        f"{noun}s that matter make the score fall faster than random ones. Grey area: lowest to highest of the random "
        "draws."
    )
    if len(table):
        file = page.write_table("deletion", table)
        page.chart("deletion", deletion_curve(table, score_name(trust), f"{noun}s"), "Deletion curve", caption, file)


def all_features(page, explanation) -> None:
    """The table that is searched and sorted."""
    from ..evaluation.labels import short_names

    frame, noun = explanation.frame, explanation.noun
    table = frame.rename_axis("feature").reset_index()
    effects = explanation.effect_columns
    headers = {"label": "Name", "importance": "Importance"}
    headers |= {"spread": "Spread"} if "spread" in table else {}
    names = short_names(explanation.classes) or [""]
    named = list(zip(effects, names, strict=True))[:MAX_CLASSES]
    headers |= {column: f"Effect ({name})" if name else "Effect" for column, name in named}
    table["samples"] = table["samples"].astype(int)
    headers |= {"samples": "Samples"}
    headers |= {name: title for name, title in (("taxon", "Taxon"), ("sequence", "Sequence")) if name in table}
    headers["feature"] = "Feature" if noun == "ASV" else "Group"
    text = "Click a heading to sort. Words are searched in all columns. Samples: how many hold it."
    if len(effects) > MAX_CLASSES:
        text += f" Effects on the first {MAX_CLASSES} of {len(effects)} classes are shown; the file has all."
    page.section(f"All {noun}s", text)
    page.browsed_table("importance", table, headers, copied=("sequence", "feature"))


def single_samples(page, explanation) -> None:
    """Beeswarm and heatmap."""
    from ..evaluation.importance_charts import beeswarm, heatmap

    noun = explanation.noun
    whose = (
        " Effects are on the probability of the class that is the likeliest in that sample, which is not the same "
        "class in all; the prediction is that probability."
        if explanation.classes
        else ""
    )
    page.section("In single samples", f"What the presence of each {noun} does in each sample that holds it.{whose}")
    swarm, cut = _points(explanation)
    caption = _first(len(explanation.frame), N_SWARMS, f"{noun}s") + "A point is a sample, coloured by its prediction."
    if cut:
        caption += f" Of those that more samples hold, {MAX_POINTS} are drawn at random (seed {SEED})."
    labels = list(explanation.frame["label"])
    page.chart("beeswarm", beeswarm(swarm, labels[:N_SWARMS], explanation.unit), "Effects", caption, "effects.tsv")
    rows = _drawn(len(explanation.effects), MAX_POINTS)
    rows = rows[np.argsort(explanation.prediction.to_numpy()[rows], kind="stable")]
    cells = _cells(explanation, N_HEATMAP, rows)
    low, high = (number(float(explanation.prediction.iloc[row])) for row in (rows[0], rows[-1]))
    caption = (
        _first(len(explanation.frame), N_HEATMAP, f"{noun}s")
        + f"Predictions go from {low} to {high}. Grey: the sample does not hold it."
    )
    if len(rows) < len(explanation.effects):
        caption += f" {len(rows)} of {some(explanation.effects, 'sample')} are drawn at random (seed {SEED})."
    picture = heatmap(cells, labels[:N_HEATMAP], len(rows), explanation.unit)
    page.chart("heatmap", picture, "Samples by their prediction", caption, "effects.tsv")


def one_sample(page, explanation) -> None:
    """Waterfall of a sample that is chosen."""
    from natsort import natsorted

    from ..evaluation.importance_charts import waterfall
    from ..evaluation.labels import short_name

    ids = explanation.effects.index
    chosen = natsorted(ids[_drawn(len(ids), MAX_SAMPLES)])
    noun = explanation.noun
    whose = "the probability of its likeliest class" if explanation.classes else "its prediction"
    text = (
        f"Choose a sample below the picture. The bars lead to {whose} (dashed line), the strongest effect at the top. "
        f"The start is the prediction less all effects: each is of one {noun} that leaves alone, and they need not add "
        "up, so that the start is not what the model would say of an empty sample."
    )
    page.section("One sample", text)
    caption = f"PNG and SVG are of the sample {chosen[0]}."
    if len(chosen) < len(ids):
        caption += f" {len(chosen)} of {len(ids):,} samples, drawn at random (seed {SEED}); effects.tsv has all."
    what = "probability" if explanation.classes else "prediction"
    title = what if explanation.classes else f"predicted {short_name(explanation.target)}"
    picture = waterfall(steps(explanation, chosen), chosen, title, what)
    page.chart("waterfall", picture, caption=caption, data="effects.tsv")


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
        }
    )


def _drawn(count: int, most: int) -> np.ndarray:
    """Places of at most so many of some samples, ascending."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).permutation(count)[:most])


def _first(count: int, most: int, noun: str) -> str:
    return f"The first {most} of {count:,} {noun}. " if count > most else ""
