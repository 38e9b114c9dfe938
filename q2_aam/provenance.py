"""Where predictions come from, as far as QIIME 2 has written that down beside them."""

from pathlib import Path

OUT_OF_FOLD, LEARNT, NEW, UNKNOWN = "out-of-fold", "learnt", "new", "unknown"
# Actions whose predictions are of samples that were not learnt from.
FITTING = ("fit", "fine_tune", "cross_validate", "merge_folds")


def origin_of(directory) -> str:
    """Whether predictions are of samples that their model had learnt from.

    Parameters
    ----------
    directory : path
        Of the predictions' files, beside whose folder the provenance lies if they are those of an artifact.

    Returns
    -------
    {'out-of-fold', 'learnt', 'new', 'unknown'}
        Of `fit`, `fine-tune`, `cross-validate` or `merge-folds`; of `predict`, of the table that the model was fitted
        to; of `predict`, of another table (which may hold some of the same samples); not known.
    """
    provenance = Path(str(directory)).parent / "provenance"
    action = _action(provenance)
    if action.get("action") in FITTING:
        return OUT_OF_FOLD
    if action.get("action") != "predict":
        return UNKNOWN
    fitted = _action(provenance / "artifacts" / str(action["inputs"].get("model")))
    if fitted.get("action") not in FITTING:
        return UNKNOWN
    return LEARNT if fitted["inputs"].get("table") == action["inputs"].get("table") else NEW


def folds_of_samples(directory) -> bool:
    """Whether out-of-fold predictions are known to be of folds that part samples of a subject: no groups were given."""
    action = _action(Path(str(directory)).parent / "provenance")
    return action.get("action") in FITTING and action["parameters"].get("groups", "") is None


def _action(folder: Path) -> dict:
    """What an action was, its inputs and parameters by name; empty where nothing is written, or of other plugins."""
    import yaml

    class Plain(yaml.SafeLoader):
        """Reads references as the text that they are.

        From 2023 on the framework gives `SafeLoader` constructors of its own for them, one of which opens files.
        """

        yaml_constructors = {
            tag: make for tag, make in yaml.SafeLoader.yaml_constructors.items() if not str(tag).startswith("!")
        }

    def text_of(loader, suffix, node):
        return node.value if isinstance(node, yaml.ScalarNode) else None

    Plain.add_multi_constructor("!", text_of)
    try:
        content = yaml.load((folder / "action" / "action.yaml").read_text(encoding="utf-8"), Loader=Plain)
    except FileNotFoundError:
        return {}
    action = content.get("action") or {}
    if not str(action.get("plugin")).endswith(":aam"):
        return {}
    given = {
        kind: {name: value for entry in action.get(kind) or [] for name, value in entry.items()}
        for kind in ("inputs", "parameters")
    }
    return {"action": action.get("action"), **given}
