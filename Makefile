# `make help` says what there is. Every target but help and clean does its own set-up first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-pretraining test test-newest lint install reference bench studies clean setup setup-tests

# the programs of the active conda environment when it has QIIME 2, else those of .venv
BIN = $(shell tools/setup-env.sh --bin)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1 \2/' | \
	  while read -r target text; do printf '  make %-17s %s\n' "$$target" "$$text"; done

setup:
	@tools/setup-env.sh

setup-tests:
	@tools/setup-env.sh --tests

demo: setup ## simulate a survey, learn from it with the real qiime program, show the scores (some minutes)
	@PATH="$(BIN):$$PATH" demo/run.sh

demo-pretraining: setup ## after demo: pretrain an encoder on that survey, and fit to it
	@test -f demo/output/train.qza || { echo "There is no demo/output yet: make demo first."; exit 1; }
	@PATH="$(BIN):$$PATH" demo/pretraining.sh

test: lint ## lint, then all tests
	OMP_NUM_THREADS=1 PATH="$(BIN):$$PATH" "$(BIN)/python" -m pytest -n 2

test-newest: setup-tests ## a selection of the tests on the newest releases from PyPI (in .venv-newest; some minutes)
	@tools/test-newest.sh

lint: setup-tests ## style (ruff) and which module may import which (import-linter)
	"$(BIN)/python" -m ruff check q2_aam tests benchmarks demo tools
	PATH="$(BIN):$$PATH" lint-imports --no-logo

install: setup ## install the plugin only: into the active conda environment with QIIME 2, or into .venv
	@echo "Installed: $(BIN)/qiime aam --help"

reference: setup ## write docs/reference/actions.md from the plugin's descriptions
	"$(BIN)/python" tools/reference.py

bench: setup ## speed, memory and scale, small (some minutes): JSON in benchmarks/results, tables in docs/benchmarks
	"$(BIN)/python" benchmarks/step.py
	"$(BIN)/python" benchmarks/predict.py
	"$(BIN)/python" benchmarks/distances.py
	"$(BIN)/python" benchmarks/scale.py --samples 1000 10000

studies: setup ## the main job on two real studies (half an hour): seconds, memory, scores; in benchmarks/results
	PATH="$(BIN):$$PATH" "$(BIN)/python" benchmarks/end_to_end.py ecam-infant-age month_of_life host_subject_id
	PATH="$(BIN):$$PATH" "$(BIN)/python" benchmarks/end_to_end.py ibd-crohns-families ibd host_subject_id

clean: ## remove what the demo, the tests and builds left (the environment stays: .venv is yours to delete)
	rm -rf demo/output build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache lightning_logs
	find . -name __pycache__ -not -path "./.venv*/*" -prune -exec rm -rf {} +
