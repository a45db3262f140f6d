# Each target makes the environment that it needs in .venv; nothing else on the machine is touched.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: fish test test-all lint

fish: .venv/fish  # train Guppy in five minutes (or go on where that stopped), then talk to him
	@if [ -e runs/guppy/training_state.safetensors ]; then $(BIN)/guppylm train --resume; \
	else $(BIN)/guppylm train --minutes 5 --seed 1; fi
	@if [ -t 0 ] && [ -t 1 ]; then $(BIN)/guppylm chat runs/guppy; fi

test: .venv/dev  # what CI runs, in under ten minutes
	$(BIN)/pytest

test-all: .venv/dev  # the slow checks too
	$(BIN)/pytest -m ""

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/fish: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@
