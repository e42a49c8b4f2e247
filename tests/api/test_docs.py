"""The OpenAPI document and its page: complete, offline, under the strict policy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils.translation import gettext, override
from jsonschema import Draft202012Validator

from core.api import openapi
from core.api.docs_page import METHODS, chapters
from tests import routes


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    with override("en"):
        return openapi.document()


@pytest.fixture(params=["/api/docs/", "/v1/docs/"])
def any_page(db: None, request: pytest.FixtureRequest) -> str:
    """The page of either API."""
    response = Client().get(request.param)
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def page(db: None) -> str:
    response = Client().get("/api/docs/")
    assert response.status_code == 200
    return response.content.decode()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def test_every_view_of_the_api_is_in_the_document(document: dict[str, Any]) -> None:
    views = {
        route.path: route.api_view
        for route in routes.operations(get_resolver())
        if route.api_view is not None
    }
    declared = {
        (path.replace("{pk}", "{id}"), method)
        for path, view in views.items()
        for method in METHODS
        if hasattr(view, method)
    }
    assert {(path, method) for path, method, _operation in operations(document)} == declared
    assert len(declared) > 35


def test_it_is_openapi_3_1_with_the_app_key_as_bearer(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["components"]["securitySchemes"]["appKey"]["scheme"] == "bearer"
    for path, method, operation in operations(document):
        assert operation["security"] == [{"appKey": []}], (path, method)


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _path, _method, operation in operations(document)]
    assert len(set(names)) == len(names)
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        successes = [code for code in operation["responses"] if code < "300"]
        assert len(successes) == 1, where
        if successes != ["204"]:
            assert operation["responses"][successes[0]]["content"]["application/json"]["schema"], (
                where
            )
        assert {"400", "401", "403", "503"} <= set(operation["responses"]), where
        assert ("404" in operation["responses"]) == ("{" in path), where
        if method in ("put", "patch"):
            assert operation["requestBody"]["content"]["application/json"]["schema"], where


def test_every_chapter_has_its_place(document: dict[str, Any]) -> None:
    assert [chapter.title for chapter in chapters(document)] == list(openapi.TAGS)


def test_it_is_made_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    openapi.Generator().get_schema(request=None, public=True)
    assert capsys.readouterr().err == ""


def test_request_bodies_are_closed_and_references_resolve(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        if name.endswith("Request"):
            assert schema["additionalProperties"] is False, name
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", repr(document)))
    assert references <= set(schemas)


def test_the_document_is_served_to_everybody(db: None) -> None:
    response = Client().get("/api/schema/")
    assert response["Content-Type"] == "application/json"
    assert response.json()["info"]["title"] == "Modelkeep REST API"
    assert Client().post("/api/schema/").status_code == 405


def test_the_page_shows_every_operation(page: str, document: dict[str, Any]) -> None:
    for chapter in chapters(document):
        assert f'id="{chapter.anchor}"' in page
        for operation in chapter.operations:
            assert f'id="{operation.anchor}"' in page
            assert operation.path in page


class Resources(HTMLParser):
    """What a page loads, runs or styles by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.loaded += [
            str(values[name]) for name in ("src", "href") if name in values and tag not in ("a",)
        ]
        if (
            tag in ("script", "style", "iframe")
            or "style" in values
            or any(name.startswith("on") for name in values)
        ):
            self.inline.append(tag)
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag == "a" and str(values.get("href", "")).startswith("#"):
            self.targets.append(str(values["href"])[1:])


def test_the_page_needs_no_script_and_no_other_host(any_page: str) -> None:
    found = Resources()
    found.feed(any_page)
    assert found.inline == []
    assert found.loaded
    assert all(one.startswith("/static/") for one in found.loaded)
    assert len(set(found.ids)) == len(found.ids)
    assert set(found.targets) <= set(found.ids)


@pytest.mark.parametrize("path", ["/api/docs/", "/v1/docs/"])
def test_the_page_has_the_strict_policy(db: None, path: str) -> None:
    response = Client().get(path)
    assert "unsafe" not in response["Content-Security-Policy"]
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_the_examples_match_their_own_schemas(document: dict[str, Any]) -> None:
    """What the page shows as a body is a body that the schema allows."""
    for chapter in chapters(document):
        for operation in chapter.operations:
            for body in operation.bodies:
                schema = document["paths"][operation.path][operation.method.lower()]["requestBody"][
                    "content"
                ]["application/json"]["schema"]
                whole = {**schema, "components": document["components"]}
                Draft202012Validator(whole).validate(json.loads(body.example))


def texts(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Where the document explains something, and in which words."""
    if isinstance(node, dict):
        for key in ("summary", "description"):
            text = node.get(key)
            if isinstance(text, str) and text:
                yield f"{path}/{key}", text
        for key, inner in node.items():
            yield from texts(inner, f"{path}/{key}")
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from texts(inner, f"{path}/{number}")


def test_every_text_of_the_document_is_translated(document: dict[str, Any]) -> None:
    with override("zh-hans"):
        chinese = dict(texts(openapi.document()))
    english = dict(texts(document))
    assert chinese.keys() == english.keys()
    assert len(english) > 300
    assert [path for path, text in english.items() if chinese[path] == text] == []


def test_every_chapter_is_translated() -> None:
    with override("zh-hans"):
        assert [title for title in openapi.TAGS if gettext(title) == title] == []


def test_the_page_and_the_document_speak_chinese(db: None, document: dict[str, Any]) -> None:
    chinese = {"Accept-Language": "zh-hans"}
    page = Client().get("/api/docs/", headers=chinese).content.decode()
    for english in (
        "List the providers",
        "Manage a workspace from a program",
        "Audit trail",
        "list of string",
        "The app key is not allowed to do this.",
    ):
        assert english not in page
    found = Client().get(reverse("api-schema"), headers=chinese).json()
    assert found["paths"].keys() == document["paths"].keys()
    assert (
        found["paths"]["/api/v1/providers"]["get"]["summary"]
        != document["paths"]["/api/v1/providers"]["get"]["summary"]
    )
