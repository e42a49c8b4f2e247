"""Web pages read answers only if their origin is allowed by the workspace whose key they send."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from tests.gateway.conftest import Hub

pytestmark = pytest.mark.slow

ACME, GLOBEX, STRANGER = "https://acme.example", "https://globex.example", "https://evil.example"
BODY = {"model": "demo/demo-chat", "messages": [{"role": "user", "content": "Hello"}]}
ALLOWED = "access-control-allow-origin"


@pytest.fixture(scope="module")
def globex_key(shared_hub: Hub) -> str:
    made = shared_hub.server.manage(
        "init", "--workspace", "globex-pages", "--owner", "owner@globex.example", "--json"
    )
    return str(json.loads(made)["app_key"])


@pytest.fixture(scope="module")
def allowed(shared_hub: Hub, globex_key: str) -> Iterator[Hub]:
    keys = {ACME: shared_hub.server.app_key, GLOBEX: globex_key}
    for origin, key in keys.items():
        assert change(shared_hub, key, [origin.upper() + "/"]) == [origin]
    yield shared_hub
    for key in keys.values():
        assert change(shared_hub, key, []) == []


def change(hub: Hub, key: str, origins: list[str]) -> list[str]:
    answer = requests.patch(
        hub.server.url + "/api/v1/workspace/",
        json={"allowed_origins": origins},
        headers={"Authorization": f"Bearer {key}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    listed: list[str] = answer.json()["allowed_origins"]
    return listed


def preflight(hub: Hub, origin: str) -> requests.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }
    return requests.options(hub.base + "/chat/completions", headers=headers, timeout=30)


def test_no_page_may_call_by_default(shared_hub: Hub) -> None:
    assert ALLOWED not in preflight(shared_hub, ACME).headers
    answer = shared_hub.post(body=BODY, headers={"Origin": ACME})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_a_preflight_tells_what_allowed_pages_may_send(allowed: Hub) -> None:
    answer = preflight(allowed, ACME)
    assert (answer.status_code, answer.headers[ALLOWED]) == (204, ACME)
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "x-stainless-lang" in answer.headers["access-control-allow-headers"]
    assert answer.headers["vary"].lower() == "origin"
    assert "access-control-allow-credentials" not in answer.headers
    for origin in (STRANGER, "null", ACME + ".evil.example", "http://acme.example"):
        assert ALLOWED not in preflight(allowed, origin).headers


@pytest.mark.parametrize("stream", [False, True])
def test_answers_are_for_the_pages_of_the_keys_workspace(
    stream: bool, allowed: Hub, globex_key: str
) -> None:
    body = BODY | {"stream": stream}
    answer = allowed.post(body=body, headers={"Origin": ACME})
    assert (answer.status_code, answer.headers[ALLOWED]) == (200, ACME)
    assert "x-request-id" in answer.headers["access-control-expose-headers"]
    for origin in (GLOBEX, STRANGER):
        assert ALLOWED not in allowed.post(body=body, headers={"Origin": origin}).headers
    other = allowed.post(body=body, key=globex_key, headers={"Origin": ACME})
    assert ALLOWED not in other.headers
    other = allowed.post(body=body, key=globex_key, headers={"Origin": GLOBEX})
    assert other.headers[ALLOWED] == GLOBEX


def test_allowed_pages_can_read_errors(allowed: Hub) -> None:
    for key in ("", "mk_live_wrong"):
        answer = allowed.post(body=BODY, key=key or "x", headers={"Origin": ACME})
        assert (answer.status_code, answer.headers[ALLOWED]) == (401, ACME)
        answer = allowed.post(body=BODY, key=key or "x", headers={"Origin": STRANGER})
        assert ALLOWED not in answer.headers
    answer = allowed.post("/nothing", BODY, headers={"Origin": ACME})
    assert (answer.status_code, answer.headers[ALLOWED]) == (404, ACME)
