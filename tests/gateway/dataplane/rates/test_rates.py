"""Rates of app keys, members and workspaces on a running server with two workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import requests

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import CHAT, Hub, running_hub

pytestmark = pytest.mark.slow  # a server runs


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    with Running(FakeProvider()) as fake:
        for hub in running_hub(fake, workers=2):
            hub.seed(
                credentials=[
                    {
                        "provider": "openai",
                        "name": "Main",
                        "values": {"api_key": "sk-x"},
                        "base_url": f"{fake.url}/v1",
                    }
                ]
            )
            yield hub


@pytest.fixture
def hub(server: Hub) -> Hub:
    server.fake.reset()
    return server


def api(hub: Hub, method: str, path: str, body: Any = None) -> Any:
    answer = hub.session.request(
        method,
        f"{hub.server.url}/api/v1{path}",
        json=body,
        headers={"Authorization": f"Bearer {hub.server.app_key}"},
        timeout=30,
    )
    assert answer.ok, answer.text
    return answer.json()


def limited(hub: Hub, name: str, **rates: int) -> str:
    """A new key with rates."""
    made = api(hub, "POST", "/app-keys/", {"name": name, "scopes": ["use"], "rates": rates})
    assert {key: value for key, value in made["rates"].items() if value} == rates
    return str(made["key"])


def test_requests_a_minute_hold_between_workers(hub: Hub) -> None:
    key = limited(hub, "Requests", requests_per_minute=6)
    answers: list[requests.Response] = []

    def call() -> None:
        for _call in range(4):
            answers.append(
                requests.post(  # a connection each, so that both workers answer
                    f"{hub.base}/chat/completions",
                    json={"model": CHAT, "messages": [{"role": "user", "content": "Hello"}]},
                    headers={"Authorization": f"Bearer {key}"},
                    timeout=30,
                )
            )

    callers = [threading.Thread(target=call) for _caller in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 6 + [429] * 10
    refused = next(answer for answer in answers if answer.status_code == 429)
    error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("rate_limited", "rate_limit_error")
    wait = int(refused.headers["retry-after"])
    assert 55 <= wait <= 61
    assert error["message"] == (
        f"This app key may send 6 requests a minute, and has sent 6. Try again in {wait} seconds, "
        "or ask an admin of the workspace for a higher limit."
    )
    assert {
        name: value for name, value in refused.headers.items() if name.startswith("x-modelkeep-l")
    } == {
        "x-modelkeep-limit-scope": "app_key",
        "x-modelkeep-limit-measure": "requests_per_minute",
        "x-modelkeep-limit-amount": "6",
        "x-modelkeep-limit-used": "6",
    }
    assert hub.fake.count == 6, "what is refused reaches no provider"
    record = hub.record(refused)
    assert (record["status"], record["http_status"], record["error_code"]) == (
        "error",
        429,
        "rate_limited",
    )
    assert hub.chat().status_code == 200, "other keys go on"
    with pytest.raises(openai.RateLimitError):
        hub.sdk(key).chat.completions.create(
            model=CHAT, messages=[{"role": "user", "content": "Hello"}]
        )
    message = hub.post(
        "/messages",
        {"model": CHAT, "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]},
        key=key,
        headers={"anthropic-version": "2023-06-01"},
    )
    assert (message.status_code, message.json()["error"]["type"]) == (429, "rate_limit_error")


def test_a_key_asks_what_is_left(hub: Hub) -> None:
    key = limited(hub, "Asking", requests_per_minute=2, calls_at_once=3)

    def asked(key: str) -> Any:
        answer = hub.session.get(
            f"{hub.base}/key", headers={"Authorization": f"Bearer {key}"}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    with hub.compared():
        limits = {limit["measure"]: limit for limit in asked(key)["limits"]}
        assert limits["requests_per_minute"] == {
            "scope": "app_key",
            "measure": "requests_per_minute",
            "amount": 2,
            "used": 0,
            "left": 2,
            "wait": 0,
        }
        for _call in range(2):
            hub.chat(key=key)
        told = asked(key)
        limits = {limit["measure"]: limit for limit in told["limits"]}
        assert (told["name"], told["workspace"]) == ("Asking", hub.server.workspace)
        assert (limits["calls_at_once"]["used"], limits["calls_at_once"]["left"]) == (0, 3)
        assert (limits["requests_per_minute"]["used"], limits["requests_per_minute"]["left"]) == (
            2,
            0,
        )
        assert 50 < limits["requests_per_minute"]["wait"] <= 61
        assert asked(hub.server.app_key)["limits"] == []


def test_tokens_of_answers_count(hub: Hub) -> None:
    key = limited(hub, "Tokens", tokens_per_minute=20)
    first = hub.chat(key=key)
    used = first.json()["usage"]["total_tokens"]
    while hub.chat(key=key).status_code == 200:
        used += first.json()["usage"]["total_tokens"]
        assert used < 200
    refused = hub.chat(key=key)
    assert refused.headers["x-modelkeep-limit-measure"] == "tokens_per_minute"
    assert int(refused.headers["x-modelkeep-limit-used"]) == used
    long = hub.chat(key=key, messages=[{"role": "user", "content": "word " * 100}])
    assert "It never fits" in long.json()["error"]["message"]
    assert long.headers["x-should-retry"] == "false"
    assert "retry-after" not in long.headers


def test_calls_at_once_end_with_the_stream_or_its_reader(hub: Hub) -> None:
    key = limited(hub, "Streams", calls_at_once=1)
    hub.fake.mode = "endless"
    stream = hub.chat(key=key, stream=True, stream_body=True)
    lines = stream.iter_lines()  # a generator that nobody holds closes the connection
    next(lines)
    refused = hub.chat(key=key)
    assert refused.headers["x-modelkeep-limit-measure"] == "calls_at_once"
    assert "may have 1 call under way" in refused.json()["error"]["message"]
    stream.close()  # the reader leaves
    hub.fake.mode = ""
    until = time.monotonic() + 10
    while (answer := hub.chat(key=key)).status_code != 200:
        assert time.monotonic() < until, answer.text
        time.sleep(0.05)
    whole = hub.chat(key=key, stream=True, stream_body=True)
    assert whole.text.rstrip().endswith("[DONE]")
    assert hub.chat(key=key).status_code == 200


def test_the_next_call_follows_a_change(hub: Hub) -> None:
    key = limited(hub, "Changed", requests_per_minute=1)
    assert [hub.chat(key=key).status_code for _call in range(2)] == [200, 429]
    made = next(row for row in api(hub, "GET", "/app-keys/")["results"] if row["name"] == "Changed")
    api(hub, "PATCH", f"/app-keys/{made['id']}/", {"rates": {"requests_per_minute": 2}})
    assert [hub.chat(key=key).status_code for _call in range(2)] == [200, 429]
    api(hub, "PATCH", f"/app-keys/{made['id']}/", {"rates": {}})
    assert hub.chat(key=key).status_code == 200


def test_the_workspace_has_rates_of_all_its_calls(hub: Hub) -> None:
    api(hub, "PATCH", "/workspace/", {"rates": {"requests_per_minute": 1}})
    try:
        keys = [hub.server.app_key, limited(hub, "Another")]
        answers = [hub.chat(key=key) for key in keys]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert answers[1].headers["x-modelkeep-limit-scope"] == "workspace"
    finally:
        api(hub, "PATCH", "/workspace/", {"rates": {}})
    entries = api(hub, "GET", "/audit/")["results"]
    told = [
        entry["details"]["rates"]
        for entry in entries
        if entry["action"] == "workspace.rates_changed"
    ]
    assert told == ["none", {"requests_per_minute": 1}]
