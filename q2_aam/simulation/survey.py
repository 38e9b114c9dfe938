"""A simulated survey with a known answer, for the demo, the tests and the benchmarks.

ASVs evolve along a random phylogeny, and so do the places on two hidden environmental gradients where each
of them lives best. A sample stands somewhere on both gradients and holds the ASVs that fit there, have
reached its site and were lucky. So UniFrac distances follow the gradients, relatives of an ASV tell about it,
and no column is a function of another. Everything is drawn from one seed.

Run ``python -m q2_aam.simulation.survey --help`` to write a survey to files.
"""

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import biom
import numpy as np
import pandas as pd
import scipy.sparse as sp
import skbio

from q2_aam.simulation.phylogeny import draw_niche_optima, draw_phylogeny, draw_sequences

# A seed by which small surveys have all habitats at several sites, too, as tests and examples need.
RANDOM_SEED = 515926

# --- niches ---
NICHE_BREADTH = 0.8  # median, in standard deviations of the gradient
COMMONNESS_SD = 0.7  # spread (log scale) of how common ASVs are in general
CHANCE_SD = 1.2  # spread (log scale) of a sample's abundances that nothing explains
OCCUPANCY = (1.5, 1.2)  # beta shapes: share of the sites that an ASV has reached
ENDEMIC = 0.4  # share of the ASVs that live at one to three sites: why a new site brings ASVs never seen

# --- samples ---
SAMPLES_PER_SITE = 5
SITE_SHARE = 0.7  # share of a gradient's variance that lies between sites
RICHNESS = (30, 75, 150)  # ASVs a sample: least, median, most
READS = (1000, 6000)  # reads a sample: least, median
HABITATS = ("forest", "grassland", "wetland")


@dataclass(frozen=True)
class Survey:
    """A feature table and what belongs to it.

    Parameters
    ----------
    table : biom.Table
        Counts, features x samples; feature IDs are the MD5 sums of their sequences.
    sequences : dict of str to str
        Feature ID to nucleotides; also of features that no sample holds.
    tree : skbio.TreeNode
        Rooted phylogeny, branch lengths in substitutions a site; its tips are the keys of `sequences`.
    metadata : pandas.DataFrame
        One row a sample in the table's order: `ph` (4 to 9), `habitat` (three classes), `site` (group).
    """

    table: biom.Table
    sequences: dict
    tree: skbio.TreeNode
    metadata: pd.DataFrame

    def subset(self, sample_ids):
        """Keep some samples, and the features that they hold in the table.

        Parameters
        ----------
        sample_ids : sequence of str

        Returns
        -------
        Survey
            Samples in the table's order, with the same sequences and tree.
        """
        table = self.table.filter(set(sample_ids), axis="sample", inplace=False).remove_empty("observation")
        return Survey(table, self.sequences, self.tree, self.metadata.loc[table.ids()])

    def write(self, directory):
        """Write `table.biom`, `sequences.fasta`, `tree.nwk` and `metadata.tsv`, as QIIME 2 imports them.

        Parameters
        ----------
        directory : str or pathlib.Path
            Made when it is missing; files of these names in it are replaced.

        Returns
        -------
        pathlib.Path
            `directory`.
        """
        import h5py

        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        with h5py.File(directory / "table.biom", "w") as file:
            self.table.to_hdf5(file, "q2-aam simulated survey")
        fasta = "".join(f">{name}\n{sequence}\n" for name, sequence in self.sequences.items())
        (directory / "sequences.fasta").write_text(fasta)
        self.tree.write(str(directory / "tree.nwk"), format="newick")
        write_metadata(self.metadata, directory / "metadata.tsv")
        return directory


def write_metadata(metadata, path):
    """Write a QIIME 2 metadata file with the types of its columns.

    Parameters
    ----------
    metadata : pandas.DataFrame
        Index: sample IDs. Columns of numbers are written as numeric, all others as categorical.
    path : str or pathlib.Path
    """
    numeric = [pd.api.types.is_numeric_dtype(metadata[name]) for name in metadata]
    kinds = ["numeric" if is_numeric else "categorical" for is_numeric in numeric]
    with open(path, "w") as file:
        print("sample-id", *metadata.columns, sep="\t", file=file)
        print("#q2:types", *kinds, sep="\t", file=file)
        metadata.to_csv(file, sep="\t", header=False)


