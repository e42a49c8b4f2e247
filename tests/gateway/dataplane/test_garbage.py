"""A call leaves nothing that only the garbage collector can free: it seldom comes by, and what it
has not freed yet may hold a body of many megabytes.
"""

from __future__ import annotations

import asyncio
import gc
import json
import types
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Final

import pytest

from gateway.dataplane.app import Gateway
from gateway.dataplane.relay import Relay
from gateway.dataplane.routing.routes import Routes
from gateway.dataplane.routing.targets import Route, Source, Target
from models_catalog.resolution.entries import PriceHistory
from providers.declaration import registry
from providers.declaration.spec import Access, ModelFacts, Operation
from providers.transport.async_client import Upstream
from tests.gateway.dataplane.test_relay import Ledger, call_of

pytestmark = [pytest.mark.one_database, pytest.mark.slow]  # it collects after each call

OURS: Final = {"core", "gateway", "providers"}
HEAD = b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Type: %b\r\n\r\n"
EVENTS = HEAD % (b"200 OK", b"text/event-stream")
JSON = HEAD % (b"200 OK", b"application/json")
TEXT = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
PROBLEM = b'{"error":{"message":"no"}}'
ANSWERS = {
    "a stream": EVENTS + TEXT + END,
    "a whole answer": JSON + b'{"choices":[{"message":{"content":"a"}}]}',
    "an error": HEAD % (b"500 X", b"application/json") + PROBLEM,
    "an error at first": EVENTS + b"data: " + PROBLEM + b"\n\n",
    "an error in mid-stream": EVENTS + TEXT + b"data: " + PROBLEM + b"\n\n",
    "a broken stream": EVENTS + TEXT,
    "a broken answer": JSON.replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n") + b"{",
    "no JSON": JSON + b"{",
    "much that is no JSON": JSON + b'{"a":' * 50_000,
    "an unknown encoding": JSON.replace(b"\r\n\r\n", b"\r\nContent-Encoding: zip\r\n\r\n"),
    "a long header": b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 500_000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 50_000,
    "no HTTP": b"\0" * 100,
    "nothing": b"",
    "silence": EVENTS,
    "silence after a text": EVENTS + TEXT,
}


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """A server of ANSWERS, which a request names; its base URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        name = json.loads(await reader.readexactly(length))["messages"][0]["content"]
        writer.write(ANSWERS[name])
        if name.startswith("silence"):
            await reader.read()  # until the caller leaves
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class OneRoute(Routes):
    """All calls go to one server."""

    def __init__(self, url: str) -> None:
        super().__init__()
        access = Access({}, base_url=f"{url}/v1"), ()
        source = Source("credential:odd", "a", lambda: access, opened=access)
        provider = registry.get("openai_compatible")
        target = Target(provider, "m", ModelFacts(), PriceHistory(), (source,))
        self._route = Route("", (target,))

    async def find(self, *_call: object) -> Route:
        return self._route


async def call(gateway: Gateway, name: str, *, stream: bool, send: Any = None) -> None:
    """Make a call, whose client leaves if there is nothing but silence."""
    body = {"model": "m", "messages": [{"role": "user", "content": name}], "stream": stream}
    came, sent = asyncio.Event(), [json.dumps(body).encode()]

    async def receive() -> dict[str, Any]:
        if sent:
            return {"type": "http.request", "body": sent.pop()}
        if name == "silence":
            await asyncio.sleep(0.05)
        else:
            await came.wait()
        return {"type": "http.disconnect"}

    async def note(message: dict[str, Any]) -> None:
        if name == "silence after a text" and message.get("body"):
            came.set()

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    await gateway.call_as(call_of().request.principal, Operation.CHAT, scope, receive, send or note)


@contextmanager
def garbage() -> Iterator[list[Any]]:
    """What only the garbage collector would free of what the block makes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of what earlier tests left
        gc.collect()
    gc.freeze()  # what is there by now is not looked through again
    gc.disable()
    found: list[Any] = []
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def is_ours(thing: Any) -> bool:
    if isinstance(thing, types.FrameType):
        return thing.f_globals["__name__"].partition(".")[0] in OURS
    kind = thing if isinstance(thing, types.FunctionType) else type(thing)
    return str(kind.__module__).partition(".")[0] in OURS


@asynccontextmanager
async def gateway_to(url: str, store: Any) -> AsyncIterator[Gateway]:
    """A gateway whose calls all go to one server."""
    upstream = Upstream(allow=frozenset({url}), connect_timeout=5, idle_timeout=5)
    relay = Relay(store=store, upstream=upstream, routes=OneRoute(url), deadline=60)
    runtime: Any = SimpleNamespace(
        relay=relay, calls=set(), ready=lambda: asyncio.sleep(0), store=store, tracing=None
    )
    yield Gateway(runtime, ContextVar("id", default=""))
    await upstream.close()


async def left_by(names: list[str]) -> list[str]:
    """Return what calls leave to the garbage collector."""
    store = Ledger()
    async with serving() as url, gateway_to(url, store) as gateway:
        left = []
        for name in names:
            for stream in (True, False):
                if not stream and name == "silence after a text":
                    continue
                with garbage() as found:
                    await call(gateway, name, stream=stream)
                    await asyncio.sleep(0)
                ours = {repr(thing)[:150] for thing in found if is_ours(thing)}
                left += [f"{name}, {stream}: {thing}" for thing in sorted(ours)]
        assert len(store.ends) > len(names), "the calls were made"
        return left


def test_a_call_leaves_no_garbage() -> None:
    assert asyncio.run(left_by(list(ANSWERS))) == []
