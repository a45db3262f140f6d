# Each target makes the environment that it needs in .venv; nothing else on the machine is touched.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: fish test test-all lint site

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

site: .venv/docs  # the course as web pages; a dead link or a missing piece of code is an error
	$(BIN)/sphinx-build -q -W --keep-going docs build/site
	@echo "open build/site/index.html"

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/fish: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

.venv/docs: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	@touch $@
