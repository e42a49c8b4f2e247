"""schemathesis over our own OpenAPI document with each kind of caller: no 5xx, and every answer is
one that it describes.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core.api import openapi
from providers.declaration.spec import Call, Reply
from providers.transport import sync_client as provider_client
from tests import walk

pytestmark = pytest.mark.slow  # generated requests

CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT = json.loads(json.dumps(openapi.document()))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations()]
_NOT_SENT = {
    "content-type",
    "content-length",
    "accept-encoding",
}  # the test client sets the first two; nothing is compressed
BUDGET = 40.0  # seconds of this file; what is left of the examples then is left out


@dataclass
class Caller:
    """Sends what schemathesis made with one app key, or none; keeps the rows of the workspace as
    they were.
    """

    name: str
    key: str | None
    statuses: set[int]  # of well-formed requests

    def send(self, case: Any) -> None:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        request = requests.Request(
            **case.as_transport_kwargs(base_url="http://testserver", headers=headers)
        ).prepare()
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        sent = {
            name: value for name, value in request.headers.items() if name.lower() not in _NOT_SENT
        }
        point = transaction.savepoint()
        try:
            answer = Client(raise_request_exception=False).generic(
                request.method,
                request.path_url,
                body,
                content_type=request.headers.get("Content-Type", ""),
                headers=sent,
            )
        finally:
            transaction.savepoint_rollback(point)
        self.check(case, answer.status_code, as_response(answer, request))

    def check(self, case: Any, status: int, response: schemathesis.Response) -> None:
        malformed = case.meta.generation.mode is GenerationMode.NEGATIVE
        if not malformed:
            self.statuses.add(status)
        extra = [negative_data_rejection] if malformed and self.name == "owner" else []
        case.validate_response(response, checks=[*CONFORMANCE, *extra])


def as_response(answer: Any, request: requests.PreparedRequest) -> schemathesis.Response:
    headers = {name.lower(): [value] for name, value in answer.items()}
    return schemathesis.Response(
        answer.status_code, headers, answer.content, request, elapsed=0.0, verify=False
    )


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
    "operation", OPERATIONS, ids=lambda one: f"{one.method.upper()} {one.path}"
)
def test_answers_are_as_described(operation: Any, side: walk.Side, until: float) -> None:
    seen: dict[str, set[int]] = {}
    real = known(side, operation.path)
    for name, key, examples in keys(side):
        caller = Caller(name, key, seen.setdefault(name, set()))
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            explore(operation, caller, mode, real, examples, until)
    assert seen["anonymous"] == {401}
    assert seen["narrow"] == {403}
    assert seen["owner"]
    if real:  # and once more with ids that were made up
        explore(
            operation,
            Caller("owner", side.workspace.app_key[1], set()),
            GenerationMode.POSITIVE,
            None,
            3,
            until,
        )


def explore(
    operation: Any,
    caller: Caller,
    mode: GenerationMode,
    path_parameters: dict[str, Any] | None,
    examples: int,
    until: float,
) -> None:
    strategy = operation.as_strategy(generation_mode=mode, path_parameters=path_parameters or None)

    @seed(zlib.crc32(f"{operation.path} {operation.method} {caller.name} {mode}".encode()))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def run(case: Any) -> None:
        if time.monotonic() < until or (mode is GenerationMode.POSITIVE and not caller.statuses):
            caller.send(case)

    run()