def simulate_survey(n_samples=200, n_asvs=600, length=150, random_seed=RANDOM_SEED):
    """Simulate a survey whose metadata can be predicted from its communities, to a degree.

    Parameters
    ----------
    n_samples : int
        Samples, about five a site; at least 10.
    n_asvs : int
        ASVs that exist; rare ones may be met by no sample. At least 10.
    length : int
        Nucleotides of a sequence; at least 30.
    random_seed : int
        The same seed and sizes give the same survey.

    Returns
    -------
    Survey

    Raises
    ------
    ValueError
        If a size is too small.
    """
    for name, value, least in (("n_samples", n_samples, 10), ("n_asvs", n_asvs, 10), ("length", length, 30)):
        if value < least:
            raise ValueError(f"{name} is {value}, but a simulated survey needs at least {least}.")
    rng = np.random.default_rng(random_seed)
    phylogeny = draw_phylogeny(n_asvs, rng)
    sequences = draw_sequences(phylogeny, length, rng)
    names = [hashlib.md5(sequence.encode(), usedforsecurity=False).hexdigest() for sequence in sequences]
    optima = draw_niche_optima(phylogeny, rng)
    breadths = NICHE_BREADTH * rng.lognormal(0, 0.3, n_asvs)

    n_sites = max(2, n_samples // SAMPLES_PER_SITE)
    sites = _sites(n_samples, n_sites, rng)
    site_gradients = np.sqrt(SITE_SHARE) * rng.standard_normal((n_sites, 2))
    gradients = site_gradients[sites] + np.sqrt(1 - SITE_SHARE) * rng.standard_normal((n_samples, 2))
    metadata = _metadata(gradients, sites, n_sites, rng)
    present = _present(site_gradients, optima, breadths, rng)
    counts = _counts(gradients, sites, present, optima, breadths, rng)

    table = biom.Table(counts.T.tocsr(), names, metadata.index.tolist(), type="OTU table")
    sequence_of = dict(zip(names, sequences, strict=True))
    return Survey(table.remove_empty("observation"), sequence_of, phylogeny.to_tree_node(names), metadata)


def keep_sites_apart(survey, share=0.25, random_seed=RANDOM_SEED):
    """Split a survey into samples to learn from and new samples, site by site.

    The new samples come from sites of which nothing is learned, and hold ASVs that the others do not.

    Parameters
    ----------
    survey : Survey
    share : float
        Share of the sites to keep apart, between 0 and 1; at least one site is, and at least one is not.
    random_seed : int

    Returns
    -------
    train, new : Survey
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}, but the share of the sites to keep apart lies between 0 and 1.")
    sites = np.unique(survey.metadata["site"])
    n_apart = int(np.clip(round(share * len(sites)), 1, len(sites) - 1))
    apart = np.random.default_rng(random_seed).choice(sites, n_apart, replace=False)
    is_new = survey.metadata["site"].isin(apart)
    return survey.subset(survey.metadata.index[~is_new]), survey.subset(survey.metadata.index[is_new])


def _sites(n_samples, n_sites, rng):
    """Site number of each sample [N]: at least two samples a site, the others anywhere."""
    spread = np.repeat(np.arange(n_sites), 2)[:n_samples]
    return rng.permutation(np.concatenate([spread, rng.integers(0, n_sites, n_samples - len(spread))]))


def _metadata(gradients, sites, n_sites, rng):
    """Columns of the metadata: `ph` follows the first gradient, `habitat` both, each with its own errors."""
    n_samples = len(sites)
    site_error, sample_error = rng.standard_normal(n_sites)[sites], rng.standard_normal(n_samples)
    ph = 6.5 + gradients[:, 0] + 0.2 * site_error + 0.25 * sample_error
    angles = np.pi * np.array([0.25, 0.9, 1.55])
    directions = np.stack([np.cos(angles), np.sin(angles)])
    suitability = 2.5 * gradients @ directions + 0.5 * rng.standard_normal((n_sites, 3))[sites]
    habitat = np.argmax(suitability + rng.gumbel(size=(n_samples, 3)), axis=1)
    width = len(str(n_samples))
    return pd.DataFrame(
        {
            "ph": np.clip(ph, 4, 9).round(2),
            "habitat": np.array(HABITATS, dtype=object)[habitat],
            "site": [f"site-{site + 1:0{len(str(n_sites))}d}" for site in sites],
        },
        index=pd.Index([f"S{number + 1:0{width}d}" for number in range(n_samples)], name="sample-id"),
    )


def _fitness(gradients, optima, breadths):
    """Log of how well each ASV lives at each place: [places, 2] and [V, 2] to [places, V]."""
    fitness = np.zeros((len(gradients), len(optima)))
    for place, optimum in zip(gradients.T, optima.T, strict=True):
        fitness -= 0.5 * ((place[:, None] - optimum) / breadths) ** 2
    return fitness


def _present(site_gradients, optima, breadths, rng):
    """Which ASVs have reached which site, bool [sites, V]."""
    n_sites, n_asvs = len(site_gradients), len(optima)
    present = rng.random((n_sites, n_asvs)) < rng.beta(*OCCUPANCY, n_asvs)
    endemic = np.flatnonzero(rng.random(n_asvs) < ENDEMIC)
    fitness = _fitness(site_gradients, optima[endemic], breadths[endemic])
    homes = np.argsort(-(fitness + rng.gumbel(size=fitness.shape)), axis=0)[:3]
    present[:, endemic] = False
    for rank, sites in enumerate(homes):
        at_home = rng.integers(1, 4, len(endemic)) > rank
        present[sites[at_home], endemic[at_home]] = True
    return present


def _counts(gradients, sites, present, optima, breadths, rng):
    """Draw the communities: CSR counts [N, V]."""
    n_samples, n_asvs = len(sites), len(optima)
    commonness = rng.normal(0, COMMONNESS_SD, n_asvs)
    least, median, most = RICHNESS
    richness = np.clip(rng.lognormal(np.log(median), 0.4, n_samples).astype(int), least, most)
    reads = np.maximum(rng.lognormal(np.log(READS[1]), 0.5, n_samples).astype(int), READS[0])

    blocks = []
    rows_a_block = max(1, 2**22 // n_asvs)  # so that dense work arrays stay below some tens of MB
    for start in range(0, n_samples, rows_a_block):
        rows = slice(start, start + rows_a_block)
        fitness = commonness + _fitness(gradients[rows], optima, breadths)
        fitness[~present[sites[rows]]] -= 50  # taken only when a tiny survey has nothing else to offer
        # adding Gumbel noise and taking the largest draws without replacement, in proportion to exp(fitness)
        drawn = fitness + rng.gumbel(size=fitness.shape)
        columns = np.argpartition(-drawn, min(most, n_asvs) - 1, axis=1)[:, :most]
        order = np.argsort(-np.take_along_axis(drawn, columns, axis=1), axis=1, kind="stable")
        columns = np.take_along_axis(columns, order, axis=1)
        held = np.arange(columns.shape[1]) < np.minimum(richness[rows], n_asvs // 2)[:, None]
        log_abundance = np.take_along_axis(fitness, columns, axis=1)
        log_abundance = log_abundance + rng.normal(0, CHANCE_SD, log_abundance.shape)
        abundance = np.where(held, np.exp(log_abundance - log_abundance.max(axis=1, keepdims=True)), 0.0)
        abundance /= abundance.sum(axis=1, keepdims=True)
        # one read for every ASV held, so that the richness is what was drawn; the others at random
        block = held + rng.multinomial(reads[rows] - held.sum(axis=1), abundance)
        places = np.nonzero(block)
        shape = (len(block), n_asvs)
        blocks.append(sp.csr_matrix((block[places].astype(float), (places[0], columns[places])), shape=shape))
    return sp.vstack(blocks, format="csr")


def main(arguments=None):
    """Write a simulated survey to files.

    Parameters
    ----------
    arguments : list of str, optional
        Instead of the command line's.
    """
    parser = argparse.ArgumentParser(prog="python -m q2_aam.simulation.survey", description="Simulate a survey.")
    parser.add_argument("directory", help="where the four files are written")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--asvs", type=int, default=600)
    parser.add_argument("--length", type=int, default=150, help="nucleotides of a sequence")
    parser.add_argument("--seed", type=int, default=RANDOM_SEED)
    options = parser.parse_args(arguments)
    survey = simulate_survey(options.samples, options.asvs, options.length, options.seed)
    directory = survey.write(options.directory)
    print(f"{survey.table.shape[1]} samples, {survey.table.shape[0]} ASVs in them, written to {directory.resolve()}.")


if __name__ == "__main__":
    main()
