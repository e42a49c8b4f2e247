"""What the document doesn't say is found in any answer."""

from __future__ import annotations

import json

import pytest
from jsonschema import ValidationError

from tests.gateway.openapi.comparing import compare

NO_FILES = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def test_what_is_documented_passes() -> None:
    compare("GET", "/v1/files", 200, json.dumps(NO_FILES).encode())
    compare("GET", "/v1/nothing", 200, b"{}")
    compare("PUT", "/v1/files", 405, b"{}")


def test_what_is_not_documented_fails() -> None:
    with pytest.raises(ValidationError, match="has_more"):
        compare("GET", "/v1/files", 200, json.dumps(NO_FILES | {"has_more": None}).encode())
    with pytest.raises(ValidationError, match="error"):
        compare("GET", "/v1/files/file-1", 404, b"{}")
    with pytest.raises(AssertionError, match="418"):
        compare("GET", "/v1/files", 418, b"{}")
