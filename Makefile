# The workflow of this repository. `make` alone lists what there is.
# Every target is safe to repeat: what is already there is not made again.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_FLAGS := --disable-pip-version-check --no-input --retries 10 --quiet
PIP := $(BIN)/python -m pip $(PIP_FLAGS)
RUNTIME := $(VENV)/.runtime.stamp
DEVELOPMENT := $(VENV)/.development.stamp
# Programs that the benchmarks compare us with live apart, so that nothing of theirs gets among ours.
PEERS := $(VENV)/peers
# `make test PYTEST_ARGS="-k unsubscribe"` passes words on to pytest.
# More workers than cores, because many tests wait: for a lease to run out, for processes to begin, for a browser.
# `make bench BENCH_ARGS="send --processes 2"` measures one thing; benchmarks/README.md lists them.
PYTEST := $(BIN)/python -m pytest -n 4 --dist loadgroup $(PYTEST_ARGS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv venv-dev demo run test test-full lint bench system-deps lock translations clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(RUNTIME) ## make .venv with what running needs, from requirements.lock

venv-dev: $(DEVELOPMENT) ## add what working on the code needs, from requirements-dev.lock

demo: venv ## start a complete example with made-up people and a local inbox
	$(BIN)/prefcentre demo

run: venv ## start the web server and the worker
	$(BIN)/prefcentre run

test: venv-dev system-deps ## run the tests, without the long suites
	@$(PYTEST) -m "not full" tests

test-full: venv-dev system-deps ## run all the tests, with the long suites
	@MORE="dovecot exim4" bash scripts/system-deps.sh
	@$(PYTEST) tests

lint: venv-dev ## check format, style, types and the import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy prefcentre tests scripts $(wildcard benchmarks)
	@$(BIN)/lint-imports --no-logo

bench: venv-dev $(PEERS)/.stamp ## measure sending, importing and tracking on this machine
	@MORE=wrk bash scripts/system-deps.sh
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

system-deps: ## install Debian's chromium and postfix for the tests, when missing
	@bash scripts/system-deps.sh

lock: ## write the lock files anew (LOCK_FLAGS=--upgrade moves every pin)
	PYTHON="$(PYTHON)" bash scripts/lock.sh

translations: venv-dev ## bring the catalogues up to date with the texts in the source
	@$(BIN)/pybabel -q extract --no-wrap --sort-by-file --omit-header -k lazy_gettext -k lazy_ngettext:1,2 -F babel.cfg -o prefcentre/translations/messages.pot .
	@for language in bg de fr; do \
		test -f prefcentre/translations/$$language/LC_MESSAGES/messages.po \
			|| $(BIN)/pybabel -q init -i prefcentre/translations/messages.pot -d prefcentre/translations -l $$language; \
		$(BIN)/pybabel -q update --no-wrap --no-fuzzy-matching --ignore-obsolete -i prefcentre/translations/messages.pot -d prefcentre/translations -l $$language; \
	done
	@$(BIN)/pybabel -q compile -d prefcentre/translations

clean: ## remove .venv and everything the tools made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written last, so that an install that broke off is done again.
$(BIN)/python:
	$(PYTHON) scripts/check_python.py
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing prefcentre into $(VENV) ..."
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(DEVELOPMENT): requirements-dev.lock $(RUNTIME)
	@echo "Installing the development tools into $(VENV) ..."
	@$(PIP) install --no-build-isolation --require-hashes --requirement requirements-dev.lock
	@touch $@

$(PEERS)/.stamp: requirements-bench.lock | $(BIN)/python
	@echo "Installing what the benchmarks compare with into $(PEERS) ..."
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip $(PIP_FLAGS) install --require-hashes --requirement requirements-bench.lock
	@touch $@
