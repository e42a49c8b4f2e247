"""The OpenAPI document of /v1 says all that the tables say, in both languages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils.translation import override
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from core.api.docs_page import FORM_TYPE, JSON_TYPE, Operation, chapters
from gateway.dataplane.doors.registry import DOORS, ENDPOINTS
from gateway.dataplane.requests.addresses import COUNT, KEY, MODELS, is_known
from gateway.openapi import errors, kept, stored
from gateway.openapi.document import EVENT_STREAM, document
from gateway.openapi.formats.registry import format_of
from providers.declaration.errors import Failure
from providers.operations.fields import InvalidBody
from providers.operations.table import OPERATIONS
from tests.api.test_docs import operations, texts
from tests.gateway.dataplane import test_sent_codes as v1
from tests.source import files, nodes


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    with override("en"):
        return document("en")


@pytest.mark.slow
@pytest.mark.one_database
def test_it_is_valid_openapi(made: dict[str, Any]) -> None:
    validate_schema(made | {"servers": [{"url": "/"}]})
    for schema in made["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_endpoint_is_in_it(made: dict[str, Any]) -> None:
    kept_paths = {kept.PATH, kept.ITEMS_PATH}
    stored_paths = set(stored.paths())
    models = {MODELS, f"{MODELS}/{{model}}"}
    assert set(made["paths"]) == {*ENDPOINTS, COUNT, KEY, *models, *kept_paths, *stored_paths}
    assert all(is_known(path) for path in made["paths"])
    names = [operation["operationId"] for _path, _method, operation in operations(made)]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere_and_everything_is_referred_to(
    made: dict[str, Any],
) -> None:
    references = set(re.findall(r"'\$ref': '#/components/([\w/-]+)'", repr(made)))
    assert references == {
        f"{kind}/{name}"
        for kind in ("schemas", "headers", "responses")
        for name in made["components"][kind]
    }


def test_every_field_is_described(made: dict[str, Any]) -> None:
    schemas = made["components"]["schemas"]
    bare = [place for name in schemas for place in undescribed(schemas[name], name)]
    assert bare == []


def undescribed(schema: dict[str, Any], place: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        if not field.keys() & {"description", "$ref"}:
            yield f"{place}.{name}"
        yield from undescribed(field, f"{place}.{name}")
    items = [schema["items"]] if schema.get("items") else []
    for inner in (*items, *schema.get("anyOf", ())):
        yield from undescribed(inner, place)


def test_every_header_of_ours_is_described(made: dict[str, Any]) -> None:
    sent = {
        node.value.decode()
        for path in files()
        for node in nodes(path)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, bytes)
        and re.fullmatch(rb"x-modelkeep-[a-z-]+|x-should-retry|retry-after", node.value)
    }
    assert len(sent) > 8
    assert sent <= {name.lower() for name in made["components"]["headers"]}


def test_a_door_has_one_form_of_errors(made: dict[str, Any]) -> None:
    schemas = made["components"]["schemas"]
    for door in DOORS.values():
        assert errors.name_of(door) in schemas


def test_it_has_every_code_that_calls_end_with() -> None:
    documented = {
        (entry.code, status)
        for status, entries in errors.statuses(has_body=True).items()
        for entry in entries
    }
    assert set(v1.CASES) - documented == set()
    assert {failure.value for failure in Failure} - {code for code, _status in documented} == {
        "provider_unreachable",
        "provider_wrong_url",
    }, "settings pages alone tell them apart"


@pytest.mark.parametrize("path", sorted({*ENDPOINTS, COUNT}))
def test_examples_are_what_the_document_and_the_checks_allow(
    made: dict[str, Any], path: str
) -> None:
    content = made["paths"][path]["post"]["requestBody"]["content"]
    if "application/json" in content:
        body = content["application/json"]
        schema = body["schema"] | {"components": made["components"]}
        Draft202012Validator(schema).validate(body["example"])
        endpoint = ENDPOINTS.get(path) or ENDPOINTS[COUNT.rpartition("/")[0]]
        endpoint.door.read(endpoint.operation, body["example"])


# What a field may have, tried on each field that a check knows.
VALUES: tuple[Any, ...] = (
    *(None, True, "", "text", 0, 1, -1, 2.5),
    *([], ["text"], [1], [[1]], [{}], [{"role": "user"}], [{"role": 1}], [None], {}),
)


@pytest.mark.parametrize("path", sorted(ENDPOINTS))
def test_the_document_refuses_what_the_checks_refuse(path: str) -> None:
    """The other way round, only numbers differ: 1.0 is a whole number in JSON Schema."""
    endpoint = ENDPOINTS[path]
    spec = OPERATIONS[endpoint.operation]
    check = format_of(endpoint).check or spec.check
    example = format_of(endpoint).example or spec.example or spec.probe
    validator = Draft202012Validator(check.schema)
    for name in check.schema["properties"]:
        for value in VALUES:
            body = {**example, name: value}
            assert validator.is_valid(body) == accepts(check, body), (name, value)


def accepts(check: Any, body: dict[str, Any]) -> bool:
    try:
        check(body)
    except InvalidBody:
        return False
    return True


def test_every_text_is_translated(made: dict[str, Any]) -> None:
    with override("zh-hans"):
        chinese = dict(texts(document("zh-hans")))
    english = dict(texts(made))
    same = {text for path, text in english.items() if chinese[path] == text}
    assert same == {"Embedding"}, "which Chinese engineers say too"
    assert len(english) > 80


def test_it_is_served_to_everybody_and_linked_from_the_reference(db: None) -> None:
    response = Client().get("/v1/openapi.json")
    assert response["Content-Type"] == "application/json"
    assert response.json()["servers"] == [{"url": "/"}]
    assert Client().post("/v1/openapi.json").status_code == 405
    assert 'href="/v1/openapi.json"' in Client().get("/v1/docs/").content.decode()
    assert 'href="/v1/docs/"' in Client().get("/api/docs/").content.decode()


def test_its_page_shows_every_operation_with_all_its_bodies(db: None, made: dict[str, Any]) -> None:
    page = Client().get("/v1/docs/").content.decode()
    for chapter in chapters(made, "use"):
        for operation in chapter.operations:
            assert f'id="{operation.anchor}"' in page
            assert operation.path in page
            assert operation.scope == "use"
            assert operation.summary != "Chat" or operation.path == "/v1/chat/completions"
    edits = next(one for one in shown(made) if one.path == "/v1/images/edits")
    assert [body.media_type for body in edits.bodies] == [JSON_TYPE, FORM_TYPE]
    speech = next(one for one in shown(made) if one.path == "/v1/audio/speech")
    assert speech.curl.endswith("--output FILE")
    transcription = next(one for one in shown(made) if "transcriptions" in one.path)
    assert "-F file=@FILE" in transcription.curl
    chat = next(one for one in shown(made) if one.path == "/v1/chat/completions")
    [answer] = [answer for answer in chat.answers if not answer.is_error]
    assert [content.media_type for content in answer.contents] == [JSON_TYPE, EVENT_STREAM]
    assert all(content.rows for content in answer.contents)
    assert "x-modelkeep-model" in {row.name.lower() for row in answer.headers}


def shown(made: dict[str, Any]) -> list[Operation]:
    return [operation for chapter in chapters(made) for operation in chapter.operations]


def test_its_page_speaks_chinese(db: None) -> None:
    page = Client().get("/v1/docs/", headers={"Accept-Language": "zh-hans"}).content.decode()
    for english in ("Model API", "Call the models of a workspace", "(header)", "Show a model"):
        assert english not in page
