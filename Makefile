# Commands for people: `make run`, `make test`, `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV ?= .venv
# requirements-otel.txt has OpenTelemetry too.
LOCK ?= requirements.txt
# Number of test processes: one more than the cores of a small machine, because tests that start servers wait. More, or
# parts side by side, take as long, and tests that judge how long something is held up then measure their neighbours.
JOBS ?= 3
# Quick tests start none and never wait.
QUICK_JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# Each file's tests run in one process, in the order of tests/conftest.py.
BY_FILE := --dist loadfile --no-loadscope-reorder
# The tests start many Python processes; each would compile all code again.
unexport PYTHONDONTWRITEBYTECODE

BIN := $(VENV)/bin
# Each is a hook in .pre-commit-config.yaml too.
CHECKS := lint-style lint-templates lint-types lint-imports lint-django
TESTED := bench config console core gateway help models_catalog providers quotas tenants tests
# What fails soon comes first.
PARTS := $(CHECKS) test-postgres test-browser test-sqlite
# Tests start with tables that agree with the code; CI checks the ones that were committed.
TABLES := $(if $(CI),,tables)
# Tests that use the database also run on PostgreSQL; most of the providers' tests don't.
ON_POSTGRES := tests/api tests/gateway tests/models_catalog tests/quotas tests/tenants tests/core tests/help tests/faults $(shell grep -rlE "django_db|factories" --include="test_*.py" tests/providers)
# Settings of a production server, for `check --deploy`.
DEPLOYED := MODELKEEP_READ_DOTENV=0 DATA_DIR=$$(mktemp -d) DATABASE_URL=postgresql://modelkeep@127.0.0.1/modelkeep \
	SITE_URL=https://hub.example.org ALLOWED_HOSTS=hub.example.org MODELKEEP_DEMO_PROVIDER=0 TRUST_X_FORWARDED_PROTO=1 \
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	MODELKEEP_MASTER_KEYS=m1:$$($(BIN)/python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())')

.PHONY: help run install install-dev install-chromium lint $(CHECKS) test test-faults test-fast test-sqlite test-postgres test-browser test-peers test-clients test-openapi bench bench-gateways screenshots messages tables format lock clean

help:  ## list these commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

run: export NO_COMPILE := 1
run: install  ## start Modelkeep: make run [HOST=127.0.0.1] [PORT=8000] [DATA_DIR=var]
	@VENV='$(VENV)' exec deploy/run

install:
	@VENV='$(VENV)' PYTHON='$(PYTHON)' deploy/install '$(LOCK)'

install-dev:
	@VENV='$(VENV)' PYTHON='$(PYTHON)' deploy/install requirements-dev.txt
	@VENV='$(VENV)' deploy/install-node

# Beside the tests that need none: downloading it takes as long as all else.
install-chromium:
	@deploy/install-chromium

lint: install-dev  ## check style, types, imports, migrations and deployment settings
	@$(MAKE) --jobs=2 --output-sync=target $(CHECKS)

lint-style: install-dev
	@$(BIN)/ruff check $(TESTED)
	@$(BIN)/ruff format --check $(TESTED)

lint-templates: install-dev
	@$(BIN)/djangofmt --quiet --check templates || { echo 'templates are not formatted: make format'; exit 1; }
	@$(BIN)/python -m tests.template_style

lint-types: install-dev
	@$(BIN)/mypy

lint-imports: install-dev
	@$(BIN)/lint-imports --no-logo

lint-django: install-dev
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run
	@$(DEPLOYED) $(BIN)/python manage.py check --deploy --fail-level WARNING

test: install-dev $(TABLES)  ## run everything: lint, and all tests on SQLite, in the browser and on PostgreSQL
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && set -o pipefail && \
	$(MAKE) --keep-going $(PARTS) 2>&1 | tee "$$log" || \
	{ echo 'These parts failed:'; grep '^make.*\*\*\*' "$$log"; exit 1; }

test-sqlite: install-dev
	@echo 'All tests on SQLite but those of the browser:'
	@$(BIN)/pytest -n $(JOBS) $(BY_FILE) -m "not browser and not peers and not postgres"

