"""The sections of the page of `show-importance`."""

import pandas as pd

from ._trust import deletion_table, removal, score_name, stability

N_BARS = 30
MAX_CLASSES = 6  # with a column in the table on the page; its file has all
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
    columns = ["label", "importance", "spread", "samples", "prevalence", "asvs", "taxon", "sequence"]
    shown = frame[[name for name in columns if name in frame]].assign(feature=frame.index)
    effects = pd.concat(
        [
            pd.DataFrame({"label": frame["label"], "class": name, "effect": frame[column]})
            for column, name in explanation.effect_columns.items()
        ]
    )
    caption = first_of(len(explanation.frame), N_BARS, f"{noun}s") + "Point at a bar to see what is known of it."
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
    if "asvs" in table:
        table["asvs"] = table["asvs"].astype(int)
        headers["asvs"] = "ASVs"
    headers |= {name: title for name, title in (("taxon", "Taxon"), ("sequence", "Sequence")) if name in table}
    headers["feature"] = {"ASV": "Feature", "group": "Group"}.get(noun, "Clade or feature")
    text = "Click a heading to sort. Words are searched in all columns. Samples: how many hold it."
    if len(effects) > MAX_CLASSES:
        text += f" Effects on the first {MAX_CLASSES} of {len(effects)} classes are shown; the file has all."
    page.section(f"All {noun}s", text)
    page.browsed_table("importance", table, headers, copied=("sequence", "feature"))


def first_of(count: int, most: int, noun: str) -> str:
    """How many of some things are shown, where that is not all of them."""
    return f"The first {most} of {count:,} {noun}. " if count > most else ""
