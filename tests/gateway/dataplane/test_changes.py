"""Whatever is changed in a workspace is in force with the next call, in every process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import CHAT, KEY, Hub, running_hub

pytestmark = pytest.mark.slow  # a server runs

CALLS = 8  # at once, each on a connection of its own, so that both processes get some
NEW_KEY = "sk-canary7f3a-replaced-0123456789abcdef"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Running(FakeProvider()) as fake:
        for hub in running_hub(fake, workers=2):
            credential = {"provider": "openai", "name": "Main", "values": {"api_key": KEY}}
            hub.seed(
                credentials=[credential | {"base_url": fake.url}], defaults={"reasoning": [CHAT]}
            )
            yield hub


def calls(hub: Hub, model: str | None, key: str) -> list[requests.Response]:
    """Make calls at once."""
    headers = {"Authorization": f"Bearer {key}"}
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    url = f"{hub.base}/chat/completions"

    def call(_number: int) -> requests.Response:
        return requests.post(url, json=body, headers=headers, timeout=30)

    with ThreadPoolExecutor(CALLS) as threads:
        return list(threads.map(call, range(CALLS)))


def statuses(hub: Hub, model: str | None = CHAT, key: str = "") -> set[int]:
    return {response.status_code for response in calls(hub, model, key or hub.server.app_key)}


def ask(hub: Hub, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {hub.server.app_key}"}
    url = f"{hub.server.url}/api/v1{path}"
    response = requests.request(method, url, json=body, headers=headers, timeout=30)
    assert response.status_code < 300, response.text
    return response.json() if response.content else None


def test_a_revoked_key(hub: Hub) -> None:
    key = hub.app_key("gone")
    assert statuses(hub, key=key) == {200}
    [row] = [row for row in ask(hub, "GET", "/app-keys/")["results"] if row["name"] == "gone"]
    ask(hub, "DELETE", f"/app-keys/{row['id']}/")
    assert statuses(hub, key=key) == {401}


def test_a_model_that_is_switched_off_and_on(hub: Hub) -> None:
    assert statuses(hub) == {200}
    ask(hub, "PATCH", f"/models/{CHAT}/", {"enabled": False})
    assert statuses(hub) == {404}
    ask(hub, "PATCH", f"/models/{CHAT}/", {"enabled": True})
    assert statuses(hub) == {200}


def test_a_replaced_credential(hub: Hub) -> None:
    assert statuses(hub) == {200}
    [row] = ask(hub, "GET", "/providers/openai/credentials/")["results"]
    values = {"api_key": NEW_KEY, "base_url": hub.fake.url}
    ask(hub, "PATCH", f"/providers/openai/credentials/{row['id']}/", {"values": values})
    hub.fake.calls.clear()
    assert statuses(hub) == {200}
    sent = {call.headers["authorization"] for call in hub.fake.calls if call.method == "POST"}
    assert sent == {f"Bearer {NEW_KEY}"}


def test_another_default_model(hub: Hub) -> None:
    assert statuses(hub, None) == {200}
    ask(hub, "PUT", "/default-models/reasoning/", {"model": "openai/gpt-4o", "fallbacks": []})
    answers = calls(hub, None, hub.server.app_key)
    assert {answer.headers["x-modelkeep-model"] for answer in answers} == {"gpt-4o"}


def test_a_rejected_key_that_is_replaced_is_used_first_again(hub: Hub) -> None:
    """Its rest is forgotten with it, also where it was noted."""
    spare = {"provider": "openai", "name": "Spare", "values": {"api_key": KEY}}
    hub.seed(credentials=[spare | {"base_url": hub.fake.url}])
    hub.fake.script(*["status:401"] * CALLS)
    calls(hub, CHAT, hub.server.app_key)
    hub.fake.script()
    rows = ask(hub, "GET", "/providers/openai/credentials/")["results"]
    [main] = [row for row in rows if row["name"] == "Main"]
    values = {"api_key": NEW_KEY, "base_url": hub.fake.url}
    ask(hub, "PATCH", f"/providers/openai/credentials/{main['id']}/", {"values": values})
    answers = calls(hub, CHAT, hub.server.app_key)
    assert {answer.headers["x-modelkeep-source"] for answer in answers} == {"credential:Main"}
