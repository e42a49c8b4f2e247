"""A server that is reached over https: what it refuses over plain http, and whose word it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.server import Server

pytestmark = pytest.mark.slow  # a server runs

HOST = "hub.example.org"
OVER_HTTPS = {"X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(env={"SITE_URL": f"https://{HOST}", "ALLOWED_HOSTS": HOST}) as running:
        yield running


def ask(server: Server, method: str, path: str, **headers: str) -> requests.Response:
    sent = {"Host": HOST, "Authorization": f"Bearer {server.app_key}"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    options: dict[str, Any] = {"headers": sent, "allow_redirects": False, "timeout": 30}
    return requests.request(method, server.url + path, **options)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("OPTIONS", "/v1/models"),
        ("GET", "/v1/nothing"),
        ("GET", "/api/v1/workspace/"),
        ("POST", "/api/v1/app-keys/"),
        ("GET", "/api/v1/workspace"),
        ("GET", "/api/schema/"),
    ],
)
def test_applications_are_refused_over_plain_http_and_not_redirected(
    server: Server, method: str, path: str
) -> None:
    for headers in ({}, {"X_Forwarded_Proto": "http"}):
        answer = ask(server, method, path, **headers)
        assert answer.status_code == 403, answer.text
        error = answer.json()["error"]
        assert (error["code"], "https" in error["message"]) == ("https_required", True)
        assert error["request_id"] == answer.headers["X-Request-Id"]


def test_people_are_redirected(server: Server) -> None:
    for path in ("/", "/accounts/login/", "/api/docs/"):
        answer = ask(server, "GET", path)
        assert (answer.status_code, answer.headers["Location"][:8]) == (301, "https://")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/models", 200), ("/v1/nothing", 404), ("/api/v1/workspace/", 200), ("/help/", 200)],
)
def test_every_answer_over_https_asks_for_https_from_now_on(
    server: Server, path: str, status: int
) -> None:
    answer = ask(server, "GET", path, **OVER_HTTPS)
    assert answer.status_code == status
    assert answer.headers["Strict-Transport-Security"] == (
        "max-age=31536000; includeSubDomains; preload"
    )


def test_so_does_the_refusal_of_a_body_that_is_too_large(server: Server) -> None:
    headers = OVER_HTTPS | {"Host": HOST, "Content-Length": str(10**9)}
    answer = requests.post(f"{server.url}/accounts/login/", headers=headers, timeout=30)
    assert answer.status_code == 413
    assert "Strict-Transport-Security" in answer.headers


def test_the_audit_log_holds_addresses_only(server: Server) -> None:
    """The proxy on this machine is trusted; what its clients wrote into the header is not."""
    for header, address in (("203.0.113.9", "203.0.113.9"), ("not-an-ip", "127.0.0.1")):
        headers = {"Host": HOST, "Authorization": f"Bearer {server.app_key}", **OVER_HTTPS}
        renamed = requests.patch(
            f"{server.url}/api/v1/workspace/",
            headers=headers | {"X-Forwarded-For": header},
            json={"name": f"Named by {header}"},
            timeout=30,
        )
        assert renamed.status_code == 200, renamed.text
        entry = ask(server, "GET", "/api/v1/audit/?limit=1", **OVER_HTTPS).json()["results"][0]
        assert entry["address"] == address
