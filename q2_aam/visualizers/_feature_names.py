"""What the features of an explanation are called: short labels, their taxa, and their sequences."""

import re

import pandas as pd

from ._samples import listed, some

# A taxonomy may say no more than this of a rank.
NAMELESS = ("", "unassigned", "unclassified", "unidentified", "uncultured", "uncultured bacterium", "metagenome")
RANK = re.compile(r"^([a-zA-Z])_{1,2}")
SEQUENCE = re.compile(r"[ACGTUNRYSWKMBDHV]{30,}", re.IGNORECASE)


def name_features(explanation, feature_metadata, sequences) -> list[str]:
    """Add `label`, and where they are known `taxon` and `sequence`, to the features.

    Parameters
    ----------
    explanation : q2_aam.visualizers._explanation.Explanation
        Its frame is changed.
    feature_metadata : qiime2.Metadata or None
    sequences : DNAFASTAFormat or None

    Returns
    -------
    list of str
        Sentences on what is not known.

    Raises
    ------
    ValueError
        If the metadata are of other features, or name nothing.
    """
    frame, notes, members = explanation.frame, [], explanation.members
    taxa = pd.Series(index=frame.index, dtype=object)
    if feature_metadata is not None and members is not None:
        taxa = shared_taxa(taxa_of(feature_metadata, members.index, "ASV"), members, frame.index)
    elif feature_metadata is not None:
        taxa = taxa_of(feature_metadata, frame.index, explanation.noun)
    if feature_metadata is not None:
        unnamed = int(taxa.isna().sum())
        if unnamed:
            notes.append(f"feature_metadata names no {taxa.name} of {unnamed:,} of {some(frame, explanation.noun)}.")
        frame["taxon"] = taxa.fillna("")
    names = [short_name(name if pd.isna(taxon) else taxon) for name, taxon in taxa.items()]
    if members is not None:
        sizes = frame["asvs"].astype(int)
        names = [f"{name} ({size} ASVs)" if size > 1 else name for name, size in zip(names, sizes, strict=True)]
    frame.insert(0, "label", different(names))
    known = None
    if sequences is not None:
        from q2_aam.study.communities import read_sequences

        known = pd.Series(read_sequences(str(sequences)), dtype=object).reindex(frame.index)
    elif all(SEQUENCE.fullmatch(name) for name in (frame.index if members is None else members.index)):
        known = frame.index.to_series()
    if known is not None and members is not None:
        # A clade of several has none.
        known = known.where(frame["asvs"] == 1, "")
    if known is not None and known.notna().any():
        frame["sequence"] = known.fillna("")
    if known is not None and known.isna().any():
        notes.append(f"The sequences hold none of {known.isna().sum():,} of {some(frame, explanation.noun)}.")
    return notes


def taxa_of(metadata, names: pd.Index, noun: str) -> pd.Series:
    """The text that names each feature: of the column Taxon, else of the first categorical one."""
    columns = [name for name, column in metadata.columns.items() if column.type == "categorical"]
    if not columns:
        raise ValueError(
            f"feature_metadata has no categorical column to name the features by; it has {listed(metadata.columns)}."
        )
    column = "Taxon" if "Taxon" in columns else columns[0]
    taxa = metadata.get_column(column).to_series().astype(object)
    if noun == "ASV" and not names.isin(taxa.index).any():
        raise ValueError(
            f"None of the features is in feature_metadata. The features are called {listed(names)}, those of "
            f"feature_metadata {listed(taxa.index)}. Give the metadata of the same features."
        )
    return taxa.reindex(names).map(lambda text: " ".join(str(text).split()), na_action="ignore").rename(column)


def shared_taxa(taxa: pd.Series, members: pd.Series, names: pd.Index) -> pd.Series:
    """The ranks that all features of a clade have in common, by the clade's name; missing where there are none."""
    found = {}
    for name, part in taxa.dropna().groupby(members):
        ranks = [[rank.strip() for rank in text.split(";")] for text in part]
        same = 0
        while all(len(one) > same and one[same] == ranks[0][same] for one in ranks):
            same += 1
        found[name] = "; ".join(ranks[0][:same])
    shared = pd.Series(found, dtype=object).reindex(names)
    return shared.where(shared.fillna("").str.strip("; ") != "").rename(taxa.name)


def short_name(text: str) -> str:
    """The last rank that has a name, of a species with its genus; made short where it is long."""
    from q2_aam.evaluation.labels import short_names

    ranks = []
    for part in str(text).split(";"):
        rank, name = RANK.match(part.strip()), RANK.sub("", part.strip()).strip()
        if name.lower().replace("_", " ") not in NAMELESS:
            ranks.append((rank[1].lower() if rank else "", name))
    if not ranks:
        return short_names([" ".join(str(text).split())])[0]
    (rank, name), before = ranks[-1], ranks[-2:-1]
    # An epithet says nothing without its genus.
    if rank == "s" and before and before[0][0] == "g" and not re.search(r"[\s_]", name):
        name = f"{before[0][1]} {name}"
    return short_names([" ".join(name.split())])[0]


def different(names: list[str]) -> list[str]:
    """The same names, numbered where they are there more than once: the first is the most important one."""
    counts, used, labels = pd.Series(names).value_counts(), set(names), []
    numbers: dict = {}
    for name in names:
        label = name
        while counts[name] > 1 and (label == name or label in used):
            numbers[name] = numbers.get(name, 0) + 1
            label = f"{name} #{numbers[name]}"
        used.add(label)
        labels.append(label)
    return labels
