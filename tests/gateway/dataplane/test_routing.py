"""Which target serves a call: fallbacks, standby credentials, limits of app keys, and what is
remembered of failures.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import CHAT, KEY, Hub, running_hub

pytestmark = pytest.mark.slow  # a server runs

SECOND_KEY = "sk-canary7f3a-second-0123456789abcdef"


@pytest.fixture(scope="module")
def routed() -> Iterator[Hub]:
    """Two credentials at OpenAI and a default with a fallback at Anthropic."""
    with Running(FakeProvider()) as fake:
        for hub in running_hub(fake):
            hub.seed(
                credentials=[
                    {
                        "provider": "openai",
                        "name": "Main",
                        "values": {"api_key": KEY},
                        "base_url": fake.url,
                    },
                    {
                        "provider": "openai",
                        "name": "Spare",
                        "values": {"api_key": SECOND_KEY},
                        "base_url": fake.url,
                    },
                    {
                        "provider": "anthropic",
                        "name": "Claude",
                        "values": {"api_key": KEY},
                        "base_url": fake.url,
                    },
                    {
                        "provider": "openai_compatible",
                        "name": "Lab",
                        "values": {"api_key": KEY},
                        "base_url": f"{fake.url}/v1",
                    },
                ],
                models=[{"provider": "openai_compatible", "model": "own", "type": "reasoning"}],
                defaults={"reasoning": [CHAT, "anthropic/claude-haiku-4-5"]},
            )
            yield hub


@pytest.fixture
def ready(routed: Hub) -> Hub:
    """Every credential rested."""
    routed.fake.reset()
    routed.server.stop()
    routed.execute(
        "UPDATE providers_providercredential SET state = 'connected', resting_until = NULL"
    )
    routed.server.start()
    return routed


def test_the_next_credential_and_then_the_fallback(ready: Hub) -> None:
    ready.fake.script("status:429:30", "status:500")
    response = ready.chat(None)
    assert response.status_code == 200
    assert response.headers["x-modelkeep-provider"] == "anthropic"
    assert response.headers["x-modelkeep-source"] == "credential:Claude"
    assert response.headers["x-modelkeep-attempts"] == "3"
    record = ready.record(response)
    assert (record["provider"], record["attempts"], record["status"]) == ("anthropic", 3, "ok")
    failures = [entry.get("message") for entry in record["attempt_log"]]
    assert [bool(words) for words in failures] == [True, True, False]
    assert record["error_message"] == failures[1]
    assert [call.path for call in ready.fake.calls] == [
        "/v1/chat/completions",
        "/v1/chat/completions",
        "/v1/messages",
    ]
    # The throttled credential rests now: the spare one is asked first.
    assert ready.chat(CHAT).headers["x-modelkeep-source"] == "credential:Spare"
    until = time.monotonic() + 5
    while not ready.rows(
        "SELECT 1 FROM providers_providercredential WHERE name = 'Main' AND state = 'cooling'"
    ):
        assert time.monotonic() < until, "the state was not written"
        time.sleep(0.05)


@pytest.mark.one_database
def test_a_fallback_may_speak_the_callers_format(ready: Hub) -> None:
    """The first target's request is converted, the second one's passed on."""
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "later": {"x": 1.0}}
    for stream in (False, True):
        ready.fake.reset()
        ready.fake.script("status:500", "status:500")
        response = ready.post("/messages", {**body, "stream": stream})
        assert response.headers["x-modelkeep-attempts"] == "3"
        *converted, passed = ready.fake.calls
        assert [call.path for call in converted] == ["/v1/chat/completions"] * 2
        assert "later" not in converted[0].json()
        assert (passed.path, passed.json()["later"]) == ("/v1/messages", {"x": 1.0})
        assert ("event: message_stop" in response.text) is stream
        assert ready.record(response)["completion_tokens"] > 0


@pytest.mark.one_database
def test_a_server_without_the_callers_format_is_one_attempt(routed: Hub) -> None:
    routed.fake.reset()
    body = {"model": "openai_compatible/own", "input": "Hi", "store": False}
    responses = [
        routed.post("/responses", {**body, "stream": stream}) for stream in (False, True, False)
    ]
    paths = [call.path for call in routed.fake.calls]
    assert paths == ["/v1/responses", *["/v1/chat/completions"] * 3]
    for response in responses:
        assert response.headers["x-modelkeep-attempts"] == "1"
        [record] = routed.records(response.headers["x-request-id"])
        assert (record["status"], record["attempts"]) == ("ok", 1)


def test_a_rejected_key_is_noted(ready: Hub) -> None:
    ready.fake.script("status:401")
    assert ready.chat(CHAT).headers["x-modelkeep-source"] == "credential:Spare"
    until = time.monotonic() + 5
    while not ready.rows(
        "SELECT 1 FROM providers_providercredential WHERE name = 'Main' AND state = 'rejected'"
    ):
        assert time.monotonic() < until, "the state was not written"
        time.sleep(0.05)


def test_a_bad_request_falls_back_to_nobody(ready: Hub) -> None:
    ready.fake.mode = "status:400"
    response = ready.chat(None)
    assert response.status_code == 400
    assert ready.fake.count == 1


def test_a_stream_falls_back_before_its_first_piece_only(ready: Hub) -> None:
    ready.fake.script("break:0")
    response = ready.chat(None, stream=True)
    assert response.headers["x-modelkeep-attempts"] == "2"
    assert response.text.endswith("data: [DONE]\n\n")
    ready.fake.reset()
    ready.fake.script("break:4")
    response = ready.chat(None, stream=True)
    assert "event: error" in response.text
    assert ready.fake.count == 1


def test_an_app_keys_limits_hold_for_fallbacks_too(ready: Hub) -> None:
    row = ready.app_key("narrow", scopes="use")
    ready.server.manage("shell", "-c", _LIMIT)
    ready.fake.mode = "status:500"
    response = ready.chat(None, key=row)
    assert response.status_code == 502
    assert {call.path for call in ready.fake.calls} == {"/v1/chat/completions"}
    refused = ready.chat("anthropic/claude-haiku-4-5", key=row)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "key_scope")
    ids = ready.session.get(
        ready.base + "/models", headers={"Authorization": f"Bearer {row}"}, timeout=10
    ).json()["data"]
    assert [one["id"] for one in ids] == [CHAT]


_LIMIT = f"""
from tenants.crypto import digest_key
from tenants.models import AppKey
from tenants.scope import all_tenants
with all_tenants():
    row = AppKey.objects.get(name="narrow")
    row.allowed_models = ["{CHAT}"]
    digest_key.sign(row, digest_key.load())
    row.save()
