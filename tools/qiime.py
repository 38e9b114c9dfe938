"""The `qiime` program of .venv: q2cli, with a cache of its own that follows the plugin's sources.

q2cli remembers what plugins look like and reads them again only when the version of a package changes. That
of a plugin under development does not, so a changed parameter would not be seen; and q2cli keeps its memory in
the home folder, where two checkouts of the plugin would take turns in spoiling it.
"""

import fcntl
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APP_DIR = Path(sys.prefix) / "var" / "q2cli"


def describe_sources():
    """Name, size and time of change of every file that q2cli's cache may depend on."""
    files = [*ROOT.glob("q2_aam/**/*.py"), *ROOT.glob("q2_aam/*.bib")]
    lines = (f"{path.relative_to(ROOT)} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
    return "\n".join(sorted(lines))


def load_cache():
    """Let q2cli read its cache, or make it anew; one process at a time."""
    import q2cli.util

    q2cli.util.get_app_dir = lambda: str(APP_DIR)
    APP_DIR.mkdir(parents=True, exist_ok=True)
    cached = APP_DIR / "sources.txt"
    with open(APP_DIR / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = describe_sources()
        stale = not cached.exists() or cached.read_text() != sources
        if stale:
            os.environ["Q2CLIDEV"] = "1"  # q2cli's own switch to make its cache anew
        import q2cli.core.cache  # noqa: F401  (reads or makes it as it is imported)

        if stale:
            del os.environ["Q2CLIDEV"]
            cached.write_text(sources)


if __name__ == "__main__":
    load_cache()
    from q2cli.__main__ import qiime

    qiime(prog_name="qiime")
