# Each target makes the environment that it needs in .venv; nothing else on the machine is touched.
PYTHON ?= python3
BIN := .venv/bin

CHROMIUM ?= /usr/bin/chromium
NODE = command -v npm > /dev/null && node -e \
  'process.exit(process.versions.node.localeCompare("20.19", undefined, { numeric: true }) < 0 ? 1 : 0)' \
  || { echo "the page needs Node 20.19 or newer, and npm: https://nodejs.org"; exit 1; }
PAGE := $(shell find web/src web/public web/scripts web/licences web/index.html web/*.config.* -type f 2>/dev/null)

.PHONY: fish tank test test-all test-web web-tools lint site classroom notebooks

fish: .venv/fish  # train Guppy in five minutes (or go on where that stopped), then talk to him
	@if [ -e runs/guppy/training_state.safetensors ]; then $(BIN)/guppylm train --resume; \
	else $(BIN)/guppylm train --minutes 5 --seed 1; fi
	@if [ -t 0 ] && [ -t 1 ]; then $(BIN)/guppylm chat runs/guppy; fi

tank: .venv/onnx web/dist/one-file.html  # look into a fish in the browser; RUN=runs/guppy says which
	$(BIN)/guppylm tank $(RUN)

test: .venv/dev  # what CI runs, in under ten minutes
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

test-all: .venv/dev  # the slow checks too
	$(BIN)/pytest -m ""

# The page, in chromium: what is exported for a host and as one file, with a fish that has hardly learned to talk.
test-web: web-tools .venv/dev web/dist/one-file.html
	cd web && npm run lint && npm run check
	rm -rf build/web
	$(BIN)/guppylm train --steps 100 --rows 20000 --out build/web/run
	$(BIN)/guppylm export build/web/run --to site --out build/web/site
	$(BIN)/guppylm export build/web/run --to site --one-file --out build/web/tank.html
	cd web && TANK_DIST=../build/web/site TANK_MODEL=../build/web/site/model TANK_ONE_FILE=../build/web/tank.html \
	  CHROMIUM=$(CHROMIUM) PYTHON=$(abspath $(BIN)/python) npm test

web-tools:
	@$(NODE)
	@test -x $(CHROMIUM) || { echo "its test needs chromium; CHROMIUM=FILE says where it is, if not at $(CHROMIUM)"; exit 1; }

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

site: .venv/docs  # the course as web pages; a dead link or a missing piece of code is an error
	$(BIN)/sphinx-build -q -W --keep-going docs build/site
	@echo "open build/site/index.html"

classroom: .venv/onnx .venv/docs  # build/classroom, for a USB stick: what a class needs, without a network; RUN=runs/guppy is its fish
	rm -rf build/classroom
	$(BIN)/python bench/classroom.py build/classroom $(RUN)

notebooks: .venv/dev  # runs all of them from top to bottom, trainings for seconds only, and writes nothing
	$(BIN)/python notebooks/execute.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/fish: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

.venv/onnx: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[onnx]'
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

.venv/docs: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	@touch $@

web/dist/one-file.html: web/node_modules/.package-lock.json $(PAGE)  # the last file that a build writes
	cd web && npm run build

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	@$(NODE)
	cd web && npm ci
	@touch $@
