"""Every error code that /v1 sends beside those of the REST API, provoked on a running server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import KEY, Hub, running_hub
from tests.sent_codes import Cases

pytestmark = pytest.mark.slow  # a server runs

CASES = Cases()
OWN, TRIAL, DEAR = "openai_compatible/chat", "openai/gpt-3.5-turbo", "openai/gpt-3.5-turbo-16k"
MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    """A workspace with a key of its own, one that cannot be read, and a trial of few credits."""
    with Running(FakeProvider()) as fake:
        for hub in running_hub(
            fake,
            MODELKEEP_IDLE_TIMEOUT="1",
            MODELKEEP_CALL_DEADLINE="5",
            MODELKEEP_BODY_MEMORY="2",
            GRACEFUL_TIMEOUT="3",
        ):
            own, base = "openai_compatible", f"{fake.url}/v1"
            unread = {"provider": "deepseek", "name": "Lost", "values": {"api_key": KEY}}
            hub.seed(
                credentials=[
                    {"provider": own, "name": "Lab", "values": {}, "base_url": base},
                    unread | {"base_url": fake.url},
                ],
                models=[
                    {"provider": own, "model": name, "type": "reasoning"}
                    for name in ("chat", "gpt-3.5-turbo")
                ],
                plan={
                    "plan": "openai",
                    "limit": 100,
                    "models": {"gpt-3.5-turbo": 1, "gpt-3.5-turbo-16k": 1000},
                    "values": {"api_key": KEY, "base_url": fake.url},
                },
            )
            hub.execute("UPDATE providers_providercredential SET version=9 WHERE name='Lost'")
            yield hub
            hub.audit()


@pytest.fixture
def hub(server: Hub) -> Hub:
    server.fake.reset()
    return server


# -------------------------------------------------------------------------------------- the server


@CASES.sends("server_stopping", 503)
def _(hub: Hub) -> requests.Response:
    hub.fake.mode = "drip:0.3"
    answers: list[requests.Response] = []
    caller = threading.Thread(target=lambda: answers.append(hub.chat(OWN)))
    caller.start()
    while not hub.fake.count:
        time.sleep(0.02)
    hub.server.stop()
    hub.server.start()
    caller.join()
    return answers[0]


@CASES.sends("too_many_bodies", 429)
def _(hub: Hub) -> requests.Response:
    return hub.chat(OWN, messages=[{"role": "user", "content": "a" * 1024 * 1024}])


@CASES.sends("rate_limited", 429)
def _(hub: Hub) -> requests.Response:
    made = hub.session.post(
        f"{hub.server.url}/api/v1/app-keys/",
        json={"name": "Slow", "scopes": ["use"], "rates": {"requests_per_minute": 1}},
        headers={"Authorization": f"Bearer {hub.server.app_key}"},
        timeout=30,
    ).json()
    for _call in range(2):
        answer = hub.chat(OWN, key=made["key"])
    return answer


@CASES.sends("server_busy", 503)
def _(hub: Hub) -> requests.Response:
    """Two callers have sent most of a long body."""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {hub.server.url}\r\nContent-Length: 900000"
    body = b"a" * 700_000
    with ExitStack() as callers:
        for key in (hub.server.app_key, hub.app_key()):
            address = ("127.0.0.1", hub.server.port)
            caller = callers.enter_context(socket.create_connection(address))
            caller.sendall(f"{head}\r\nAuthorization: Bearer {key}\r\n\r\n".encode() + body)
        until = time.monotonic() + 10
        third = hub.app_key()
        while True:
            answer = hub.post(data=body, key=third)
            if answer.status_code != 400 or time.monotonic() > until:
                return answer


# ------------------------------------------------------------------------------------ the provider

FAILURES = {
    ("provider_auth_failed", 502): "status:401",
    ("provider_permission_denied", 502): "status:403",
    ("provider_out_of_funds", 502): "status:429::insufficient_quota",
    ("provider_rate_limited", 429): "status:429:2",
    ("provider_overloaded", 503): "status:503",
    ("provider_timeout", 504): "hang",
    ("provider_error", 502): "status:500",
    ("context_length_exceeded", 400): "status:400::context_length_exceeded",
    ("content_filter", 400): "status:400::content_filter",
}


def call_fails(mode: str) -> Any:
    def case(hub: Hub) -> requests.Response:
        hub.fake.mode = mode
        return hub.chat(OWN)

    return case


for _pair, _mode in FAILURES.items():
    CASES.sends(*_pair)(call_fails(_mode))


# --------------------------------------------------------------------------------------- the model


@CASES.sends("ambiguous_model", 400)
def _(hub: Hub) -> requests.Response:
    return hub.chat("gpt-3.5-turbo")


@CASES.sends("not_configured", 424)
def _(hub: Hub) -> requests.Response:
    return hub.chat(None)


@CASES.sends("credential_unreadable", 503)
def _(hub: Hub) -> requests.Response:
    return hub.chat("deepseek/deepseek-chat")


# --------------------------------------------------------------------------------------- the trial


@CASES.sends("model_not_in_trial", 403)
def _(hub: Hub) -> requests.Response:
    return hub.chat("openai/gpt-4o-mini")


@CASES.sends("trial_exhausted", 402)
def _(hub: Hub) -> requests.Response:
    return hub.chat(DEAR)


@CASES.sends("trial_provider_unavailable", 503)
def _(hub: Hub) -> requests.Response:
    hub.fake.mode = "status:401"
    return hub.chat(TRIAL)


@CASES.sends("already_done", 409)
def _(hub: Hub) -> requests.Response:
    key = {"Idempotency-Key": f"done-{time.monotonic_ns()}"}
    assert hub.chat(TRIAL, headers=key).status_code == 200
    return hub.chat(TRIAL, headers=key)


@CASES.sends("idempotency_mismatch", 422)
def _(hub: Hub) -> requests.Response:
    key = {"Idempotency-Key": f"other-{time.monotonic_ns()}"}
    assert hub.chat(TRIAL, headers=key).status_code == 200
    return hub.chat(TRIAL, headers=key, temperature=1)


@CASES.sends("in_progress", 409)
def _(hub: Hub) -> requests.Response:
    hub.fake.mode = "slow:0.8"
    key = {"Idempotency-Key": f"twice-{time.monotonic_ns()}"}
    first = threading.Thread(target=lambda: hub.chat(TRIAL, headers=key))
    first.start()
    while not hub.fake.count:
        time.sleep(0.02)
    answer = hub.chat(TRIAL, headers=key)
    first.join()
    return answer


@pytest.mark.parametrize(("code", "status"), [*CASES])
def test_the_code_is_sent(hub: Hub, code: str, status: int) -> None:
    answer = CASES[code, status](hub)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param", "request_id"}
    assert error["code"] == code


# ------------------------------------------------------------------------- ends that are recorded

RECORDED = Cases()


@RECORDED.sends("cancelled", 0)
def _(hub: Hub) -> str:
    """The client leaves before the provider has said anything."""
    hub.fake.mode = "hang"
    request_id = f"left-{time.monotonic_ns()}"
    headers = {"Authorization": f"Bearer {hub.server.app_key}", "X-Request-Id": request_id}
    body = {"model": OWN, "messages": MESSAGES}
    with pytest.raises(requests.Timeout):
        requests.post(f"{hub.base}/chat/completions", json=body, headers=headers, timeout=0.5)
    return request_id


def test_the_code_is_in_the_list_of_calls(hub: Hub) -> None:
    request_id = RECORDED["cancelled", 0](hub)
    hub.wait_for_record(request_id)
    url = f"{hub.server.url}/api/v1/usage/calls/?request_id={request_id}"
    headers = {"Authorization": f"Bearer {hub.server.app_key}"}
    calls = requests.get(url, headers=headers, timeout=10).json()["results"]
    assert [call["error_code"] for call in calls if call["request_id"] == request_id] == [
        "cancelled"
    ]
