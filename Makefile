# Everything a person types: `make run`, `make test`, `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV ?= .venv
# Tests run side by side in so many processes.
JOBS ?= 2

BIN := $(VENV)/bin
# Each is a hook in .pre-commit-config.yaml too.
CHECKS := lint-style lint-types lint-imports lint-django
TESTED := bench config core gateway models_catalog providers quotas tenants tests
# What touches tables runs on PostgreSQL too; of the providers' tests, most do not.
ON_POSTGRES := tests/api tests/gateway tests/models_catalog tests/quotas tests/tenants $(shell grep -lE "django_db|factories" tests/providers/test_*.py)
# A server's settings, for `check --deploy`.
DEPLOYED := MODELKEEP_READ_DOTENV=0 DATA_DIR=$$(mktemp -d) DATABASE_URL=postgresql://modelkeep@127.0.0.1/modelkeep \
	SITE_URL=https://hub.example.org ALLOWED_HOSTS=hub.example.org MODELKEEP_DEMO_PROVIDER=0 TRUST_X_FORWARDED_PROTO=1 \
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	MODELKEEP_MASTER_KEYS=m1:$$($(BIN)/python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())')

.PHONY: help run install install-dev lint $(CHECKS) test test-fast test-postgres test-browser test-peers bench screenshots messages format lock clean

help:  ## show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

run: export NO_COMPILE := 1
run: install  ## start Modelkeep: make run [HOST=127.0.0.1] [PORT=8000] [DATA_DIR=var]
	@VENV='$(VENV)' exec deploy/run

install:
	@VENV='$(VENV)' PYTHON='$(PYTHON)' deploy/install requirements.txt

install-dev:
	@VENV='$(VENV)' PYTHON='$(PYTHON)' deploy/install requirements-dev.txt
	@VENV='$(VENV)' deploy/install-node
	@deploy/install-chromium

lint: $(CHECKS)  ## style, types, import ladders, migrations, deployment checks

lint-style: install-dev
	@$(BIN)/ruff check $(TESTED)
	@$(BIN)/ruff format --check $(TESTED)

lint-types: install-dev
	@$(BIN)/mypy

lint-imports: install-dev
	@$(BIN)/lint-imports --no-logo

lint-django: install-dev
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run
	@$(DEPLOYED) $(BIN)/python manage.py check --deploy --fail-level WARNING

test: lint test-postgres test-browser  ## everything: lint, tests on PostgreSQL, in the browser, all others on SQLite; the last line is pytest's summary
	@$(BIN)/pytest -n $(JOBS) --dist loadfile -m "not browser and not peers"

# In processes of their own: the browser's driver keeps an event loop running in its thread.
test-browser: install-dev
	@$(BIN)/pytest -n $(JOBS) --dist loadfile -m browser tests/browser

# The mutants test the tests of the ledger, with thousands of statements each: on SQLite alone.
test-postgres: install-dev
	@$(BIN)/python -m tests.postgres $(BIN)/pytest -n $(JOBS) --dist loadfile -m "not browser and not peers" -k "not mutant" $(wildcard $(ON_POSTGRES))

test-fast: install-dev  ## what takes no browser and no patience
	@$(BIN)/pytest -n $(JOBS) --dist loadfile -m "not slow and not browser and not peers"

test-peers: install-dev  ## against llama.cpp's server, which is built first (some minutes) into .venv-peers
	@VENV=.venv-peers PYTHON='$(PYTHON)' deploy/install requirements-peers.txt
	@$(BIN)/pytest -m peers tests/peers

bench: install-dev  ## the benchmarks, printed as tables
	@$(BIN)/python -m bench

screenshots: install-dev  ## every page in light, dark, Chinese and 320 pixels, into screenshots/ [DOCS=1: also those in docs/images]
	@$(BIN)/python -m tests.browser.screenshots screenshots $(if $(DOCS),--docs)

messages: install-dev  ## collect and compile the translations (needs gettext)
	@$(BIN)/python manage.py makemessages -l zh_Hans --no-location --ignore '.venv/*' --ignore 'tests/*'
	@$(BIN)/python -m core.translations

format: install-dev  ## let ruff write the style
	@$(BIN)/ruff check --fix $(TESTED)
	@$(BIN)/ruff format $(TESTED)

lock:  ## choose the newest allowed versions and write both lock files
	@PYTHON='$(PYTHON)' deploy/lock

clean:  ## remove what was made, but not DATA_DIR
	rm -rf $(VENV) tests/node/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
