"""Requests that the document of /v1 allows, made up: what is answered is as the document says."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.openapi.document import document
from tests.gateway.conftest import Hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]  # a server runs, generated requests

CHECKS = [
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
]
EXAMPLES = 3  # of each operation and kind
SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(document("en"))))
JSON_CALLS = [
    operation.ok()
    for operation in SCHEMA.get_all_operations()
    if operation.ok().method == "post"
    and "application/json" in operation.ok().get_request_payload_content_types()
]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("operation", JSON_CALLS, ids=lambda one: one.path)
def test_answers_are_as_described(hub: Hub, operation: Any, mode: GenerationMode) -> None:
    headers = {"Authorization": f"Bearer {hub.server.app_key}"}

    @seed(zlib.crc32(f"{operation.path} {mode}".encode()))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        sent = case.as_transport_kwargs(base_url=hub.server.url, headers=headers)
        request = requests.Request(**sent).prepare()
        answer = hub.session.send(request, timeout=30)
        case.validate_response(
            schemathesis.Response.from_requests(answer, verify=False), checks=CHECKS
        )

    run()