# In separate processes, because the browser's driver keeps an event loop running in its thread.
test-browser: install-dev install-chromium
	@echo 'Tests in the browser:'
	@$(BIN)/pytest -n $(JOBS) $(BY_FILE) -m browser tests/browser

# Tests that open no database are left out by themselves. Others that say nothing about it are marked one_database.
test-postgres: install-dev
	@echo 'Tests on PostgreSQL:'
	@$(BIN)/python -m tests.postgres $(BIN)/pytest -n $(JOBS) $(BY_FILE) -m "not browser and not peers and not one_database" $(wildcard $(ON_POSTGRES))

test-faults: install-dev  ## try everything that may fail, with 10,000 idle connections, on SQLite and PostgreSQL
	@IDLE_CONNECTIONS=10000 $(BIN)/pytest tests/faults tests/nodes
	@IDLE_CONNECTIONS=10000 $(BIN)/python -m tests.postgres $(BIN)/pytest -m "not one_database" tests/faults

test-fast: install-dev $(TABLES)  ## run the quick tests: those that start no process and generate no input
	@$(BIN)/pytest -n $(QUICK_JOBS) $(BY_FILE) -m "not slow and not hypothesis and not browser and not peers"

test-peers: install-dev  ## test against llama.cpp's server, built first into .venv-peers (takes minutes)
	@VENV=.venv-peers PYTHON='$(PYTHON)' deploy/install requirements-peers.txt
	@$(BIN)/pytest -m peers tests/peers

test-clients: install-dev  ## run agents and frameworks against the product, in minutes and 3 GB [CLIENTS="codex langchain"]
	@VENV=.venv-clients PYTHON='$(PYTHON)' deploy/install requirements-clients.txt
	@VENV=.venv-clients-older PYTHON='$(PYTHON)' deploy/install requirements-clients-older.txt
	@VENV='$(VENV)' deploy/install-node tests/clients/node @anthropic-ai/claude-code opencode-ai
	@$(BIN)/python -m tests.clients $(CLIENTS)

test-openapi: install-dev  ## lint both OpenAPI documents and try clients generated from them (downloads 60 MB)
	@VENV='$(VENV)' deploy/install-node tests/openapi
	@VENV=.venv-openapi PYTHON='$(PYTHON)' deploy/install requirements-openapi.txt
	@$(BIN)/pytest -m peers tests/openapi

bench: install-dev  ## run the benchmarks and print tables
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.gateways

bench-gateways: install-dev  ## compare with LiteLLM, Portkey, TensorZero and nginx, installed first (but nginx)
	@VENV=.venv-gateways PYTHON='$(PYTHON)' deploy/install requirements-gateways.txt
	@VENV='$(VENV)' deploy/install-node bench/gateways/node
	@$(BIN)/python -m bench.gateways

screenshots: install-dev install-chromium  ## photograph every page (light, dark, Chinese, 320 px) into screenshots/ [DOCS=1: also docs/images]
	@$(BIN)/python -m tests.browser.screenshots screenshots $(if $(DOCS),--docs)

tables: install-dev  ## write the tables in README.md and docs/ that are made from the code
	@$(BIN)/python -m tests.tables

messages: install-dev  ## collect and compile the translations (needs gettext)
	@$(BIN)/python manage.py makemessages -l zh_Hans --no-location --ignore '.venv/*' --ignore 'tests/*'
	@$(BIN)/python -m core.i18n.compile

format: install-dev  ## format the code and the templates
	@$(BIN)/ruff check --fix $(TESTED)
	@$(BIN)/ruff format $(TESTED)
	@$(BIN)/djangofmt --quiet templates

lock:  ## write the lock files with the newest allowed versions
	@PYTHON='$(PYTHON)' deploy/lock

clean:  ## remove everything that make created, except DATA_DIR
	rm -rf $(VENV) .venv-clients .venv-clients-older .venv-openapi tests/node/node_modules tests/clients/node/node_modules tests/openapi/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
