# Everything a person types: `make run`, `make test`, `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

HOST ?= 127.0.0.1
PORT ?= 8000
DATA_DIR ?= var
PYTHON ?= python3
VENV ?= .venv
export HOST PORT DATA_DIR PYTHON VENV

BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest
.PHONY: help run install install-dev lint test test-fast test-sqlite test-postgres test-peers bench screenshots messages lock clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: install  ## Start Modelkeep on HOST (127.0.0.1), PORT (8000), data in DATA_DIR (var)
	@exec deploy/run

install:
	@deploy/install requirements.txt

install-dev:
	@deploy/install requirements-dev.txt
