# Two commands for a new user: `make quickstart` and `make test`. Both set up .venv first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
QUICKSTART ?= quickstart

.PHONY: setup quickstart test test-slow torture gpu-check lint format leaderboard picture pages clean

setup: $(VENV)/.ready

# make setup TORCH=cpu: without what only NVIDIA's GPUs need, from PyTorch's own index of CPU builds.
TORCH ?= usual
CPU_INDEX := https://download.pytorch.org/whl/cpu
SIZE_usual := 6.6 GB on Linux, of which 4 GB are for NVIDIA GPUs (make setup TORCH=cpu: 2.1 GB)
SIZE_cpu := 2.1 GB, without GPUs

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "Installing into $(VENV): $(or $(SIZE_$(TORCH)),$(error TORCH=$(TORCH): write cpu, or leave it out)), several minutes."
	$(PYTHON) -m venv $(VENV)
ifeq ($(TORCH),cpu)
	$(BIN)/python -m pip install --no-deps --index-url $(CPU_INDEX) $$(grep -E '^torch(vision)?==' constraints.txt)
endif
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	$(BIN)/kdbench list recipes > /dev/null
	touch $@

quickstart: setup
	$(BIN)/kdbench run --suite quick --precision auto --runs $(QUICKSTART)/runs --results $(QUICKSTART)/results

test: setup
	$(BIN)/python -m pytest

# The few that take long by themselves.
test-slow: setup
	$(BIN)/python -m pytest -m slow

# The long form of the tests that break things; stopped, it goes on where it was (see docs/reliability.md).
TORTURE ?= 1
EXAMPLES ?= 700
FUZZERS = $(shell grep -rl tests.support.fuzzing tests --include='test_*.py')
torture: setup
	KDBENCH_TORTURE=$(TORTURE) $(BIN)/python -m pytest tests/torture
	KDBENCH_TORTURE_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest --timeout=0 $(FUZZERS)
	$(BIN)/python -m tests.torture.amounts

# What whoever has a GPU runs, in nine minutes; STAND_IN=cpu tries the command itself without one.
STAND_IN ?=
gpu-check: setup
	$(BIN)/python -m tests.gpu_check $(if $(STAND_IN),--stand-in $(STAND_IN))

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

leaderboard: setup
	$(BIN)/kdbench leaderboard

picture: setup
	$(BIN)/python -m benchmark.reports.pages.picture results docs/images/quick-suite.svg sketchbirds \
		resnet14 resnet8 vanilla kd crd th-kd sh-kd sh-teacher

pages: setup
	$(BIN)/kdbench pages recipes --output docs/recipes.md
	$(BIN)/kdbench pages commands --output docs/commands.md

clean:
	rm -rf build dist $(QUICKSTART) .pytest_cache .mypy_cache .ruff_cache .hypothesis .torture
