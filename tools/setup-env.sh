#!/usr/bin/env bash
# Makes the environment that `make demo`, `make test` and the others run in; does nothing when it stands.
#
#   tools/setup-env.sh            set up
#   tools/setup-env.sh --tests    set up, with what tests and lint need (in .venv these always come along)
#   tools/setup-env.sh --bin      print the folder of the environment's programs, set up or not
#
# A conda environment that is active and has QIIME 2 is used as it is: only the plugin and what it lacks are
# installed. Otherwise: QIIME 2 from Debian 12's packages, everything else in .venv, with the versions of
# constraints.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

# chromium: the tests open .qzv pages in it.
debian_packages=(
  q2cli q2-types q2-feature-table q2-metadata q2-sample-classifier q2-phylogeny q2-emperor
  python3-unifrac python3-venv make git chromium vsearch
)
# Replaced by another version, these would break Debian's QIIME 2.
debian_only=(numpy pandas scipy sklearn matplotlib skbio biom h5py unifrac)
qiime2_stack='numpy|pandas|scipy|scikit-learn|scikit-bio|biom-format|h5py|matplotlib|seaborn|statsmodels|numba'
qiime2_stack+='|unifrac|click|decorator|dill|pyyaml|jinja2|lxml|networkx|ijson|tzlocal|psutil|parsl'

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

has_qiime2() {
  "$1" - <<'PYTHON' 2>/dev/null
import sys
from importlib.util import find_spec

sys.exit(not ((find_spec("qiime2") or find_spec("rachis")) and find_spec("q2_sample_classifier")))
PYTHON
}

if [ -n "${CONDA_PREFIX:-}" ] && [ -x "$CONDA_PREFIX/bin/python" ] && has_qiime2 "$CONDA_PREFIX/bin/python"; then
  conda=yes prefix=$CONDA_PREFIX
else
  conda=no prefix=$root/.venv
fi
if [ "${1:-}" = --bin ]; then
  printf '%s\n' "$prefix/bin"
  exit
fi

# --- is there anything to do? ---
# By contents, not by times: a fresh checkout of the same files needs no second set-up. (cksum, and
# flock only where it is: conda is also used on macOS, which lacks sha256sum and flock.)
wanted=$(printf '%s\n' "$root" && cksum constraints.txt pyproject.toml setup.py tools/setup-env.sh tools/qiime.py)
stamp=$prefix/.q2-aam-setup extras=""
if [ "$conda" = yes ] && [ "${1:-}" = --tests ]; then
  stamp=$stamp-tests extras="[test]"
fi
sources=$(find q2_aam -name '*.py' -exec cksum {} + | sort | cksum)

refresh_conda_cache() {
  # In .venv the `qiime` program itself sees that the plugin's sources have changed (tools/qiime.py).
  if [ "$conda" = yes ] && [ "$(cat "$prefix/.q2-aam-sources" 2>/dev/null)" != "$sources" ]; then
    "$prefix/bin/qiime" dev refresh-cache >/dev/null 2>&1 ||
      fail "the plugin does not load: see what '$prefix/bin/qiime dev refresh-cache' says."
    printf '%s\n' "$sources" >"$prefix/.q2-aam-sources"
  fi
}

