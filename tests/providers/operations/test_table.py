"""The table of operations: every column of every row works, and a gap ends the start."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Model
from django.urls import reverse

from gateway.dataplane.doors.registry import DOORS, ENDPOINTS
from gateway.playground import code_samples
from models_catalog.facts.library import shipped
from models_catalog.facts.schema import FEATURES
from models_catalog.forms.facts import AMOUNTS
from models_catalog.models import TenantModel
from models_catalog.resolution.entries import Facts, Price, Rates
from models_catalog.scenarios import of_operation
from providers.declaration import registry
from providers.declaration.spec import Access, ModelFacts, ModelType, Operation, Request
from providers.operations import table
from providers.operations.columns import (
    IncompleteTable,
    ModelTypeSpec,
    OperationSpec,
    Row,
    complete,
)
from providers.operations.table import MODEL_TYPES, OPERATIONS, facts_of_other_types, operation_of
from quotas.models import CallRecord
from tests.providers.driving import run

operations = pytest.mark.parametrize("spec", OPERATIONS.values(), ids=OPERATIONS.keys())
model_types = pytest.mark.parametrize("spec", MODEL_TYPES.values(), ids=MODEL_TYPES.keys())
DEMO_MODELS = shipped("demo").models
MADE_UP = "made.up"  # no operation
# Starts the server with the modules in a folder instead of ours.
START = """
import importlib.abc, importlib.util, pathlib, sys

class Instead(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        file = pathlib.Path(sys.argv[1], name + ".py")
        return importlib.util.spec_from_file_location(name, file) if file.exists() else None

sys.meta_path.insert(0, Instead())
import config.asgi
"""


@operations
def test_every_column_of_an_operation_works(spec: OperationSpec) -> None:
    assert str(spec.label)
    assert ENDPOINTS[f"/v1/{spec.operation.value.replace('.', '/')}"].operation is spec.operation
    assert {name for name in spec.doors if name in DOORS} == set(spec.doors)
    assert of_operation(spec.operation).type is spec.model_type
    assert len(spec.operation) <= longest(CallRecord, "operation")
    assert spec.only_feature in {"", *FEATURES}
    if spec.size:
        assert spec.probe.keys() & {*spec.size.fields}
    if spec.file:
        assert spec.file.accepts(spec.file.smallest().data)
        assert not spec.file.accepts(b"<html>")
    spec.check(spec.probe)
    if spec.example is not None:
        spec.check(json.loads(json.dumps(spec.example, default=str)))


@operations
def test_a_provider_answers_the_smallest_request(spec: OperationSpec) -> None:
    demo = registry.get("demo")
    assert demo.guess_type is not None
    [model] = [name for name in DEMO_MODELS if demo.guess_type(name) is spec.model_type]
    upload = spec.file.smallest() if spec.file else None
    request = Request(spec.operation, model, {"model": model, **spec.probe}, upload=upload)
    answer = run(demo, request, Access({}), ModelFacts(), []).answer
    assert answer is not None
    assert (answer.content is not None and answer.body is None) is bool(spec.saved_as)


_METHODS = {Operation.IMAGES: "images.generate(", Operation.IMAGE_EDITS: "images.edit("}


@operations
def test_the_programs_of_an_example_are_programs(spec: OperationSpec) -> None:
    if spec.example is not None or spec.file is not None:
        programs = code_samples.samples(spec.operation, base_url="https://hub/v1", model="a/b")
        for program in programs:
            named = spec.operation.path in program.text.replace(".", "/")
            method = _METHODS.get(spec.operation, "no method")
            assert named or (program.slug == "openai" and method in program.text)
            if program.slug in ("requests", "openai"):
                compile(program.text, program.slug, "exec")


@model_types
def test_every_column_of_a_model_type_works(spec: ModelTypeSpec) -> None:
    assert str(spec.label)
    assert len(spec.model_type) <= longest(TenantModel, "type")
    assert {*spec.prices} <= {*AMOUNTS}
    assert {*spec.prices} <= {column.name for kind in (Price, Rates) for column in fields(kind)}
    assert spec.facts <= {column.name for column in fields(Facts)}
    assert not spec.facts & facts_of_other_types(spec.model_type)
    assert spec.facts <= facts_of_other_types(None)
    if spec.playground:
        assert reverse(spec.playground, kwargs={"workspace": "acme"})


def test_a_model_is_checked_by_the_operation_that_it_surely_has() -> None:
    assert operation_of(ModelType.REASONING).operation is Operation.CHAT
    assert operation_of(ModelType.REASONING, {"completion_only"}).operation is Operation.COMPLETION
    assert operation_of(ModelType.SPEECH_TO_TEXT, {"vision"}).operation is Operation.TRANSCRIPTION


# ------------------------------------------------------------------------------------------ gaps


def test_a_missing_row_is_named() -> None:
    with pytest.raises(IncompleteTable, match=rf"^PAGES has no row for {MADE_UP}$"):
        complete("PAGES", [*Operation, MADE_UP], {one: str(one) for one in Operation})


@pytest.mark.parametrize("kind", [OperationSpec, ModelTypeSpec])
def test_each_missing_column_is_named(kind: type[Row]) -> None:
    row: Any = next(iter((OPERATIONS if kind is OperationSpec else MODEL_TYPES).values()))
    columns = {column.name: getattr(row, column.name) for column in fields(row)}
    assert kind(**columns) == row
    for name in list(columns)[1:]:
        key = next(iter(columns.values()))
        with pytest.raises(IncompleteTable, match=rf"^\w+ of {re.escape(key)}: no {name}$"):
            kind(**{other: value for other, value in columns.items() if other != name})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("probe", f"OperationSpec of {MADE_UP}: no probe"),
        ("", rf"[a-z_.]+ has no row for {MADE_UP}"),
    ],
)
def test_an_operation_with_a_gap_ends_the_start(tmp_path: Path, lacking: str, message: str) -> None:
    """lacking: a column of its row; with all of them, another table has no row yet."""
    [member] = re.findall(r'    MODERATION = "moderations"\n', source(Operation))
    made_up = source(Operation).replace(member, f'{member}    MADE_UP = "{MADE_UP}"\n')
    (tmp_path / f"{Operation.__module__}.py").write_text(made_up, encoding="utf-8")
    rows = re.findall(r"    OperationSpec\(\n(?: {8}.*\n)+    \),\n", source(table))
    [row] = [row for row in rows if "Operation.MODERATION" in row]
    copy = re.sub(
        rf" +{lacking}=.*\n", "", row.replace("Operation.MODERATION", "Operation.MADE_UP")
    )
    made_up = source(table).replace(row, row + copy)
    (tmp_path / f"{table.__name__}.py").write_text(made_up, encoding="utf-8")
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-c", START, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert re.search(rf"IncompleteTable: {message}$", done.stderr.rstrip())


def longest(model: type[Model], field: str) -> int:
    """Return how many characters a column holds."""
    return model._meta.get_field(field).max_length or 0


def source(module: Any) -> str:
    return Path(inspect.getfile(module)).read_text(encoding="utf-8")
