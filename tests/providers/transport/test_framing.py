"""A server that sends framing without end is left, by both transports; work on long replies is
done in a thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest

from providers.declaration.errors import ProviderError
from providers.declaration.spec import Answer, Call, Reply
from providers.transport import sync_client
from providers.transport.async_client import Progress, Upstream
from providers.transport.failures import TransportFailure
from providers.transport.steps import Steps

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LINE = b"X: " + b"a" * 1000 + b"\r\n"
FLOODS = {
    "headers": (OK, LINE),
    "one header": (OK + b"X: ", b"a" * 1000),
    "hundreds": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
    "early hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * 20),
    "extension of a chunk": (CHUNKED + b"2;", b"a" * 1000),
    "extensions of chunks": (CHUNKED, b"1;" + b"a" * 1000 + b"\r\n \r\n"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", LINE),
}
SMALL = CHUNKED + b"1\r\n1\r\n" * 100_000 + b"0\r\n\r\n"


class Flood:
    """A server that sends a beginning and then the same piece until it is left."""

    def __init__(self, begin: bytes, piece: bytes, pieces: int = 100_000) -> None:
        self.begin, self.piece, self.pieces = begin, piece, pieces
        self.sent = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.begin)
            for _number in range(self.pieces):
                writer.write(self.piece)
                self.sent += len(self.piece)
                await writer.drain()
        writer.close()

    async def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        await self.close()


def asked(origin: str) -> Generator[Call, Reply, Answer]:
    reply = yield Call("GET", f"{origin}/x")
    return Answer({"size": len(reply.body), "thread": threading.current_thread().name})


async def ask(origin: str) -> Any:
    upstream = Upstream(allow=frozenset({origin}), connect_timeout=5, idle_timeout=5)
    deadline = time.monotonic() + 20
    steps: Steps[Any] = Steps(
        lambda: asked(origin), errors=lambda reply: None, deadline=deadline, retries=0
    )
    try:
        return await upstream.run(
            steps, owner="t", pool_key="t:1", deadline=deadline, progress=Progress()
        )
    finally:
        await upstream.close()


@pytest.mark.parametrize("name", FLOODS)
def test_the_gateways_transport_leaves(name: str) -> None:
    async def main() -> int:
        flood = Flood(*FLOODS[name])
        async with flood as origin:
            with pytest.raises(ProviderError, match="broke"):
                await ask(origin)
        return flood.sent

    assert asyncio.run(main()) < 20 * 1024 * 1024


@pytest.mark.usefixtures("closed_sessions")
@pytest.mark.parametrize("name", FLOODS)
def test_the_transport_of_checks_leaves(name: str, settings: Any) -> None:
    async def main() -> int:
        flood = Flood(*FLOODS[name])
        async with flood as origin:
            settings.MODELKEEP_EGRESS_ALLOW = [origin]
            with pytest.raises(TransportFailure, match="broke"):
                await asyncio.to_thread(
                    sync_client.send,
                    Call("GET", f"{origin}/x"),
                    pool_key="t:1",
                    deadline=time.monotonic() + 20,
                )
        return flood.sent

    assert asyncio.run(main()) < 20 * 1024 * 1024


def test_chunks_of_one_byte_are_no_flood() -> None:
    async def main() -> Any:
        async with Flood(SMALL, b"", 0) as origin:
            return await ask(origin)

    assert asyncio.run(main()).body["size"] == 100_000


def test_a_long_reply_is_worked_on_in_a_thread() -> None:
    async def main(size: int) -> Any:
        head = OK + b"Content-Length: %d\r\n\r\n" % size
        async with Flood(head + b" " * size, b"", 0) as origin:
            return await ask(origin)

    assert asyncio.run(main(1000)).body["thread"] == threading.current_thread().name
    assert asyncio.run(main(1_000_000)).body["thread"].startswith("large-body")
