#!/usr/bin/env bash
# Runs a selection of the tests, or those that are named, on the newest releases of everything from PyPI.
#
#   tools/test-newest.sh [arguments of pytest]
#
# In .venv-newest (delete it to take the releases of today): the framework (rachis), NumPy, pandas, SciPy, scikit-learn,
# scikit-bio, biom-format, h5py, matplotlib, Altair, Lightning and what they need, as pyproject.toml asks for them. PyTorch
# alone is that of constraints.txt: a newer one would bring several GB of CUDA. unifrac has no build on PyPI and is
# played by tests/newest/unifrac.py. Debian's q2cli and plugins, written for the framework of 2022.11, run on rachis by
# its other name (tests/newest/qiime2); what they cannot do there is said in tests/old_plugins.py.
#
# Without a connection, or where something cannot be had, this says what is missing and is no failure: the releases that
# the project is built on are tested by `make test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD venv=$PWD/.venv-newest python=${NEWEST_PYTHON:-/usr/bin/python3}
plugins=(q2cli q2_types q2_feature_table q2_metadata q2_sample_classifier q2templates)
debian=/usr/lib/python3/dist-packages

say() { printf 'test-newest: %s\n' "$*"; }

run() { # a step of the set-up: its output goes to the log; when it fails nothing is tested, and that is said
  if ! "$@" >>"$log" 2>&1; then
    tail -n 5 "$log" | cut -c 1-300
    say "skipped: the newest releases could not be installed. This failed: $*"
    say "The lines above are the end of $log."
    exit 0
  fi
}

wanted=$(printf '%s\n' "$root" "$python" && cksum pyproject.toml constraints.txt tools/test-newest.sh)
if [ "$(cat "$venv/.q2-aam-setup" 2>/dev/null)" != "$wanted" ]; then
  mkdir -p "$venv"
  log=$venv/q2-aam-setup.log
  : >"$log"
  say "making .venv-newest"
  run "$python" -m venv "$venv"
  # Few and short tries, and nothing compiled that no test imports.
  pip=("$venv/bin/python" -m pip --disable-pip-version-check --no-input --retries 1 --timeout 30)
  run "${pip[@]}" install --no-compile "torch==$(sed -n 's/^torch==//p' constraints.txt)"
  # ijson and seaborn for Debian's plugins, and click as old as its q2cli; Cython for iow, which is no wheel.
  run "${pip[@]}" install --no-compile rachis 'setuptools<81' wheel 'click<8.2' cython ijson seaborn \
    pytest pytest-timeout pytest-xdist jinja2 hypothesis
  run "${pip[@]}" install --no-compile --no-build-isolation -e '.[library]'
  run env CFLAGS=-O0 "${pip[@]}" install --no-compile --no-build-isolation iow
  site=$("$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')
  for plugin in "${plugins[@]}"; do
    for part in "$debian/$plugin" "$debian/$plugin"-*.egg-info; do
      if [ -e "$part" ]; then ln -sfn "$part" "$site/"; fi
    done
  done
  printf '%s\n' "$wanted" >"$venv/.q2-aam-setup"
fi

say "with $("$venv/bin/python" -m pip list --disable-pip-version-check --format=freeze |
  grep -iE '^(rachis|numpy|pandas|scipy|scikit-learn|scikit-bio|biom.format|h5py|matplotlib|altair|torch|lightning)==' | paste -sd' ')"
# What finds most in two minutes: reading, types, predictions; and, where Debian's plugins are, each action once.
tests=(tests/study tests/test_same_predictions.py tests/test_settings.py)
if [ -e "$debian/q2_types" ]; then
  tests+=(
    tests/types tests/actions/test_{artifacts,maturity,merge_folds,parallel}.py
    tests/test_{framework,interface,plugin_setup}.py
    tests/cli/test_help.py::test_{registering_the_plugin_loads_no_network,refusal_is_a_sentence_and_leaves_nothing}
  )
else
  say "Debian's q2-types is not here: the core alone is tested."
fi
if [ $# -gt 0 ]; then tests=("$@"); fi
PYTHONPATH=$root/tests/newest OMP_NUM_THREADS=1 PATH="$venv/bin:$PATH" "$venv/bin/python" -m pytest -n 2 --dist loadfile \
  "${tests[@]}"
