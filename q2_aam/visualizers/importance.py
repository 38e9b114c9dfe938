"""`show-importance`: which microbes predictions rest on, and how far that can be trusted."""

import shutil

import pandas as pd
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.framework import qiime2
from q2_aam.types import AAMEffectsDirectoryFormat

from ._page import Page
from ._samples import some

FILES = {
    "effects.tsv": "all effects: a sample a row, its prediction, then each feature",
    "probabilities.tsv": "the probability of each class, a sample a row",
    "class-effects.tsv": "the effects on the probabilities of all classes: a sample and a feature that it holds a row",
    "members.tsv": "the clade (or single ASV) that each feature is in: metadata of features, by which "
    "other actions can group or filter them",
    "tree.nwk": "the tree that the clades are of",
    "explanation.json": "what was explained, and how far it can be trusted",
}


def show_importance(
    output_dir: str,
    importance: pd.DataFrame,
    effects: AAMEffectsDirectoryFormat,
    feature_metadata: qiime2.Metadata = None,
    sequences: DNAFASTAFormat = None,
) -> None:
    """Write a page that shows which microbes predictions rest on.

    Parameters
    ----------
    output_dir : str
        Where QIIME 2 wants the visualization.
    importance : pandas.DataFrame
        What `explain` made, a feature (or group of features) a row.
    effects : AAMEffectsDirectoryFormat
        The effects of the same explanation.
    feature_metadata : qiime2.Metadata, optional
        A taxonomy, or other metadata of the features, to call them by.
    sequences : DNAFASTAFormat, optional
        Sequences of the features.

    Raises
    ------
    ValueError
        A sentence that says what does not fit together.
    """
    from ._clade_tree import clade_tree_section
    from ._explanation import match_explanation
    from ._feature_names import name_features
    from ._importance_sections import all_features, deletion, most_important
    from ._single_samples import one_sample, single_samples
    from ._trust import trust_verdict

    explanation = match_explanation(importance, effects)
    notes = name_features(explanation, feature_metadata, sequences)
    page = Page(output_dir, f"Which microbes do predictions of '{explanation.target}' rest on?", lead(explanation))
    trust_verdict(page, explanation)
    page.notes += [*sample_notes(explanation), *notes]
    most_important(page, explanation)
    clade_tree_section(page, explanation)
    deletion(page, explanation)
    all_features(page, explanation)
    single_samples(page, explanation)
    one_sample(page, explanation)
    page.section("Files")
    for name, text in FILES.items():
        if (effects.path / name).exists():
            shutil.copyfile(effects.path / name, page.directory / name)
            page.download(name, text)
    page.render()


def lead(explanation) -> str:
    """The sentence below the heading."""
    text = (
        f"{some(len(explanation.frame), explanation.noun)} in {some(len(explanation.effects), 'sample')}: each left "
        "each sample that holds it, and the sample was predicted again. What changes is what its presence does in this "
        "model."
    )
    if explanation.members is not None:
        alone = int((explanation.frame["asvs"] == 1).sum())
        text += (
            f" {alone:,} of the {explanation.noun}s are single ASVs. A {explanation.noun} of several stands for them "
            "where they stand in for each other, or push the same way; none shares an ASV with another one."
        )
    return text


def sample_notes(explanation) -> list[str]:
    """What the reader should know of the explained samples."""
    about, notes = explanation.about, []
    if about["of_samples"] > about["samples"]:
        notes.append(
            f"Of the {about['of_samples']:,} samples, {about['samples']:,} drawn at random were explained "
            "(the parameter most_read of explain sets that)."
        )
    if about["alone"]:
        notes.append(
            f"{some(about['alone'], 'sample')} held nothing but one {explanation.noun}, which could not leave."
        )
    return notes
