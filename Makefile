# make: this list · make run: the bot and its web page · make test: all tests
# A fresh machine needs Python 3.11 or newer, git and make; everything else goes into .venv.
# PYTHON=… names another interpreter, TORCH_INDEX=… another source of PyTorch, ARGS=… is passed on.

SHELL := /bin/sh
VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
ARGS ?=
WEIGHTS_FOR_TESTS ?= musicnn i3d mpnet minilm
INPUTS := pyproject.toml constraints.txt tools/setup_venv.py
# The first interpreter that is new enough; asked only when an environment has to be made.
FIND_PYTHON = for candidate in "$(PYTHON)" python3 python3.13 python3.12 python3.11 python; do \
	[ -n "$$candidate" ] && "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo "$$candidate"; exit 0; }; done; \
	echo "clipsim: Python 3.11 or newer is needed and none was found (looked for python3, python3.13, python3.12," \
	"python3.11). Install one, or name it: make PYTHON=/path/to/python" >&2; exit 1

.DEFAULT_GOAL := help
.PHONY: help run test lint types bench demo clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' Makefile

# Two stamps, for what runs and for what tests need besides; each as old as its last set-up.
$(VENV)/.runs: $(INPUTS)
	@python=$$($(FIND_PYTHON)) && "$$python" tools/setup_venv.py $(VENV) && touch $@

$(VENV)/.tests: $(INPUTS)
	@python=$$($(FIND_PYTHON)) && "$$python" tools/setup_venv.py $(VENV) dev && touch $@ $(VENV)/.runs

run: $(VENV)/.runs  ## fetch the models once, then start the bot and the web page
	@$(PY) -m clipsim models pull >/dev/null
	@$(PY) -m bot $(ARGS)

test: $(VENV)/.tests  ## all tests (ARGS="-k name" picks some)
	@$(if $(WEIGHTS_FOR_TESTS),$(PY) -m clipsim models pull $(WEIGHTS_FOR_TESTS) >/dev/null || { \
		echo "clipsim: without them: make test WEIGHTS_FOR_TESTS= ARGS='-m \"not weights\"'" >&2; exit 1; })
	@$(PY) -m pytest $(ARGS)

lint: $(VENV)/.tests  ## style of the code and of the Dockerfile
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/hadolint Dockerfile

types: $(VENV)/.tests  ## type check of both packages
	@$(BIN)/mypy

bench: $(VENV)/.tests  ## every benchmark in benchmarks/
	@$(PY) -m benchmarks $(ARGS)

demo: $(VENV)/.runs  ## a small made-up library: neighbours, clusters, the map
	@$(PY) -m clipsim demo $(ARGS)

clean:  ## remove .venv and caches (not the library, not the weights)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
