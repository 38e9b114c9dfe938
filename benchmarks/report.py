"""What the benchmarks share: measuring in a fresh process, results as JSON, tables in docs/benchmarks."""

import json
import multiprocessing
import os
import re
import resource
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PAGES = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"
# Page of each section.
SECTIONS = {
    "skill": "scores.md",
    "skill-half": "scores.md",
    "skill-other": "scores.md",
    "skill-own": "scores.md",
    "regions": "scores.md",
    "regions-harmonized": "scores.md",
    "across-studies": "scores.md",
    "across-ages": "scores.md",
    "across-percentiles": "scores.md",
    "skill-own-half": "scores.md",
    "skill-half-other": "scores.md",
    "strangers": "scores.md",
    "known-ground": "scores.md",
    "probabilities": "probabilities.md",
    "intervals": "probabilities.md",
    "metrics": "scores.md",
    "starts": "scores.md",
    "step": "speed.md",
    "predict": "speed.md",
    "memory-flat": "speed.md",
    "distances": "scale.md",
    "scale": "scale.md",
    "many-samples": "scale.md",
    "explaining": "explanations.md",
    "deletion": "explanations.md",
    "maturity": "maturity.md",
    "maturity-ages": "maturity.md",
    "maturity-simulated": "maturity.md",
    "planted": "explanations.md",
    "permuted": "explanations.md",
    "placement": "distances.md",
    "placement-time": "distances.md",
}


@dataclass
class Measurement:
    """What something took.

    Attributes
    ----------
    seconds, cpu_seconds : float
        By the clock, and of all threads and finished child processes together.
    peak_mb : float
        Most memory in use at a time (resident, MiB), all of the process included: libraries too.
    value : object
        What the function returned; None for a command.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    value: object = None

    def row(self) -> dict[str, float]:
        """The three numbers, for a table or a JSON file."""
        return {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds, "peak_mb": self.peak_mb}


def measured(job: Callable | Sequence[str], *arguments, environment: dict | None = None, **named) -> Measurement:
    """Run a function, or a command, in a process of its own.

    A function's own seconds start when the fresh interpreter has imported the function's module; what the function
    imports itself counts. To leave preparation out, measure a part of it with :func:`stage` and return that.

    Parameters
    ----------
    job : callable or sequence of str
        A function of a module's top level (the new interpreter imports it by name), or a command with its arguments.
    *arguments, **named
        Given to the function; must be picklable, as its result.
    environment : dict of str to str, optional
        Environment variables to set, for example ``{'OMP_NUM_THREADS': '1'}``.

    Returns
    -------
    Measurement

    Raises
    ------
    RuntimeError
        If the function raised (its traceback is in the message), the process died or the command failed.
    """
    if not callable(job):
        return _measured_command(list(job), environment or {})
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, environment or {}, job, arguments, named))
    before = {name: os.environ.get(name) for name in environment or {}}
    os.environ.update(environment or {})  # libraries read some variables while they are loaded
    try:
        process.start()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    sender.close()
    try:
        found = receiver.recv()
    except EOFError:
        found = "It ended without a result: killed, perhaps for want of memory."
    process.join()
    if isinstance(found, str):
        raise RuntimeError(f"{job.__module__}.{job.__qualname__} failed. {found}")
    return found


def _run(sender, environment: dict, job: Callable, arguments: tuple, named: dict) -> None:
    """In the new process: run the function, send what it took or its traceback."""
    try:
        with stage() as took:
            took.value = job(*arguments, **named)
        sender.send(took)
    except BaseException:
        sender.send(traceback.format_exc())


def _measured_command(command: list[str], environment: dict) -> Measurement:
    """Run a command to its end. Its peak is that of its largest process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **environment})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed with code {process.returncode}.")
    return Measurement(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10)


@contextmanager
def stage() -> Iterator[Measurement]:
    """Measure a part of the running process: ``with stage() as took: ...``; the numbers are there afterwards.

    Stages must not stand inside one another: each begins by forgetting the peak so far.
    """
    took = Measurement()
    _forget_peak()
    cpu, started = _cpu_seconds(), time.perf_counter()
    yield took
    took.seconds = time.perf_counter() - started
    took.cpu_seconds = _cpu_seconds() - cpu
    took.peak_mb = _peak_mb()


def _cpu_seconds() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _forget_peak() -> None:
    """Set the peak to what is in use now. ``ru_maxrss`` cannot be used: a new process inherits it from its parent."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 2**10


def markdown(rows: Sequence[dict], digits: int = 3) -> str:
    """A Markdown table.

    Parameters
    ----------
    rows : sequence of dict
        One a line, the same keys in all: the columns' titles.
    digits : int
        Significant digits of fractional numbers.

    Returns
    -------
    str
        Lines of the table, with a newline behind the last.
    """
    titles = list(rows[0])
    lines = [titles, ["---"] * len(titles), *([_text(row[title], digits) for title in titles] for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _text(value, digits: int) -> str:
    if isinstance(value, bool) or not isinstance(value, float | int):
        return "" if value is None else str(value)
    if isinstance(value, float) and abs(value) < 10 ** (digits - 1):
        return f"{value:.{digits}g}"
    return f"{value:,.0f}"


def write_results(name: str, results) -> Path:
    """Write ``results/NAME.json`` beside the benchmarks; gives its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    return path


def write_section(name: str, text: str, page: Path | None = None) -> None:
    """Replace what stands between ``<!-- NAME begin -->`` and ``<!-- NAME end -->`` in its page of docs/benchmarks.

    Parameters
    ----------
    name : str
        Of the section; a page without its two lines gets them at its end.
    text : str
        Markdown to put there.
    page : pathlib.Path
        Another page than that of ``SECTIONS``.
    """
    page = page or PAGES / SECTIONS[name]
    begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    before = page.read_text()
    if begin not in before:
        before = f"{before.rstrip()}\n\n{begin}\n{end}\n"
    head, rest = before.split(begin, 1)
    if end not in rest:
        raise ValueError(f"{page} has the line {begin} but not {end} behind it. Add it.")
    page.write_text(f"{head}{begin}\n{text.strip()}\n{end}{rest.split(end, 1)[1]}")
