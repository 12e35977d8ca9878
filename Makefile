# The few commands of this repository. Everything they install goes into .venv and nowhere else.
#   make demo       train a small translator, translate with it and score it (4 to 10 minutes, most of them training)
#   make test       the fast tests, at most 5 minutes on two cores
#   make test-slow  crash tests, learned tasks, planted bugs, the page in a browser: everything that takes minutes
#   make lint       formatter, linter and type checker, on Python and on the page's JavaScript
#   make check      make lint, then the fast tests: run it before a commit
#   make bench      the races against other tools; needs the network, takes an hour
#   make embedded   put a trained model into the package as its embedded translators: RUN=runs/embedded DATA_DIR=...
#   make walkthrough  put a trained model into the package as the walkthrough model, and measure it: the same settings
#   make dist       a wheel and a source archive in dist/, checked
# Another Python: make PYTHON=python3.12 test. More for the demo: make demo DEMO="--minutes 20 --seed 7"

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
DEMO ?=
BENCHMARKS ?= $(wildcard benchmarks/train_cpu.py)

JAVASCRIPT := src/pellucid/web/modules

VENV := .venv
BIN := $(VENV)/bin
# pip names every package as it comes, and nothing else; its errors go to the screen whole. It does not compile: Python
# compiles a module when it is first imported, and most of what comes never is. Images of containers often forbid Python
# to keep what it has compiled, and then every process of the tests compiles torch again, which takes 2 to 6 seconds.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --no-compile -c constraints.txt
SHOW := awk '/^(Collecting|Building|Installing|Successfully)/ { print "  " $$0; fflush() }'

.PHONY: help everything demo test test-slow lint check bench embedded walkthrough dist clean

help:
	@sed -n '2,11p' Makefile | cut -c 3-

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  f"pellucid needs Python 3.11 or newer, and $(PYTHON) is {sys.version.split()[0]}; try make PYTHON=python3.12 ...")'
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

# The stamp is newer than what it was made from, or the environment is brought up to date.
$(VENV)/.test-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing pellucid and its tests into $(VENV) (a few hundred megabytes the first time)"
	@$(INSTALL) -e ".[test]" | $(SHOW)
	@touch $@

$(VENV)/.browser-installed: $(VENV)/.test-installed
	@echo "installing what drives a browser into $(VENV); the browser itself is the system's (apt-get install chromium)"
	@$(INSTALL) -e ".[test,browser]" | $(SHOW)
	@touch $@

$(VENV)/.check-installed: $(VENV)/.test-installed
	@echo "installing the formatters, linters and the type checker into $(VENV)"
	@$(INSTALL) -e ".[test,check]" | $(SHOW)
	@touch $@

$(VENV)/.release-installed: $(VENV)/.test-installed
	@echo "installing what builds and checks a release into $(VENV)"
	@$(INSTALL) -e ".[test,release]" | $(SHOW)
	@touch $@

# What the four targets above install, in one call: each call looks through everything again.
everything: | $(BIN)/python
	@echo "installing pellucid and all that is needed to test, check and release it into $(VENV)"
	@$(INSTALL) -e ".[test,browser,check,release]" | $(SHOW)
	@touch $(foreach part,test browser check release,$(VENV)/.$(part)-installed)

demo: $(VENV)/.test-installed
	@echo "training an English-French translator on sentences that pellucid writes itself; no data is needed"
	$(BIN)/pellucid demo $(DEMO)

# Two processes of one thread each: as fast as two cores go, and the threads do not fight. Each process takes one half of
# the tests in their order, then takes tests over from the other, so few fixtures are set up twice.
test: $(VENV)/.test-installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal

# Three processes on two cores: a quarter of the time these tests wait for servers, for a cut cable or for the browser.
test-slow: $(VENV)/.browser-installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m slow -n 3 --dist worksteal --durations=15

# Ruff formats code only: it would also lay out the quotations in docs/, which are compared with the source.
lint: $(VENV)/.check-installed
	$(BIN)/python -m ruff format --check src tests benchmarks
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/oxfmt --check $(JAVASCRIPT)
	$(BIN)/oxlint --config .oxlintrc.json --deny-warnings $(JAVASCRIPT)

check: lint
	$(MAKE) --no-print-directory test

# On your own text: make bench DATA_DIR=folder/with/train.de/train.en/valid.de/valid.en. More: BENCH="--rounds 5".
bench: $(VENV)/.test-installed
	@for script in $(BENCHMARKS); do \
	  echo "$$script"; $(BIN)/python "$$script" $(if $(DATA_DIR),--data-dir "$(DATA_DIR)") $(BENCH); done

# After: pellucid train --recipe recipes/embedded-translators.toml --data-dir DATA --output RUN
embedded: $(VENV)/.test-installed
	$(BIN)/python benchmarks/embed_translators.py "$(RUN)" --data-dir "$(DATA_DIR)"

# After: pellucid train --recipe recipes/walkthrough-tatoeba.toml --data-dir DATA --output RUN. Takes half an hour.
walkthrough: $(VENV)/.test-installed
	$(BIN)/python benchmarks/ship_walkthrough.py "$(RUN)" --data-dir "$(DATA_DIR)"
	$(BIN)/python benchmarks/alignment_heads.py --write --json benchmarks/results/alignment_heads.json
	$(BIN)/python benchmarks/walkthrough_heads.py --ablations 0 --json benchmarks/results/walkthrough_heads.json
	$(BIN)/python benchmarks/why.py --json benchmarks/results/why.json
	$(BIN)/python benchmarks/walkthrough_figures.py

# The wheel is built from the source archive, so that an incomplete archive fails here.
dist: $(VENV)/.release-installed
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*

# Keeps runs/: what has been trained stays.
clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
