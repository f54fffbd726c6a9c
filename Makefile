# make demo | test | lint | docs | bench: each makes .venv first and installs what it needs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed

.PHONY: demo test lint docs bench clean

demo: $(READY)
	$(BIN)/unseam demo --out demo --overwrite

test: lint
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(READY)
	bench/performance/peers/make.sh
	$(BIN)/python -m bench.performance all page

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf .venv demo site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
