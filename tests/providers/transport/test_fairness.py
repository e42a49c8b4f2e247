"""Nothing that a server sends keeps the event loop from its other work for long."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import pytest

from providers.declaration import registry
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Access, ModelFacts, Operation, Request
from providers.transport.async_client import Progress, Stream, Upstream
from providers.transport.steps import Steps, exchange_for
from tests.holding import longest_turn

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

MOST: Final = 0.05  # seconds of processor time in one turn of the loop
MIB: Final = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: "
EVENTS, JSON = HEAD + b"text/event-stream\r\n\r\n", HEAD + b"application/json\r\n\r\n"
CHUNKED = HEAD + b"text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(**changes: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None} | changes
    return json.dumps({"id": "x", "model": "m", "choices": [choice]}).encode()


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def tool_call(text: str) -> bytes:
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": text}}
    return chunk(delta={"tool_calls": [call]})


CHOICES = json.dumps({"choices": [{"index": n, "delta": {}} for n in range(10_000)]}).encode()
WHOLE = b'{"choices":[{"message":{"content":"%b"}}]}'
ANSWERS: dict[str, Callable[[], bytes]] = {  # made when they are sent: some are long
    "text": lambda: EVENTS + event(chunk()) * 20_000,
    "empty events": lambda: EVENTS + event(b'{"choices":[]}') * 50_000,
    "events that are no JSON": lambda: EVENTS + event(b"1") * 100_000,
    "comments": lambda: EVENTS + b":\n\n" * 500_000,
    "names of an event whose data may go on": lambda: (
        EVENTS + b'data: {"a":"%b" x}\n' % (b"a" * 60_000) + b"event:\n" * 200_000
    ),
    "very many lines of an event": lambda: EVENTS + b"data:\n" * 500_000,
    "blank lines": lambda: EVENTS + b"\n" * MIB,
    "a byte in each chunk": lambda: CHUNKED + b"1\r\na\r\n" * 200_000,
    "a long line": lambda: EVENTS + event(chunk(delta={"content": "a" * 7 * MIB})),
    "a long line that is not ASCII": lambda: (
        EVENTS + event(b'{"choices":[{"delta":{"content":"%b"}}]}' % ("中" * 2 * MIB).encode())
    ),
    "a line that is too long": lambda: EVENTS + b"data: " + b"a" * 9 * MIB,
    "lines just below what is long": lambda: (
        EVENTS + event(chunk(delta={"content": "a" * 120_000})) * 40
    ),
    "long arguments": lambda: EVENTS + event(tool_call("a" * 7 * MIB)),
    "arguments in very many pieces": lambda: EVENTS + event(tool_call("a")) * 20_000,
    "very many choices": lambda: EVENTS + event(CHOICES) * 10,
    "choices by the hundred": lambda: EVENTS + event(CHOICES[:130_000]) * 20,
    "deep JSON": lambda: JSON + b'{"a":' * 2 * MIB,
    "deep lists in an event": lambda: EVENTS + event(b"[" * 100_000) * 4,
    "very many values": lambda: JSON + b'{"choices":[' + b"1," * 4 * MIB + b"1]}",
    "a long answer": lambda: JSON + WHOLE % (b"a" * 15 * MIB),
    "a long thought": lambda: JSON + WHOLE % (b" " * 7 * MIB),
    "a long answer of escapes": lambda: JSON + WHOLE % (b"\\n" * 7 * MIB),
    "a gzip bomb": lambda: (
        HEAD
        + b"application/json\r\nContent-Encoding: gzip\r\n\r\n"
        + gzip.compress(b" " * 64 * MIB)
    ),
    "long headers": lambda: b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000,
    "one long header": lambda: b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * MIB,
}


@contextmanager
def serving(answer: bytes) -> Iterator[str]:
    """A server in a thread of its own that sends `answer` and ends; its base URL."""
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(_cancelled())
        loop.close()


async def _cancelled() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()  # type: ignore[union-attr]  # none is None
    await asyncio.gather(*tasks, return_exceptions=True)  # type: ignore[arg-type]  # none is None


async def read(upstream: Upstream, url: str, *, stream: bool) -> None:
    provider = registry.get("openai_compatible")
    request = Request(Operation.CHAT, "m", {"messages": [], "stream": stream}, stream)
    make = exchange_for(provider, request, Access({}, base_url=f"{url}/v1"), ModelFacts())
    steps: Steps[Any] = Steps(
        make, errors=provider.errors, deadline=asyncio.get_running_loop().time() + 20
    )
    with suppress(ProviderError):
        result = await upstream.run(
            steps,
            pool_key="a",
            owner="a",
            deadline=asyncio.get_running_loop().time() + 20,
            progress=Progress(),
        )
        if isinstance(result, Stream):
            try:
                while not result.ended:
                    await result.read()
            finally:
                result.close()


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Import what the first call imports."""
    with serving(ANSWERS["deep lists in an event"]()) as url:
        asyncio.run(longest(url))


async def longest(url: str) -> float:
    """Return the longest turn of the loop while a stream and a whole answer are read."""
    upstream = Upstream(allow=frozenset({url}), connect_timeout=5, idle_timeout=5)

    async def both() -> None:
        for stream in (True, False):
            await read(upstream, url, stream=stream)

    try:
        return await longest_turn(both())
    finally:
        await upstream.close()


@pytest.mark.parametrize("name", ANSWERS)
def test_no_answer_holds_the_event_loop(name: str) -> None:
    with serving(ANSWERS[name]()) as url:
        assert asyncio.run(longest(url)) < MOST
