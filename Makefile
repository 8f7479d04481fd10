# Liên Thông: what can be run here. `make` lists it.
# Needed: make, git, and Python 3.11 or newer with its venv (Debian: apt-get install python3-venv).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS ?= tests
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-once test test-browser test-long test-hostile test-faults test-large check bench docs lock offline-bundle clean judge-contracts

help: ## List the recipes
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(VENV)/stamp ## Make the environment in .venv from the locked, hashed requirements

# The stamp is younger than what it was made from, so that a second `make setup` does nothing.
$(VENV)/stamp: requirements-dev.txt requirements-assets.txt pyproject.toml tools/assets.py
	@$(PYTHON) tools/python_check.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes --requirement requirements-dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	$(BIN)/python -m tools.assets
	@touch $@

demo: setup ## Start a nation in a box, tour it, and stay up until Ctrl-C
	@$(BIN)/lienthong demo run

demo-once: setup ## Run the tour and exit; non-zero if a step differs from what it should be
	@$(BIN)/lienthong demo run --once

test: setup ## Install what the tests need, then run them (TESTS=tests/unit for a part)
	@if sh tools/test_machine.sh; then NOTHING_MAY_SKIP=1; else test $$? -eq 3 || exit 1; NOTHING_MAY_SKIP=0; fi; \
	export NOTHING_MAY_SKIP; exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(TESTS)

# What these show in `make test` with less load, fewer kills and SQLite alone.
test-long: setup ## Upgrades, protocol versions and many gateways under more load, on PostgreSQL too
	@sh tools/test_machine.sh || test $$? -eq 3
	LONG=1 $(BIN)/python -m pytest -v tests/federation/test_upgrade.py tests/federation/test_protocol_versions.py tests/federation/test_many_gateways.py

test-large: setup ## Pass bodies of 1 GiB through two nodes (8 GB of disk in TMPDIR)
	@LARGE_BODY_BYTES=1073741824 $(BIN)/python -m pytest -s tests/large

test-faults: setup ## Kill, cut, fill and move everything under load: at least 50 kills, about half an hour
	@sh tools/test_machine.sh || test $$? -eq 3
	FAULTS=full $(BIN)/python -m pytest -v tests/fault/test_survives_kills.py tests/fault/full

test-browser: setup ## Browser tests over 3,000 contracts and 10,000 messages; screenshots in artifacts
	@sh tools/test_machine.sh || test $$? -eq 3
	BROWSER_ENTRIES=3000 BROWSER_MESSAGES=10000 $(BIN)/python -m pytest -v tests/browser

test-hostile: setup ## 10,000 hostile inputs for each reader, then each check removed (an hour or two)
	@HOSTILE_INPUTS=10000 $(BIN)/python -m pytest -s tests/hostile
	@$(BIN)/python -m tools.remove_checks

judge-contracts: setup .venv-judge/stamp ## Have every contract that we ship judged by datacontract-cli of PyPI
	@$(BIN)/python -m tools.judge_contracts

.venv-judge/stamp: requirements-judge.txt
	$(PYTHON) -m venv .venv-judge
	.venv-judge/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes --requirement requirements-judge.txt
	@touch $@

check: setup ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup ## Run every benchmark; each prints one JSON line
	@$(BIN)/python -m tools.bench

docs: setup ## Write docs/reference from the program itself
	@$(BIN)/python -m tools.reference

lock: setup ## Resolve pyproject.toml into requirements*.txt, with hashes
	@$(BIN)/python -m tools.lock $(LOCK_OPTIONS)

offline-bundle: setup ## Make an archive that installs where there is no network
	@$(BIN)/python -m tools.offline_bundle

clean: ## Delete what the recipes made
	rm -rf $(VENV) build dist artifacts .mypy_cache .ruff_cache .pytest_cache .hypothesis
