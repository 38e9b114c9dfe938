"""Messages in the language of the interface: on the command line parameters are called `--p-name`."""

import contextlib
import functools
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator


@contextlib.contextmanager
def speaking(action: Callable) -> Iterator[None]:
    """Errors and warnings call the parameters of an action as whoever runs it does."""
    if not on_command_line():
        yield
        return
    names, before = parameters_of(action), warnings.showwarning

    def show(message, category, *rest, **further) -> None:
        said = in_options(str(message), names)
        before(message if said == str(message) else category(said), category, *rest, **further)

    try:
        warnings.showwarning = show
        yield
    except ValueError as error:
        said = in_options(str(error), names)
        if said == str(error):
            raise
        raise ValueError(said) from error
    finally:
        warnings.showwarning = before


def spoken(action: Callable) -> Callable:
    """A method that speaks so. Its signature stays as it is.

    Visualizers and pipelines cannot be wrapped: QIIME 2 takes their first argument off the function that it is given,
    and would take it off the wrapper alone.
    """

    @functools.wraps(action)
    def run(*arguments, **options):
        with speaking(action), naming_artifacts(inspect.signature(action).bind(*arguments, **options).arguments):
            return action(*arguments, **options)

    return run


@contextlib.contextmanager
def naming_artifacts(given: dict) -> Iterator[None]:
    """Errors call artifacts by the parameter that they were given as: their temporary folders tell nobody anything."""
    try:
        yield
    except ValueError as error:
        said = named(str(error), {name: str(view) for name, view in given.items() if hasattr(view, "path")})
        if said == str(error):
            raise
        raise ValueError(said) from error


def named(message: str, paths: dict[str, str]) -> str:
    """A message with parameters in place of the paths of what was given as them.

    Examples
    --------
    >>> from q2_aam.interface import named
    >>> named("/tmp/x/model/best_model.pt is empty: look at /tmp/x/model.", {"model": "/tmp/x/model"})
    'best_model.pt of the artifact given as model is empty: look at the artifact given as model.'
    """
    option = "--i-" if on_command_line() else ""
    for name, path in paths.items():
        artifact = f"the artifact given as {option}{name.replace('_', '-') if option else name}"
        message = re.sub(rf"{re.escape(path)}/([\w.-]*\w)", rf"\1 of {artifact}", message).replace(path, artifact)
    return re.sub(r"\Athe ", "The ", message)


def on_command_line() -> bool:
    """Whether this process is the command `qiime`, or `python -m q2cli`."""
    folder, name = os.path.split(sys.argv[0] if sys.argv else "")
    return name.startswith("qiime") or (os.path.basename(folder), name) == ("q2cli", "__main__.py")


def parameters_of(action: Callable) -> set[str]:
    """Names of an action's parameters that the command line calls `--p-name`; metadata and artifacts are others."""
    return {
        name
        for name, parameter in inspect.signature(action).parameters.items()
        if parameter.default is not parameter.empty
        and (parameter.default is not None or "_" in name)
        # A pipeline's are not annotated, and none that is None by default is metadata with such a name.
        and parameter.annotation in (parameter.empty, str, int, float, bool)
    }


def in_options(message: str, names: Iterable[str]) -> str:
    """A message with parameters as options of the command line.

    Examples
    --------
    >>> from q2_aam.interface import in_options
    >>> in_options("Add them, or set missing_samples to 'ignore'.", ["missing_samples"])
    'Add them, or set --p-missing-samples ignore.'
    >>> in_options("folds must be 2 or more, but is 1.", ["folds"])
    '--p-folds must be 2 or more, but is 1.'
    """
    one = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    if not one:
        return message
    # Set one to a value; one at the beginning; names with an underscore, which are no words. Not in quotes, which
    # the apostrophe of a word does not open.
    pattern = re.compile(
        rf"(?P<set>\b[Ss]et )(?P<a>{one}) to (?P<q>'?)(?P<value>[\w.]+)(?P=q)"
        rf"|(?P<kept>(?<!\w)'[^']*'(?!\w))|(?P<start>\A)(?P<b>{one})(?= (?:must|is|names) )|\b(?P<c>{one})\b"
    )

    def option(found: re.Match) -> str:
        if found["a"]:
            return f"{found['set']}{_option(found['a'])} {found['value']}"
        if found["b"]:
            return _option(found["b"])
        if found["c"] and "_" in found["c"]:
            return _option(found["c"])
        return found[0]

    return pattern.sub(option, message)


def _option(name: str) -> str:
    return f"--p-{name.replace('_', '-')}"
