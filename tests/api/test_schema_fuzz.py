"""schemathesis over our own OpenAPI document with each kind of caller: no 5xx, and every answer is
one that it describes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from core.api import openapi
from providers.declaration.spec import Call, Reply
from providers.transport import sync_client as provider_client
from tests import walk

pytestmark = pytest.mark.slow  # generated requests

OPERATIONS = [
    (method.upper(), path)
    for path, item in openapi.document()["paths"].items()
    for method in item
    if method != "parameters"
]
BUDGET = 40.0  # seconds of this file; what is left of the examples then is left out


@pytest.fixture
def side(db: None, monkeypatch: pytest.MonkeyPatch) -> walk.Side:
    """A workspace with one object of everything; whichever provider is asked answers that all is
    well.
    """

    def answer(call: Call, **_context: Any) -> Reply:
        return Reply(
            200,
            {"content-type": "application/json"},
            b'{"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]}',
        )

    monkeypatch.setattr(provider_client, "send", answer)
    return walk.make_side("acme", "acmark")


@pytest.fixture(scope="module")
def until() -> float:
    return time.monotonic() + BUDGET


def keys(side: walk.Side) -> Iterator[tuple[str, str | None, int]]:
    """Who calls, with which key, and how many examples of each kind are made."""
    yield "owner", side.workspace.app_key[1], 6
    yield "narrow", side.workspace.narrow_key[1], 1
    yield "anonymous", None, 1


def known(side: walk.Side, path: str) -> dict[str, Any]:
    """Path parameters that lead to something of the workspace."""
    objects = {
        "members": "member",
        "invitations": "invitation",
        "app-keys": "app_key",
        "usage": "call",
        "providers": "credential",
    }
    row = side[objects.get(path.split("/")[3], "credential")]
    values = {
        "provider": walk.PROVIDER,
        "model": side.model,
        "scenario": "reasoning",
        "id": str(row.pk),
    }
    return {name: value for name, value in values.items() if f"{{{name}}}" in path}


@pytest.mark.parametrize(
    ("method", "path"), OPERATIONS, ids=[" ".join(operation) for operation in OPERATIONS]
)
def test_answers_are_as_described(method: str, path: str, side: walk.Side, until: float) -> None:
    from tests.api.schema_fuzzing import NEGATIVE, POSITIVE, SCHEMA, Caller, explore

    operation = SCHEMA[path][method]
    seen: dict[str, set[int]] = {}
    real = known(side, path)
    for name, key, examples in keys(side):
        caller = Caller(name, key, seen.setdefault(name, set()))
        for mode in (POSITIVE, NEGATIVE):
            explore(operation, caller, mode, real, examples, until)
    assert seen["anonymous"] == {401}
    assert seen["narrow"] == {403}
    assert seen["owner"]
    if real:  # and once more with ids that were made up
        explore(
            operation,
            Caller("owner", side.workspace.app_key[1], set()),
            POSITIVE,
            None,
            3,
            until,
        )
