"""Clients of the REST API: one with a key, one without."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from tenants.auth.permissions import Scope
from tests import factories
from tests.fakes.fixtures import fake_provider

__all__ = ["fake_provider"]


# What a call record of the API and its CSV must have.
CALL_FIELDS = {
    "id",
    "request_id",
    "time",
    "model",
    "provider",
    "source",
    "scenario",
    "app_key",
    "prompt_tokens",
    "completion_tokens",
    "usage_source",
    "credits",
    "cost",
    "currency",
    "status",
    "error_code",
    "attempts",
    "latency_ms",
    "first_token_ms",
}


class Api:
    """Speaks JSON to /api/v1/ with one app key, or with none."""

    def __init__(self, key: str | None) -> None:
        self.client = Client()
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def call(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Any:
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        content_type = headers.pop("content_type", "application/json")
        return self.client.generic(
            method,
            f"/api/v1{path}",
            data,
            content_type=content_type,
            headers=self.headers | headers,
        )

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body)

    def put(self, path: str, body: Any = None) -> Any:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: Any = None) -> Any:
        return self.call("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)


def error(response: Any, status: int, code: str) -> dict[str, Any]:
    """The error of an answer, after a look at its form."""
    assert response.status_code == status, response.content
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) >= {"message", "type", "code", "param", "request_id"}
    assert body["error"]["code"] == code, body
    assert body["error"]["message"]
    assert body["error"]["request_id"] == response["X-Request-Id"]
    found: dict[str, Any] = body["error"]
    return found


@pytest.fixture
def api(acme: factories.Workspace) -> Api:
    """Acme's key with every scope."""
    return Api(acme.app_key[1])


@pytest.fixture
def reader(acme: factories.Workspace) -> Api:
    return Api(factories.make_app_key(acme.tenant, name="Reader", scopes=[Scope.READ])[1])


@pytest.fixture
def narrow(acme: factories.Workspace) -> Api:
    """A key that may only call models."""
    return Api(acme.narrow_key[1])


@pytest.fixture
def other(globex: factories.Workspace) -> Api:
    """Another workspace's key with every scope."""
    return Api(globex.app_key[1])


@pytest.fixture
def nobody(db: None) -> Api:
    return Api(None)
