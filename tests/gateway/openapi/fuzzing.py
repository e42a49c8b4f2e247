"""Requests that schemathesis makes from the document of /v1.

Imported by tests, not by their files: schemathesis takes longer to import than any test file.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

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

CHECKS = [
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
]
EXAMPLES = 3  # of each operation and kind
SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(document("en"))))


def explore(hub: Hub, path: str, mode: str) -> None:
    """Send made-up requests to the operation and check the answers against the document."""
    kind = GenerationMode[mode]
    headers = {"Authorization": f"Bearer {hub.server.app_key}"}

    @seed(zlib.crc32(f"{path} {kind}".encode()))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=SCHEMA[path]["POST"].as_strategy(generation_mode=kind))
    def run(case: Any) -> None:
        sent = case.as_transport_kwargs(base_url=hub.server.url, headers=headers)
        request = requests.Request(**sent).prepare()
        answer = hub.session.send(request, timeout=30)
        case.validate_response(
            schemathesis.Response.from_requests(answer, verify=False), checks=CHECKS
        )

    run()
