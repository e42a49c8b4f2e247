"""Compares whatever a server answers under /v1 with its OpenAPI document.

A client of a test is given these hooks once; no test has to ask for the comparison.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx2
import requests
from django.utils.translation import override
from jsonschema import Draft202012Validator

from gateway.openapi.document import document

JSON_TYPE = "application/json"


def of_requests(answer: requests.Response, *_args: Any, **_options: Any) -> None:
    """A hook of `requests` for responses."""
    if JSON_TYPE in answer.headers.get("content-type", ""):
        path = urlsplit(answer.url).path
        compare(str(answer.request.method), path, answer.status_code, answer.content)


def of_sdk(answer: httpx2.Response) -> None:
    """A hook of httpx2, which the SDKs use, for responses."""
    if JSON_TYPE in answer.headers.get("content-type", ""):
        request = answer.request
        compare(request.method, request.url.path, answer.status_code, answer.read())


def compare(method: str, path: str, status: int, content: bytes) -> None:
    """Compare a JSON body with what the document says of it; unknown paths are in no document."""
    validator = _validator(method.lower(), path, status)
    if validator is not None:
        validator.validate(json.loads(content))


def _validator(method: str, path: str, status: int) -> Draft202012Validator | None:
    for pattern, template in _patterns():
        if pattern.fullmatch(path):
            return _validator_of(method, template, status)
    return None


@cache
def _made() -> dict[str, Any]:
    with override("en"):
        return document("en")


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """The document's paths, those without parameters first."""
    paths = sorted(_made()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"{\w+}", "[^/]+", path)), path) for path in paths]


@cache
def _validator_of(method: str, template: str, status: int) -> Draft202012Validator | None:
    operation = _made()["paths"][template].get(method)
    if operation is None:
        return None
    described = operation["responses"].get(str(status))
    assert described is not None, f"{method} {template} answers {status}, which is not documented"
    if "$ref" in described:
        described = _made()["components"]["responses"][described["$ref"].rpartition("/")[2]]
    schema = described["content"][JSON_TYPE]["schema"]
    return Draft202012Validator({**schema, "components": _made()["components"]})
