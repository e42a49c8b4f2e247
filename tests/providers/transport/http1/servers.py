"""A server that plays bytes, and a pool that calls it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from providers.declaration.spec import Call
from providers.transport.http1.pool import Opener, Pool
from providers.transport.http1.request import target_of
from providers.transport.http1.response import Response

SECONDS = 5.0


@dataclass
class Script:
    """What the server does.

    Args:
        replies: To each request of a connection in turn, in pieces that are sent one by one.
        closes: Whether it closes the connection after the last reply.
        greets: Sent before it is asked.
    """

    replies: list[list[bytes]]
    closes: bool = False
    greets: bytes = b""
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    tasks: list[asyncio.Task[None] | None] = field(default_factory=list)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.append(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self.serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(self.greets)
        for pieces in self.replies:
            await self._take(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        if not self.closes:
            await reader.read()

    async def _take(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b": ")
            if name.lower() == b"content-length":
                self.bodies.append(await reader.readexactly(int(value)))


@dataclass
class Hub:
    """A pool, and where its server is."""

    pool: Pool
    origin: str
    allow: frozenset[str]

    async def ask(self, call: Call, *, seconds: float = SECONDS) -> tuple[int, bytes]:
        """Return the status and the whole body of the reply."""
        target = target_of(call.url, self.allow)
        response = await self.pool.request(call, target, deadline=time.monotonic() + seconds)
        try:
            pieces = []
            while piece := await response.readany():
                pieces.append(piece)
            return response.status, b"".join(pieces)
        finally:
            response.release()

    async def get(self, path: str = "/x", *, seconds: float = SECONDS) -> tuple[int, bytes]:
        return await self.ask(Call("GET", self.origin + path), seconds=seconds)


@asynccontextmanager
async def playing(
    script: Script, *, idle_timeout: float = SECONDS, keep_alive: float = 4.0
) -> AsyncIterator[Hub]:
    """Serve the script on loopback."""
    server = await asyncio.start_server(script.accept, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    allow = frozenset({origin})
    opener = Opener(allow=allow, connect_timeout=SECONDS, idle_timeout=idle_timeout)
    pool = Pool(opener, keep_alive)
    try:
        yield Hub(pool, origin, allow)
    finally:
        pool.close()
        await opener.names.close()
        server.close()
        await asyncio.gather(*filter(None, script.tasks))


async def response_of(hub: Hub) -> Response:
    """Return the reply to a GET, its content unread."""
    call = Call("GET", f"{hub.origin}/x")
    return await hub.pool.request(
        call, target_of(call.url, hub.allow), deadline=time.monotonic() + SECONDS
    )
