"""Requests that the document of /v1 allows, made up: what is answered is as the document says."""

from __future__ import annotations

import pytest

from gateway.openapi.document import document
from tests.gateway.conftest import Hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]  # a server runs, generated requests

JSON_CALLS = [
    path
    for path, item in document("en")["paths"].items()
    if "application/json" in item.get("post", {}).get("requestBody", {}).get("content", {})
]


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
@pytest.mark.parametrize("path", JSON_CALLS)
def test_answers_are_as_described(hub: Hub, path: str, mode: str) -> None:
    from tests.gateway.openapi.fuzzing import explore

    explore(hub, path, mode)
