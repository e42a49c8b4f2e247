"""The server stops while calls are under way: no line is cut without a word, and the ledger tells
the truth.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import KEY, Hub, running_hub
from tests.gateway.dataplane.test_garbage import call, gateway_to, serving
from tests.gateway.dataplane.test_relay import Ledger

pytestmark = pytest.mark.slow  # a server runs

OWN, TRIAL = "openai_compatible/gpt-4o-mini", "openai/gpt-3.5-turbo"
GRACE = 3  # seconds; a third of them for the end itself


@pytest.fixture(scope="module")
def stopping() -> Iterator[Hub]:
    with Running(FakeProvider()) as fake:
        seconds = {"GRACEFUL_TIMEOUT": str(GRACE), "SHUTDOWN_DELAY": "1"}
        for hub in running_hub(fake, MODELKEEP_CALL_DEADLINE="60", **seconds):
            values = {"api_key": KEY}
            base = f"{fake.url}/v1"
            hub.seed(
                credentials=[
                    {"provider": "openai_compatible", "name": "Lab", "values": values}
                    | {"base_url": base}
                ],
                models=[
                    {
                        "provider": "openai_compatible",
                        "model": "gpt-4o-mini",
                        "type": "reasoning",
                    }
                ],
                plan={
                    "plan": "openai",
                    "limit": 100,
                    "models": {"gpt-3.5-turbo": 1},
                    "values": values | {"base_url": fake.url},
                },
            )
            yield hub


class Caller(threading.Thread):
    """A call that is under way when the server stops."""

    def __init__(self, hub: Hub, model: str, *, stream: bool) -> None:
        super().__init__()
        self.request_id = f"stopped-{time.monotonic_ns()}"
        self._hub, self._model, self._stream = hub, model, stream
        self.response: requests.Response | None = None
        self.lines: list[str] = []
        self.begun = threading.Event()
        self.start()

    def run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            self.response = session.post(
                f"{self._hub.base}/chat/completions",
                json={
                    "model": self._model,
                    "messages": [{"role": "user", "content": "Hello"}],
                    "stream": self._stream,
                },
                headers={
                    "Authorization": f"Bearer {self._hub.server.app_key}",
                    "X-Request-Id": self.request_id,
                },
                stream=True,
                timeout=30,
            )
            for line in self.response.iter_lines(decode_unicode=True):  # raises for a cut line
                self.lines.append(line)
                self.begun.set()

    def error(self) -> dict[str, Any]:
        """The error that the answer ended with."""
        self.join(20)
        assert not self.is_alive()
        last = [line for line in self.lines if line][-1].removeprefix("data: ")
        error: dict[str, Any] = json.loads(last)["error"]
        return error


def wait_for_calls(hub: Hub, count: int) -> None:
    until = time.monotonic() + 20
    while hub.fake.count < count:
        assert time.monotonic() < until, "the provider was not called"
        time.sleep(0.02)


def stop_and_start(hub: Hub) -> None:
    hub.server.stop()
    hub.server.start()


def test_long_streams_end_with_an_error_and_are_charged(stopping: Hub) -> None:
    fake = stopping.fake
    fake.reset()
    fake.delay = 0.4  # 20 pieces take 8 seconds
    limit, settled, held = stopping.pool()
    callers = {model: Caller(stopping, model, stream=True) for model in (OWN, TRIAL)}
    assert all(caller.begun.wait(20) for caller in callers.values())
    stop_and_start(stopping)
    for model, caller in callers.items():
        assert caller.error()["code"] == "server_stopping"
        assert "event: error" in caller.lines
        assert caller.response is not None
        assert caller.response.status_code == 200
        [record] = stopping.records(caller.request_id)
        assert (record["status"], record["error_code"]) == ("error", "server_stopping")
        assert record["credits"] == (1 if model == TRIAL else 0)
        assert (record["usage_source"], record["completion_tokens"] > 0) == ("estimated", True)
    assert stopping.pool() == (limit, settled + 1, held)
    stopping.audit()


def test_calls_that_wait_for_their_provider_are_refused(stopping: Hub) -> None:
    stopping.fake.reset()
    stopping.fake.mode = "hang"
    before = stopping.pool()
    callers = [
        Caller(stopping, model, stream=stream) for model in (OWN, TRIAL) for stream in (False, True)
    ]
    wait_for_calls(stopping, len(callers))
    stop_and_start(stopping)
    for caller in callers:
        assert caller.error()["code"] == "server_stopping"
        assert caller.response is not None
        assert (caller.response.status_code, caller.response.headers["retry-after"]) == (503, "1")
        [record] = stopping.records(caller.request_id)
        assert (record["status"], record["http_status"], record["credits"]) == ("error", 503, 0)
        assert record["error_code"] == "server_stopping"
    assert stopping.pool() == before
    stopping.audit()


def test_a_short_stream_comes_to_its_end(stopping: Hub) -> None:
    stopping.fake.reset()
    stopping.fake.delay = 0.03
    caller = Caller(stopping, OWN, stream=True)
    assert caller.begun.wait(20)
    stop_and_start(stopping)
    caller.join(20)
    assert caller.lines[-2:] == ["data: [DONE]", ""]
    [record] = stopping.records(caller.request_id)
    assert (record["status"], record["usage_source"]) == ("ok", "reported")


def test_it_says_that_it_stops_before_its_socket_closes(stopping: Hub) -> None:
    stopping.fake.reset()
    stopping.fake.delay = 0.0
    kept = stopping.chat(OWN)
    assert (kept.status_code, kept.headers.get("connection")) == (200, None)
    os.kill(stopping.server.pid, signal.SIGTERM)
    ready = requests.get(f"{stopping.server.url}/readyz", timeout=10)
    while ready.status_code == 200:  # the signal is on its way
        ready = requests.get(f"{stopping.server.url}/readyz", timeout=10)
    assert ready.json()["checks"] == {"stopping": "The server is stopping."}
    last = stopping.chat(OWN)
    assert (last.status_code, last.headers.get("connection")) == (200, "close")
    assert requests.get(f"{stopping.server.url}/healthz", timeout=10).status_code == 200
    stop_and_start(stopping)
    assert stopping.chat(OWN).headers.get("connection") is None
    log = stopping.server.log.read_text(errors="replace")
    for answer in (kept, last):
        assert stopping.record(answer)["status"] == "ok"
        assert f"[{answer.headers['x-request-id']}] POST /v1/" in log


def test_nothing_in_the_log_is_an_error_of_ours(stopping: Hub) -> None:
    log = stopping.server.log.read_text(errors="replace")
    assert "Traceback" not in log, log[-3000:]


@pytest.mark.one_database
@pytest.mark.parametrize("when", [b"[DONE]", b""], ids=["last event", "end of the body"])
def test_a_server_that_stops_after_the_end_was_recorded_delivers_it(when: bytes) -> None:
    sent: list[bytes] = []
    ledger = Ledger()

    async def send(message: Any) -> None:
        body = message.get("body")
        is_end = body is not None and when in body and (body or not message.get("more_body"))
        if is_end and ledger.ends and (task := asyncio.current_task()) and not task.cancelling():
            task.cancel()
            await asyncio.sleep(0)  # the client reads slowly: nothing is written
        sent.append(body or b"")

    async def work() -> None:
        async with serving() as url, gateway_to(url, ledger) as gateway:
            await call(gateway, "a stream", stream=True, send=send)

    asyncio.run(work())
    assert [end.record.status for end in ledger.ends] == ["ok"]
    events = b"".join(sent)
    assert events.count(b"data: [DONE]") == 1
    assert b"event: error" not in events