"""


def test_revocation_acts_on_the_next_request(ready: Hub) -> None:
    key = ready.app_key("gone", scopes="use")
    assert ready.chat(CHAT, key=key).status_code == 200
    ready.server.manage("shell", "-c", _REVOKE)
    assert ready.chat(CHAT, key=key).status_code == 401


_REVOKE = """
from django.utils import timezone
from tenants.models import AppKey
from tenants.scope import all_tenants
with all_tenants():
    AppKey.objects.filter(name="gone").update(revoked=timezone.now())
"""


# ------------------------------------------------------------------------------- clients that leave


def leave(hub: Hub, body: bytes, *, after: bytes = b"") -> str:
    """Send a call and close the connection, at once or when `after` was read; the call's request
    id.
    """
    request_id = f"leaver-{secrets.token_hex(8)}"
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        f"{hub.server.app_key}\r\nX-Request-Id: {request_id}\r\n"
    )
    with socket.create_connection(("127.0.0.1", hub.server.port), timeout=10) as connection:
        connection.sendall(
            f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        seen = b""
        while after and after not in seen:
            seen += connection.recv(4096)
        if not after:
            time.sleep(0.5)
    return request_id


@pytest.mark.parametrize("model", [CHAT, "anthropic/claude-haiku-4-5"])
def test_a_client_that_leaves_a_stream_stops_it_at_the_provider(ready: Hub, model: str) -> None:
    ready.fake.script("drip:0.001")
    body = (
        b'{"model": "%b", "stream": true, "messages": [{"role": "user", "content": "x"}]}'
        % model.encode()
    )
    record = ready.wait_for_record(leave(ready, body, after=b"word5 "))
    assert (record["status"], record["usage_source"]) == ("cancelled", "estimated")
    assert record["prompt_tokens"] > 0
    assert record["completion_tokens"] > 5, "what went out, not what the provider began with"
    until = time.monotonic() + 5
    while ready.fake.open_streams:
        assert time.monotonic() < until, "the stream goes on at the provider"
        time.sleep(0.05)


def test_a_client_that_leaves_before_the_answer(ready: Hub) -> None:
    ready.fake.script("slow:3")
    body = b'{"model": "%b", "messages": [{"role": "user", "content": "xy"}]}' % CHAT.encode()
    record = ready.wait_for_record(leave(ready, body))
    assert (record["status"], record["usage_source"], record["credits"]) == ("cancelled", "none", 0)


def test_many_streams_at_once(ready: Hub) -> None:
    texts: list[str] = []

    def read() -> None:
        texts.append(ready.chat(CHAT, stream=True).text)

    threads = [threading.Thread(target=read) for _number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 40
    assert all(text.endswith("data: [DONE]\n\n") and "word19" in text for text in texts)
