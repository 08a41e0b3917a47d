# What can be done here, from a fresh clone with nothing but python3 (3.11 or newer) and its venv module:
#   make demo        install all that fitting needs, then find, prove and pack a model for a real table
#   make demo-images the same on a folder of real pictures
#   make test        install the developer's tools, then every fast check and test
#   make test-real   the tests on real data and the slow ones (data sets: folder named by CUPEL_DATA, or ../shared/data)
#   make fuzz        strange input by the hundred thousand (INPUTS=100000); goes on where it stopped
#   make test-chaos  runs killed at random moments and resumed, compared with one left alone (hours; goes on where it stopped)
#   make bench       Cupel beside its peers on the development tables at equal time (hours; goes on where it stopped)
#   make clean       remove what was made, the environment included
#
# PYTHON=python3.12        which interpreter makes the environment
# SECONDS_A_TABLE=60,300   the budgets of make bench
# TORCH_INDEX=URL          where else pip looks for PyTorch; on a computer without a GPU, PyTorch's own index of
#                          CPU builds saves about 2 GB of GPU libraries

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo
JOBS ?= 2
CHAOS ?= chaos
RUNS ?= 100
BENCH ?= bench
INPUTS ?= 100000
SECONDS_A_TABLE ?= 60
CUPEL_DATA ?= ../shared/data
TORCH_INDEX ?=
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --disable-pip-version-check --no-input -c constraints.txt
TORCH = $(shell sed -n 's/^torch==/torch==/p' constraints.txt)
INSTALLED_FIT = $(VENV)/.installed-fit
INSTALLED_DEV = $(VENV)/.installed-dev

.PHONY: demo demo-images test test-fast test-real test-chaos bench fuzz lint clean help

help:
	@sed -n 's/^#   //p' Makefile

demo: $(INSTALLED_FIT)
	@$(BIN)/cupel demo --out $(DEMO)

demo-images: $(INSTALLED_FIT)
	@$(BIN)/cupel demo --pictures --out $(DEMO)-images

test: lint test-fast

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check src tests benchmarks conftest.py
	$(BIN)/ruff format --check src tests benchmarks conftest.py
	$(BIN)/mypy
	$(BIN)/lint-imports

test-fast: $(INSTALLED_DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

# PostgreSQL serves the tests that read from a database; without it they are skipped, and say so.
test-real: $(INSTALLED_DEV)
	@if ! command -v postgres >/dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
			echo "== installing PostgreSQL for the tests of database reading"; \
			apt-get update -qq && apt-get install -y -qq postgresql >/dev/null || echo "== PostgreSQL could not be installed; its tests are skipped"; \
		else echo "== PostgreSQL is not installed; the tests of database reading are skipped"; fi; fi
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest -m "real or slow"

fuzz: $(INSTALLED_DEV)
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzzing.py --inputs $(INPUTS) --work fuzz

test-chaos: $(INSTALLED_DEV)
	$(BIN)/python -m benchmarks.survival --work $(CHAOS) --runs $(RUNS)

bench: $(INSTALLED_DEV)
	$(BIN)/python -m benchmarks.tabular run --data $(CUPEL_DATA) --work $(BENCH) --seconds $(SECONDS_A_TABLE)
	$(BIN)/python -m benchmarks.tabular report --work $(BENCH) --out $(BENCH)/tabular.md

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12 …"; exit 2; }
	@echo "== 1 of 3: an environment of its own in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "python3 lacks the venv module; on Debian: apt-get install python3-venv"; exit 2; }

$(INSTALLED_FIT): pyproject.toml constraints.txt | $(BIN)/python
	@echo "== 2 of 3: PyTorch ($(TORCH)); the largest download, a few minutes"
	@$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) "$(TORCH)"
	@echo "== 3 of 3: Cupel and the rest of what fitting needs"
	@$(PIP) -e ".[fit]"
	@touch $@

$(INSTALLED_DEV): pyproject.toml constraints.txt $(INSTALLED_FIT)
	@echo "== the developer's tools"
	@$(PIP) -q -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) $(DEMO) $(DEMO)-images $(BENCH) $(CHAOS) build dist fuzz .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
