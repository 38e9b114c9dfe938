"""How seconds and memory grow with the number of samples: reading, training steps, prediction.

Surveys of each size are simulated (`large_survey.py`) and written to files. Then each measurement runs in a process of
its own, on the plugin's default architecture: reading the files as `pretrain` does; a fixed number of its training
steps on samples from all over the table, with UniFrac distances batch by batch; embedding all samples, as `predict`
does. Writes results/scale.json, docs/benchmarks/scale.svg and a section of scale.md beside it.

    python benchmarks/scale.py --samples 1000 10000 100000
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from report import PAGES, markdown, measured, stage, write_results, write_section

SECTION = "scale"


def write_survey(directory: Path, samples: int) -> dict:
    """Simulate a survey into files; gives its sizes."""
    from large_survey import simulate

    survey = simulate(samples)
    survey.write(directory)
    return {"samples": samples, "asvs": survey.table.shape[0], "counts": int(survey.table.nnz)}


def read(directory: Path, threads: int):
    """Files to communities and distances, as `pretrain` reads them."""
    import biom

    from q2_aam.settings import Architecture
    from q2_aam.study.communities import read_communities, read_sequences
    from q2_aam.study.phylogeny import read_phylogeny, tip_names
    from q2_aam.study.unifrac import UniFracDistances, match_tips

    table = biom.load_table(str(directory / "table.biom"))
    tree = read_phylogeny(str(directory / "tree.nwk"))
    table = match_tips(table, tip_names(tree))
    sequences = read_sequences(str(directory / "sequences.fasta"))
    communities = read_communities(table, sequences, max_length=Architecture().max_length)
    # Never a whole matrix: small and large surveys are to go the same way.
    mapping = communities.asv_of_feature
    return communities, UniFracDistances(table, tree, threads=threads, matrix_budget=0, asv_of_feature=mapping)


def reading(directory: Path, threads: int) -> dict:
    """What reading took."""
    import biom  # noqa: F401 that importing libraries is no part of it
    import unifrac  # noqa: F401

    from q2_aam.encoder import batches  # noqa: F401
    from q2_aam.study import communities  # noqa: F401

    with stage() as took:
        read(directory, threads)
    return took.row()


def training(directory: Path, threads: int, steps: int) -> dict:
    """What some training steps took after reading."""
    from q2_aam.encoder.aam import AAM
    from q2_aam.encoder.batches import CommunityDataset, batch_loader
    from q2_aam.encoder.device import use_threads
    from q2_aam.encoder.training.module import TrainingModule
    from q2_aam.encoder.training.starting import start_from_data
    from q2_aam.encoder.training.trainer import train
    from q2_aam.settings import Architecture, Objective, Optimization, PretrainingSampling, Runtime, Training

    optimization = Optimization(epochs=1)
    sampling = PretrainingSampling(validation_share=0.0)
    settings = Training(optimization, Objective(), sampling, Runtime(threads=threads))
    with use_threads(settings.runtime), tempfile.TemporaryDirectory() as run_dir:
        communities, distances = read(directory, threads)
        rng = np.random.default_rng(0)
        rows = rng.permutation(len(communities))[: steps * optimization.batch_size]
        network = AAM(Architecture())
        dataset = CommunityDataset(communities, unifrac=distances, subcommunities=sampling.subcommunities)
        start_from_data(network, batch_loader(dataset.as_predicted(), rows, optimization.batch_size))
        with stage() as took:
            train(TrainingModule(network, settings, communities.sample_ids), dataset, rows, rows[:0], Path(run_dir))
    done = -(-len(rows) // optimization.batch_size)
    per_sample = {"seconds_a_sample": took.seconds / len(rows), "cpu_seconds_a_sample": took.cpu_seconds / len(rows)}
    return {**took.row(), "steps": done, "batch_size": optimization.batch_size, **per_sample}


def prediction(directory: Path, threads: int, most: int | None) -> dict:
    """What embedding samples took after reading: all of them, or some of the table."""
    import torch

    from q2_aam.encoder.aam import AAM
    from q2_aam.encoder.device import use_threads
    from q2_aam.encoder.embedding import embed_tables
    from q2_aam.settings import Architecture, Embedding

    with use_threads(Embedding(threads=threads)):
        communities, _ = read(directory, threads)
        if most is not None and most < len(communities):
            chosen = np.random.default_rng(0).choice(len(communities), most, replace=False)
            communities = communities.subset(np.sort(chosen))
        torch.manual_seed(0)
        network = AAM(Architecture(), 1)
        network.asv_encoder.anchor_on(torch.from_numpy(communities.tokens[:1000]))
        with stage() as took:
            embed_tables(network, [communities], Embedding(threads=threads))
    return {**took.row(), "samples": len(communities), "asvs": len(communities.present_asvs())}


def slope(sizes: list[int], values: list[float]) -> float | None:
    """Exponent of growth: slope of a straight line on log-log axes."""
    return None if len(set(sizes)) < 2 else float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def summarize(found: list[dict]) -> tuple[list[dict], dict]:
    """Rows of the page's table, and the exponents of growth of CPU seconds with the number of samples."""
    rows = [
        {
            "samples": each["survey"]["samples"],
            "ASVs": each["survey"]["asvs"],
            "counts": each["survey"]["counts"],
            "read: CPU s": each["read"]["cpu_seconds"],
            "MB": each["read"]["peak_mb"],
            "train: CPU s a step": each["train"]["cpu_seconds"] / each["train"]["steps"],
            "MB ": each["train"]["peak_mb"],
            "predict: CPU ms a sample": 1000 * each["predict"]["cpu_seconds"] / each["predict"]["samples"],
            "MB  ": each["predict"]["peak_mb"],
        }
        for each in found
    ]
    sizes = [each["survey"]["samples"] for each in found]
    growth = {
        "read": slope(sizes, [each["read"]["cpu_seconds"] for each in found]),
        "an epoch of training": slope(
            sizes, [s * e["train"]["cpu_seconds_a_sample"] for s, e in zip(sizes, found, strict=True)]
        ),
        "predict": slope(
            [each["predict"]["samples"] for each in found], [each["predict"]["cpu_seconds"] for each in found]
        ),
    }
    return rows, growth


