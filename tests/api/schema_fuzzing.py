"""Requests that schemathesis makes from our own OpenAPI document.

Imported by tests, not by their files: schemathesis takes longer to import than any test file.
"""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import dataclass
from typing import Any

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

POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(openapi.document())))
_NOT_SENT = {
    "content-type",
    "content-length",
    "accept-encoding",
}  # the test client sets the first two; nothing is compressed


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