exit_if_done() {
  if [ -x "$prefix/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    refresh_conda_cache
    exit
  fi
}
exit_if_done

mkdir -p "$prefix" 2>/dev/null && [ -w "$prefix" ] ||
  fail "nothing can be written to $prefix: clone q2-aam into a folder of your own, or make that one writable."
# Two set-ups at once would spoil each other's files: the second one waits, and then finds all done.
if command -v flock >/dev/null; then
  exec 9>"$prefix/.q2-aam-setup.lock"
  flock 9
  exit_if_done
fi
log=$prefix/q2-aam-setup.log
: >"$log"

run() { # a step: its output goes to the log, and is shown when it fails
  if ! "$@" >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "this failed: $*
setup: The lines above are the end of $log. Mend what they say and run make again: it goes on from here."
  fi
}

# --- conda ---
if [ "$conda" = yes ]; then
  say "using the active environment $prefix"
  # What QIIME 2 stands on stays at its version; pip then takes releases of PyTorch and others that suit.
  # setuptools has to be 77 or newer for PyTorch, but 81 lacks a module that QIIME 2 up to 2025 imports, and 80.9 warns of
  # it on every command. rachis asks for 80.9.
  kept=$prefix/.q2-aam-kept-versions.txt
  newest=80.9
  if "$prefix/bin/python" -c 'from importlib.metadata import version; version("rachis")' 2>/dev/null; then newest=81; fi
  echo "setuptools<$newest" >"$kept"
  "$prefix/bin/python" -m pip list --format=freeze 2>>"$log" | grep -iE "^($qiime2_stack)==[0-9][^ ]*$" >>"$kept"
  say "installing the plugin and what it lacks (PyTorch is large)"
  run "$prefix/bin/python" -m pip install -c "$kept" -e ".$extras"
  printf '%s\n' "$wanted" >"$stamp"
  rm -f "$prefix/.q2-aam-sources"
  say "q2cli reads the plugin"
  refresh_conda_cache
  say "done"
  exit
fi

# --- Debian ---
started=$SECONDS
if ! grep -qs '^ID=debian' /etc/os-release || ! grep -qs '^VERSION_ID="12"' /etc/os-release; then
  fail "no QIIME 2 found: activate a conda environment that has it (https://library.qiime2.org), or use Debian 12."
fi
missing=()
for package in "${debian_packages[@]}"; do
  dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      fail "Debian's packages ${missing[*]} are missing, and only root can install them: run 'apt-get install --no-install-recommends ${missing[*]}' as root, then make again."
    as_root=(sudo)
  fi
  say "installing from Debian: ${missing[*]}"
  run "${as_root[@]}" apt-get update
  run "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
fi

# A virtual environment cannot be moved: one made elsewhere, or for another Python, is made anew.
if [ -x .venv/bin/python ] && ! grep -qF "$root/.venv" .venv/bin/activate; then
  say "making .venv anew: it was made in another folder"
  run /usr/bin/python3 -m venv --clear --system-site-packages .venv
elif ! .venv/bin/python -c 'import pip' 2>/dev/null; then
  say "making .venv on Debian's Python and QIIME 2"
  run /usr/bin/python3 -m venv --system-site-packages .venv
fi
pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input)

# Alone and pinned: asked for without a version, by us or by another package, torch brings several GB of CUDA.
say "installing PyTorch"
run "${pip[@]}" install -c constraints.txt "torch==$(sed -n 's/^torch==//p' constraints.txt)"
say "installing Lightning, TensorBoard, Altair and the test tools"
# setuptools reads our licence by packaging 24.2 or newer; Debian has 23.
run "${pip[@]}" install -c constraints.txt setuptools packaging
run "${pip[@]}" install -c constraints.txt --no-build-isolation -e '.[test]'

.venv/bin/python - "$root/.venv" "${debian_only[@]}" <<'PYTHON' || fail "delete .venv and mend constraints.txt."
import sys
from importlib.util import find_spec

venv, *modules = sys.argv[1:]
replaced = [name for name in modules if find_spec(name).origin.startswith(venv)]
if replaced:
    sys.exit(f"setup: pip replaced Debian's {', '.join(replaced)}, which Debian's QIIME 2 was built with.")
PYTHON

cat >.venv/bin/qiime <<LAUNCHER
#!/bin/sh
exec "$root/.venv/bin/python" "$root/tools/qiime.py" "\$@"
LAUNCHER
chmod +x .venv/bin/qiime

say "q2cli reads the plugins"
run .venv/bin/qiime info
printf '%s\n' "$wanted" >"$stamp"
say "done in $((SECONDS - started)) seconds"
