"""Writes docs/reference/actions.md from the registered plugin, so that the page says what the program does."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "actions.md"
KINDS = {"methods": "method", "pipelines": "pipeline", "visualizers": "visualizer"}
ORDER = (
    "fit", "predict", "show_novelty", "evaluate", "explain", "show_importance", "summarize_model", "split_samples",
    "cross_validate", "maturity", "show_maturity", "embed", "embed_vectors", "harmonize_regions", "ready_encoder",
    "pretrain", "fine_tune",
)  # fmt: skip


def page() -> str:
    """The page's text."""
    from q2_aam.plugin_setup import plugin

    lines = [
        "# Actions",
        "",
        "Each action of `qiime aam`, with its inputs, parameters and outputs. This page is made from the plugin by "
        "`make reference`; change the descriptions in `q2_aam/registration`.",
        "",
        "On the command line inputs are `--i-NAME`, parameters `--p-NAME`, outputs `--o-NAME`; metadata are "
        "`--m-NAME-file`, and columns of them `--m-NAME-column`. Hyphens stand for underscores. The Artifact API takes "
        "the names as they are here. Where types bear raised numbers, those of the same number go together.",
    ]
    kinds = {name: kind for group, kind in KINDS.items() for name in getattr(plugin, group)}
    for name in sorted(plugin.actions, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)):
        lines += ["", *section(plugin.actions[name], kinds[name])]
    return "\n".join(lines) + "\n"


def section(action, kind: str) -> list[str]:
    """An action's heading, description and tables."""
    signature = action.signature
    outputs = {} if kind == "visualizer" else signature.outputs
    lines = [f"## {action.id.replace('_', '-')}", "", f"{action.name} ({kind}).", "", action.description]
    for title, entries, shows_default in (
        ("Inputs", signature.inputs, False),
        ("Parameters", signature.parameters, True),
        ("Outputs", outputs, False),
    ):
        if entries:
            lines += ["", *table(title, entries, shows_default)]
    return lines


def table(title: str, entries: dict, shows_default: bool) -> list[str]:
    """Lines of a Markdown table of inputs, parameters or outputs."""
    titles = [title, "type", *["default"] * shows_default, "description"]
    rows = [titles, ["---"] * len(titles)]
    for name, spec in entries.items():
        default = [default_of(spec)] if shows_default else []
        optional = " (optional)" if not shows_default and spec.has_default() else ""
        rows.append([f"`{name}`{optional}", f"`{spec.qiime_type!r}`", *default, spec.description])
    # A bar would end the cell.
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def default_of(spec) -> str:
    """A parameter's default in words."""
    if not spec.has_default():
        return "required"
    return "none" if spec.default is None else f"`{spec.default}`"


if __name__ == "__main__":
    PAGE.write_text(page())
