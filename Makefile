# BTQuant. `make run` and `make test` need nothing but Python 3.11+ and the internet.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DAGSTER_HOME := $(CURDIR)/.dagster
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help run test test-all suite lint types ui check format bench coverage data-docs docs clean init install install-dev summary

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "BTQuant needs Python 3.11 or newer; found $$($(PYTHON) --version). Set PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --progress-bar on -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --progress-bar on -c constraints.txt -e '.[dev,backtrader,crypto,serving,search]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,backtrader,crypto,serving,search,bench]'
	@touch $@

install: $(VENV)/.installed ## Create .venv and install what `make run` needs

install-dev: $(VENV)/.installed-dev ## Install what `make test` and `make check` need

init: install ## Initialise the Dagster instance, once and serially
	@mkdir -p $(DAGSTER_HOME) && cmp -s dagster.yaml $(DAGSTER_HOME)/dagster.yaml || cp dagster.yaml $(DAGSTER_HOME)/dagster.yaml
	@test -e $(DAGSTER_HOME)/.ready || { $(BIN)/dagster instance migrate >/dev/null 2>&1 && touch $(DAGSTER_HOME)/.ready; }

run: init ## Take the bundled data from source to risk report
	@echo "research: one line a table as it is committed; the first run takes a few minutes"
	@PYTHONWARNINGS='ignore:Function `job_execute_command` is superseded' \
	  $(BIN)/dagster job execute -m btq_assets.definitions -j research
	@$(BIN)/python -m btq_assets summary

summary: install ## Show the table `make run` ends with
	@$(BIN)/python -m btq_assets summary

ui: init ## Open the Dagster UI with schedules and sensors on http://127.0.0.1:3000
	$(BIN)/dagster dev -w workspace.yaml --host 127.0.0.1 --port 3000

check: lint types ## Lint, types and the rules of the house

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: install-dev
	$(BIN)/mypy

format: install-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Two workers on two cores: threads of their own would only wait for one another.
suite test-all coverage: export OMP_NUM_THREADS = 1

# Types beside the suite: alone they would leave a core idle for minutes.
test: install-dev lint ## Everything a change must pass
	@$(MAKE) --no-print-directory -j 2 types suite

suite: install-dev
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-all: install-dev ## The slow suites too; their last result stands in docs/test-results.md
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/unit tests/integration

bench: $(VENV)/.installed-bench ## Ratios against peers, in one run
	$(BIN)/python tests/performance/bench_startup.py
	$(BIN)/python tests/performance/bench_features.py
	$(BIN)/python tests/performance/bench_alpha158.py
	$(BIN)/python tests/performance/bench_growth.py
	$(BIN)/python tests/performance/bench_garch.py
	$(BIN)/python tests/performance/bench_incremental.py
	$(BIN)/python tests/performance/bench_live.py
	$(BIN)/python tests/performance/bench_engine.py
	$(BIN)/python tests/performance/bench_sweeps.py
	$(BIN)/python tests/performance/bench_training.py
	$(BIN)/python tests/performance/bench_gpu.py
	$(BIN)/python tests/performance/bench_overfitting.py
	$(BIN)/python tests/performance/bench_orders.py
	$(BIN)/python tests/performance/bench_live_loop.py
	$(BIN)/python tests/performance/bench_serving.py
	$(BIN)/python tests/performance/bench_ingest.py
	$(BIN)/python tests/performance/bench_quality.py

coverage: install-dev ## Coverage of the fast suite
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --cov=btq_assets --cov=data_quality --cov-report=term:skip-covered

data-docs: init ## Write the answers of all checks as a site, data/data_docs/index.html
	$(BIN)/python -m data_quality.site

docs: install-dev ## Regenerate the generated pages of docs/
	$(BIN)/python -m btq_assets docs

clean: ## Remove caches and computed tables; ledgers, raw data and reports stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info dbt_project/target dbt_project/logs
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m btq_assets clean; fi
