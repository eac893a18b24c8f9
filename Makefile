PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDY ?= studies/phi4-e1.toml

.PHONY: run test lint wheel benchmarks nightly clean

run: $(VENV)/.installed
	$(BIN)/latflow run $(STUDY)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist worksteal -q

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

wheel: $(VENV)/.installed-dev
	BIN=$(BIN) PYTHON=$(PYTHON) bash .ci/wheel

benchmarks: $(VENV)/.installed-test
	programs=$$(mktemp -d); trap 'rm -rf "$$programs"' EXIT; \
	printf '%s\n' benchmarks/*.py | BIN=$(BIN) PROGRAMS=$$programs xargs -P 2 -n 1 bash .ci/quick

nightly: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m nightly --optimised -n 2 --dist worksteal -q
	$(BIN)/python -m pytest tests/laws tests/testing tests/training --optimised -n 2 --dist worksteal -q
	rm -rf build/nightly-scaling
	$(BIN)/latflow scaling studies/phi4-critical.toml --quick --run-dir build/nightly-scaling

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "latflow needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.installed $(VENV)/.installed-test

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
