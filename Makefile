# What a developer does here. A fresh machine needs Python 3.11 or newer and make; the first target that needs .venv makes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCKER := build/locker

.PHONY: help demo test lint bench docs lock clean
.DEFAULT_GOAL := help

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(READY) ## copy a sample bucket from a local S3 server, and ask who got a shell
	$(BIN)/python demo/run.py

test: $(READY) ## run all tests
	$(BIN)/python -m pytest tests -n auto --dist loadfile

lint: $(READY) ## check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(READY) ## measure
	$(BIN)/python -m benchmarks.run

docs: $(READY) ## write docs/cli.md anew, out of the commands' own help
	$(BIN)/python -m trailscan.cli.reference > docs/cli.md.new
	mv docs/cli.md.new docs/cli.md

lock: ## pin all dependencies with the hashes of their files (UPGRADE=--upgrade takes newer versions)
	$(PYTHON) -m venv $(LOCKER)
	$(LOCKER)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOCKER)/bin/uv pip compile $(UPGRADE) --quiet --universal --python-version 3.11 --extra dev --generate-hashes \
		--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--output-file requirements.lock pyproject.toml

clean: ## remove all that can be made again
	rm -rf $(VENV) .demo build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "trailscan needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
