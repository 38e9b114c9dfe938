"""What README and docs show is so: links, commands, options, scores."""

import ast
import re
from pathlib import Path

import pandas as pd
import pytest

import q2_aam
from q2_aam.framework import qiime2
from q2_aam.plugin_setup import plugin

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
# Decisions show commands and options of their time.
PAGES = [README, *sorted(path for path in (ROOT / "docs").rglob("*.md") if "decisions" not in path.parts)]
LINKED = sorted({*PAGES, ROOT / "CHANGELOG.md", *(ROOT / "docs" / "dev" / "decisions").glob("*.md")})
HERE = ("https://github.com/q2-aam/q2-aam/blob/main/", "https://raw.githubusercontent.com/q2-aam/q2-aam/main/")
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"--[a-z][a-z0-9-]*")
# What q2cli gives every action.
EVERYWHERE = {"--output-dir", "--verbose", "--quiet", "--help", "--use-cache", "--recycle-pool", "--no-recycle"}
EVERYWHERE |= {"--parallel", "--parallel-config", "--example-data"}
SCORES = {
    "age of infants, R2": ("ecam-infant-age", "month_of_life"),
    "their delivery mode": ("ecam-infant-age", "delivery"),
    "Crohn's disease": ("ibd-crohns-families", "ibd"),
    "Crohn's disease and surgery, 3 classes": ("ibd-crohns-families", "surgery_and_ibd"),
    "kind of soil, 4 classes": ("soil88-ph", "env_feature"),
    "pH of soil, R2": ("soil88-ph", "ph"),
    "age of adults, R2": ("colombia-gut-250", "age_years"),
    "their body mass index, R2": ("colombia-gut-250", "BMI"),
    "their cardiometabolic status": ("colombia-gut-250", "Cardiometabolic_status"),
    "their city, 5 classes": ("colombia-gut-250", "city"),
    "pancreatitis": ("pancreatitis-gut", "dx"),
    "its severity, 4 classes": ("pancreatitis-gut", "disease"),
    "children's noses: colonization": ("nasopharynx-children", "colonization"),
    "their otitis": ("nasopharynx-children", "Condition"),
    "colitis of horses": ("horse-feces-colitis", "type"),
    "area of a clean room, 13 classes": ("spacecraft-cleanroom", "jpl_location_area"),
    "PMA treatment of its samples": ("spacecraft-cleanroom", "jpl_pma"),
    "chronic fatigue": ("chronic-fatigue-gut", "Subject"),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def pages(paths):
    return pytest.mark.parametrize("page", paths, ids=name_of)


def links(page: Path) -> list[str]:
    """Targets of a page's links and pictures, outside of blocks of code."""
    return LINK.findall(BLOCK.sub("", page.read_text()))


def place_of(link: str, page: Path) -> tuple[Path | None, str]:
    """File of this repository that a page's link leads to (None elsewhere), and the heading in it."""
    target, _, anchor = link.partition("#")
    for base in HERE:
        if target.startswith(base):
            return ROOT / target.removeprefix(base), anchor
    if "://" in target:
        return None, anchor
    return (page.parent / target).resolve() if target else page, anchor


def anchors(page: Path) -> set[str]:
    """Names that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(page: Path) -> list[tuple[str, str]]:
    """Actions of the plugin that a page's blocks of code run, each with the rest of its command."""
    text = "\n".join(code for _, code in BLOCK.findall(page.read_text())).replace("\\\n", " ")
    return re.findall(r"qiime aam ([a-z][a-z-]*)([^\n']*)", text)


def options(action_name: str) -> tuple[set[str], list[set[str]]]:
    """Options of an action; and those that it must be given, one of each set."""
    action = plugin.actions[action_name.replace("-", "_")]
    signature, known, needed = action.signature, set(EVERYWHERE), []
    for name, spec in signature.inputs.items():
        known.add(option := f"--i-{name.replace('_', '-')}")
        needed += [] if spec.has_default() else [{option}]
    for name, spec in signature.parameters.items():
        dashed, kind = name.replace("_", "-"), str(spec.qiime_type)
        if kind.startswith("Metadata"):
            found = [f"--m-{dashed}-file"] + [f"--m-{dashed}-column"] * kind.startswith("MetadataColumn")
        else:
            found = [f"--p-{dashed}"]
        known |= {*found, f"--p-no-{dashed}"} if kind == "Bool" else {*found}
        needed += [] if spec.has_default() else [{option} for option in found]
    outputs = ("visualization",) if action_name.replace("-", "_") in plugin.visualizers else signature.outputs
    written = [f"--o-{name.replace('_', '-')}" for name in outputs]
    return known | set(written), needed + [{option, "--output-dir"} for option in written]


def test_the_readme_is_one_page():
    assert len(README.read_text().splitlines()) <= 100


def test_links_of_the_readme_are_absolute():
    """It is shown on other pages, too: the plugin library's, say."""
    assert [link for link in links(README) if not link.startswith("https://")] == []


@pages(LINKED)
def test_links_lead_somewhere(page):
    for link in links(page):
        path, anchor = place_of(link, page)
        if path is not None:
            assert path.exists(), f"{name_of(page)} links to {link}, which is not there"
            assert not anchor or anchor in anchors(path), f"{name_of(page)}: {name_of(path)} has no heading #{anchor}"


def test_every_page_can_be_reached_from_the_readme():
    seen, waiting = set(), [README]
    while waiting:
        page = waiting.pop()
        if page not in seen and page.suffix == ".md" and page.exists():
            seen.add(page)
            places = (place_of(link, page)[0] for link in links(page))
            waiting += [place for place in places if place is not None]
    assert {name_of(page) for page in LINKED} - {name_of(page) for page in seen} == set()


@pages([page for page in PAGES if commands(page)])
def test_commands_are_complete_and_have_no_option_that_is_not_there(page):
    for action, rest in commands(page):
        command = f"{name_of(page)}: qiime aam {action}{rest}"
        assert action.replace("-", "_") in plugin.actions, command
        known, needed = options(action)
        shown = set(OPTION.findall(rest))
        assert shown <= known, f"{sorted(shown - known)} is no option of {command}"
        if shown - {"--help"}:
            lacking = [sorted(either) for either in needed if not either & shown]
            assert not lacking, f"{lacking} is missing in {command}"


@pages(PAGES)
def test_actions_and_options_in_sentences_are_there(page):
    everything = set.union(*(options(name)[0] for name in plugin.actions))
    for code in re.findall(r"`([^`\n]+)`", BLOCK.sub("", page.read_text())):
        for action in re.findall(r"qiime aam ([a-z][a-z-]*)", code):
            assert action.replace("-", "_") in plugin.actions, code
        if "qiime " not in code or "qiime aam" in code:
            shown = {option for option in OPTION.findall(code) if re.match("--[pimo]-.", option)}
            assert shown <= everything, f"{name_of(page)}: {sorted(shown - everything)} is no option of any action"


@pages([page for page in PAGES if "```python" in page.read_text()])
def test_names_of_the_python_api_are_there(page):
    for _, code in (block for block in BLOCK.findall(page.read_text()) if block[0] == "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("q2_aam."):
                found = q2_aam
                for part in ast.unparse(node).split(".")[1:]:
                    found = getattr(found, part)


def test_the_scores_of_the_readme_are_those_that_were_measured():
    scores = pd.read_csv(ROOT / "docs" / "benchmarks" / "skill.tsv", sep="\t")
    # Seeds that have a score of ours.
    means = scores[scores["q2-aam"].notna()].groupby(["study", "target"]).mean(numeric_only=True)
    table = [line.strip("|").split("|") for line in README.read_text().splitlines() if line.startswith("| ")]
    header, *rows = [[cell.strip() for cell in line] for line in table]
    assert {row[0] for row in rows} == set(SCORES) and {SCORES[row[0]] for row in rows} == set(means.index)
    forests = ["random forest", "balanced forest"]
    others = ["log-ratios", "boosted trees", "SVM UniFrac", "SVM Jaccard"]
    assert header[1:] == ["q2-aam", *forests, *others, "mixed"]
    methods = ["q2-aam", *forests, *others, "forest, linear and SVM mixed"]
    for label, *cells in rows:
        mean = means.loc[SCORES[label], methods]
        expected = [f"{value:.2f}" if pd.notna(value) else "" for value in mean]
        assert [cell.strip("*") for cell in cells] == expected, label
        bold = [cell for cell in cells if "*" in cell]
        # the best one, unless others are as good within what is shown
        best = f"{mean.max():.2f}"
        assert bold == ([f"**{best}**"] if expected.count(best) == 1 else []), label


def test_the_metadata_file_shown_has_classes_and_groups_that_are_numbers(tmp_path):
    text = (ROOT / "docs" / "how-to" / "prepare-data.md").read_text()
    [shown] = [code for _, code in BLOCK.findall(text) if "#q2:types" in code]
    (tmp_path / "typed.tsv").write_text(shown.strip("\n") + "\n")
    lines = [line for line in shown.strip("\n").splitlines() if not line.startswith("#q2:types")]
    (tmp_path / "untyped.tsv").write_text("\n".join(lines) + "\n")
    kinds = {}
    for name in ("typed", "untyped"):
        columns = qiime2.Metadata.load(str(tmp_path / f"{name}.tsv")).columns
        kinds[name] = {column: found.type for column, found in columns.items()}
    assert kinds["untyped"] == {"subject": "numeric", "diagnosis": "numeric", "ph": "numeric"}
    assert kinds["typed"] == {"subject": "categorical", "diagnosis": "categorical", "ph": "numeric"}
