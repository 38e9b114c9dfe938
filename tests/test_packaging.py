"""What is said about the package in several files is the same everywhere."""

import ast
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jinja2
import pytest
import yaml

import q2_aam

ROOT = Path(__file__).resolve().parent.parent
if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirement_names(requirements):
    return {re.match(r"[A-Za-z0-9_.-]+", line).group().lower() for line in requirements}


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pin) == 2 for pin in pins), "every line pins one version"
    return {name.lower(): pinned for name, pinned in pins}


def test_every_dependency_is_pinned_for_ci():
    names = requirement_names(project()["dependencies"] + project()["optional-dependencies"]["test"])
    assert names <= set(constraints())


# What a module is called where packages are installed.
DISTRIBUTIONS = {
    "biom": "biom-format", "bp": "iow", "q2_sample_classifier": "q2-sample-classifier", "q2_types": "q2-types",
    "skbio": "scikit-bio", "sklearn": "scikit-learn", "vl_convert": "vl-convert-python", "yaml": "pyyaml",
}  # fmt: skip
# From conda or Debian alone.
NOT_FROM_PYPI = {"iow", "q2-sample-classifier", "q2-types", "q2templates", "unifrac"}
# Asked for by lightning, which writes its files, and by QIIME 2.
NOT_IMPORTED = {"tensorboard", "setuptools"}


def imported():
    """Distributions of all modules that the package imports, anywhere in its files."""
    modules = set()
    for file in (ROOT / "q2_aam").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module.split(".")[0])
    modules -= {*sys.stdlib_module_names, "q2_aam"}
    return {DISTRIBUTIONS.get(name, name) for name in modules}


def test_what_is_imported_is_declared_and_the_other_way_round():
    extras = project()["optional-dependencies"]
    declared = requirement_names(project()["dependencies"] + extras["library"])
    assert imported() == (declared | NOT_FROM_PYPI) - NOT_IMPORTED


def test_what_is_imported_is_in_the_recipe():
    conda_names = {"torch": "pytorch"}
    assert {conda_names.get(name, name) for name in imported()} <= recipe_needs()


def test_releases_of_lightning_that_are_refused():
    # 2.6.2 and 2.6.3 on PyPI were not what their authors released
    (lightning,) = (line for line in project()["dependencies"] if line.startswith("lightning"))
    assert "!=2.6.2" in lightning and "!=2.6.3" in lightning
    for name in ("lightning", "pytorch-lightning"):
        assert constraints()[name] not in ("2.6.2", "2.6.3")


def recipe_needs():
    recipe = (ROOT / "recipe" / "meta.yaml").read_text()
    run = recipe.split("  run:\n", 1)[1].split("  build:\n", 1)[0]
    return set(re.findall(r"^  - ([a-z0-9-]+)", run, flags=re.MULTILINE))


def test_recipe_needs_what_the_package_needs():
    conda_names = {"torch": "pytorch"}
    needed = {conda_names.get(name, name) for name in requirement_names(project()["dependencies"])}
    assert needed <= recipe_needs()
    assert {"qiime2", "q2-types", "q2-sample-classifier", "q2templates", "unifrac"} <= recipe_needs()


def test_recipe_is_yaml_when_a_distribution_has_filled_it_in():
    template = jinja2.Template((ROOT / "recipe" / "meta.yaml").read_text(), undefined=jinja2.StrictUndefined)
    names = ("python", "numpy", "pandas", "scipy", "scikit_learn", "scikit_bio", "biom_format")
    plugins = ("qiime2", "q2_types", "q2_sample_classifier", "q2templates")
    filled = {**dict.fromkeys(names, "1.2"), **dict.fromkeys(plugins, "2026.7"), "PLUGIN_VERSION": q2_aam.__version__}
    recipe = yaml.safe_load(template.render(filled))
    assert recipe["package"] == {"name": "q2-aam", "version": q2_aam.__version__}
    assert recipe["about"]["license"] == project()["license"]
    assert recipe["about"]["license_file"] == project()["license-files"]
    assert all((ROOT / name).exists() for name in project()["license-files"])
    assert "q2-types >=2026.7" in recipe["requirements"]["run"]


@pytest.mark.parametrize("release", ["2026.4", "2026.7"])
def test_an_environment_of_a_release_lacks_nothing(release):
    """What pip would otherwise fetch beside conda's own packages."""
    file = ROOT / "environment-files" / f"q2-aam-rachis-qiime2-{release}.yml"
    content = yaml.safe_load(file.read_text())
    assert list(content) == ["channels", "dependencies"]
    channel = f"https://packages.qiime2.org/qiime2/{release}/qiime2/released"
    assert content["channels"] == [channel, "conda-forge", "bioconda"]
    *conda, from_pip = content["dependencies"]
    assert from_pip == {"pip": ["q2-aam @ git+https://github.com/q2-aam/q2-aam.git@main"]}
    listed = {re.match(r"[a-z0-9-]+", line).group(): line for line in conda}
    assert recipe_needs() | {"pip", "q2cli", "q2-feature-table"} <= set(listed)
    assert {line for name, line in listed.items() if name.startswith("q")} == {
        f"{name}={release}.*" for name in listed if name.startswith("q")
    }
    for line in project()["dependencies"]:
        name, condition = re.fullmatch(r"([\w-]+)(.*)", line).groups()
        name = {"torch": "pytorch"}.get(name, name)
        # QIIME 2 decides about what it stands on.
        assert listed[name] == name if name in constraints_of_debian() else listed[name] == name + condition, name


def constraints_of_debian():
    text = (ROOT / "constraints.txt").read_text().split("# From Debian", 1)[1].split("\n\n", 1)[0]
    return set(re.findall(r"^([\w-]+)==", text, flags=re.MULTILINE))


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == q2_aam.__version__ and citation["license"] == project()["license"]
    entry = (ROOT / "q2_aam" / "citations.bib").read_text().split("@misc{q2aam,", 1)[1]
    assert citation["title"] == re.search(r"title=\{(.*)\}", entry).group(1).replace("{", "").replace("}", "")


def test_changelog_tells_of_this_version():
    assert f"## {q2_aam.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_installed_distribution_is_this_one():
    try:
        installed = version("q2-aam")
    except PackageNotFoundError:
        pytest.skip("q2-aam is not installed")
    assert installed == q2_aam.__version__


def test_make_help_lists_the_targets():
    text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make ([\w-]+)", text, flags=re.MULTILINE) == [
        "help", "demo", "demo-pretraining", "test", "test-newest", "lint", "install", "reference", "bench", "studies",
        "clean",
    ]  # fmt: skip


def test_links_in_the_documents_lead_somewhere():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(documents) >= 30
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"
