# `make run` and `make test` do everything on a machine that has Python 3.11 or newer; both may be repeated.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.ready
# With the default settings, without telemetry, and without the database of an install.
DG = mkdir -p $(VENV)/dagster && echo 'telemetry: {enabled: false}' >$(VENV)/dagster/dagster.yaml && \
	env VIRTUAL_ENV=$(CURDIR)/$(VENV) DAGSTER_HOME=$(CURDIR)/$(VENV)/dagster \
	CLOSINGBELL_ENV_FILE=.env.example $(BIN)/dg

# Dagster starts a process per run: without byte code each one would compile its imports again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run up check test lint bench clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(SETUP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	-@$(BIN)/python -m compileall -q $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	@touch $(SETUP)

.env:
	@cp .env.example .env

run: $(SETUP) .env  ## set up, then compute a year of the demo through Dagster and print a summary
	@$(BIN)/closingbell init
	@$(BIN)/closingbell run

up: $(SETUP) .env  ## serve the Dagster UI and the API until Ctrl-C
	@$(BIN)/closingbell up

check: lint  ## lint, and run the tests that need no database, Dagster or other process
	@$(BIN)/pytest -n 2 --dist loadfile -m "not plant"

test: lint  ## lint, and run the whole test suite
	@$(BIN)/pytest -n 2 --dist loadfile

lint: $(SETUP)  ## check format, style, import contracts, types, definitions, spelling and secrets
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@$(DG) check defs --no-check-yaml
	@$(BIN)/typos
	@git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --no-verify --exclude-lines '^ *def test_'

bench: $(SETUP)  ## measure speed and print a table of ratios
	@$(BIN)/python -m benchmarks

clean:  ## remove the virtual environment and the embedded database with all its data
	rm -rf $(VENV) var