def draw(found: list[dict], path: Path) -> None:
    """CPU seconds and memory over the number of samples on log-log axes, beside straight proportion."""
    import altair as alt
    import pandas as pd

    lines = []
    for each in found:
        samples = each["survey"]["samples"]
        seconds = {
            "read": each["read"]["cpu_seconds"],
            # Of some steps, and of some samples, as much of each as of all.
            "an epoch of training": samples * each["train"]["cpu_seconds_a_sample"],
            "predict": samples * each["predict"]["cpu_seconds"] / each["predict"]["samples"],
        }
        for (what, value), part in zip(seconds.items(), ("read", "train", "predict"), strict=True):
            lines.append({"what": what, "samples": samples, "seconds": value, "MB": each[part]["peak_mb"]})
    frame = pd.DataFrame(lines)
    # Below, where it has room: beside the panels its longest entry is cut off.
    colour = alt.Color("what:N", title=None, sort=None, legend=alt.Legend(orient="bottom", columnPadding=30))
    sizes = alt.Axis(values=sorted(frame["samples"].unique().tolist()), format=",d")

    def panel(value: str, title: str):
        start = frame.groupby("what")[value].transform("first") / frame.groupby("what")["samples"].transform("first")
        axes = {
            "x": alt.X("samples:Q", title="samples", scale=alt.Scale(type="log"), axis=sizes),
            "color": colour,
        }
        y = {"title": title, "scale": alt.Scale(type="log"), "axis": alt.Axis(tickCount=5)}
        chart = alt.Chart(frame.assign(linear=start * frame["samples"]))
        drawn = chart.mark_line(point=True).encode(y=alt.Y(f"{value}:Q", **y), **axes)
        if value != "seconds":
            return drawn.properties(width=320, height=260)
        linear = chart.mark_line(strokeDash=[4, 4], strokeWidth=1).encode(y=alt.Y("linear:Q", **y), **axes)
        return (linear + drawn).properties(width=320, height=260)

    chart = panel("seconds", "CPU seconds (dashed: in proportion)") | panel("MB", "peak memory, MB")
    chart.configure(background="white", padding=8).save(str(path))


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[1000, 10000], help="sizes of the surveys")
    parser.add_argument("--steps", type=int, default=10, help="training steps to measure")
    parser.add_argument("--predict", type=int, help="embed at most that many samples (default: all)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--work", type=Path, help="directory for the surveys, which are kept (default: a temporary one)"
    )
    options = parser.parse_args(arguments)
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        for samples in sorted(options.samples):
            directory = (options.work or Path(temporary)) / f"{samples}-samples"
            each = {"survey": measured(write_survey, directory, samples).value}
            each["read"] = measured(reading, directory, options.threads).value
            each["train"] = measured(training, directory, options.threads, options.steps).value
            each["predict"] = measured(prediction, directory, options.threads, options.predict).value
            print(each, flush=True)
            found.append(each)
    rows, growth = summarize(found)
    write_results("scale", {"threads": options.threads, "surveys": found, "growth": growth})
    draw(found, PAGES / "scale.svg")
    grown = ", ".join(f"{what} {value:.2f}" for what, value in growth.items() if value is not None)
    command = ["python benchmarks/scale.py --samples", *map(str, sorted(options.samples))]
    if options.predict:
        command.append(f"--predict {options.predict}")
    command.append(f"--threads {options.threads}")
    text = [
        f"`{' '.join(command)}`, {options.steps} steps of 32 samples; each cell is a process of its own.\n",
        markdown(rows),
        f"CPU seconds grow as the number of samples to the power of: {grown}." if grown else "",
        "\n![CPU seconds and memory over the number of samples](scale.svg)",
    ]
    print("\n".join(text))
    write_section(SECTION, "\n".join(text))


if __name__ == "__main__":
    main()
