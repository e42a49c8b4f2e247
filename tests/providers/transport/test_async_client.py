"""The asynchronous transport against a socket: waiting, asking on after a stream, ending work that
was given up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from core.asgi.large_bodies import LARGE
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Answer, Call, Frame, Reply, Usage
from providers.transport.async_client import Progress, Stream, Upstream
from providers.transport.steps import Steps


class Work:
    """A server that does one job: POST /work, GET /work until it is done, GET /stream, POST
    /cancel.
    """

    def __init__(self, polls: int = 2) -> None:
        self.polls = polls
        self.seen: list[str] = []
        self.cancelled = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while line := await reader.readline():
            method, path, _version = line.decode().split()
            while (await reader.readline()).strip():
                pass
            self.seen.append(f"{method} {path}")
            await self.answer(f"{method} {path}", writer)
            await writer.drain()

    async def close(self) -> None:
        for writer in self.writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def answer(self, asked: str, writer: asyncio.StreamWriter) -> None:
        if asked == "GET /stream":
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
                b"chunked\r\n\r\n"
            )
            writer.write(b"5\r\nhello\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.write(b"5\r\n over\r\n0\r\n\r\n")
            return
        if asked == "GET /hang":
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
                b"chunked\r\n\r\n5\r\nhello\r\n"
            )
            return
        if asked == "POST /cancel":
            self.cancelled.set()
        self.polls -= asked == "GET /work"
        body = b'{"done":true}' if self.polls <= 0 else b'{"done":false}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )


class Told:
    """A decoder whose usage comes from a call after the stream."""

    def __init__(self, origin: str) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.output_characters = 0
        self.done = False
        self.next_call: Call | None = None
        self._origin = origin

    def feed(self, data: bytes) -> Sequence[Frame]:
        if b"over" in data:
            self.done, self.next_call = True, Call("GET", f"{self._origin}/work", delay=0.01)
        return [Frame(data, content=True)]

    def finish(self) -> Sequence[Frame]:
        return []

    def answered(self, reply: Reply) -> Sequence[Frame]:
        self.next_call = (
            None if b"true" in reply.body else Call("GET", f"{self._origin}/work", delay=0.01)
        )
        self.usage = Usage(1, 2)
        return [Frame(reply.body, usage_only=True)]


def play(scene: Callable[[Work, Upstream, str], Awaitable[None]], *, polls: int = 2) -> Work:
    async def main() -> Work:
        work = Work(polls)
        server = await asyncio.start_server(work.serve, "127.0.0.1", 0)
        origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        upstream = Upstream(allow=frozenset({origin}), connect_timeout=5, idle_timeout=5)
        try:
            await scene(work, upstream, origin)
        finally:
            await upstream.close()
            server.close()
            await work.close()
        return work

    return asyncio.run(main())


def steps_of(make: Any, *, seconds: float = 5.0, size: int = 0) -> Steps[Any]:
    return Steps(make, errors=lambda reply: None, deadline=time.monotonic() + seconds, size=size)


async def run(
    upstream: Upstream,
    make: Any,
    *,
    seconds: float = 5.0,
    size: int = 0,
    owner: str = "t",
    pool_key: str = "t:1",
) -> Any:
    deadline = time.monotonic() + seconds
    return await upstream.run(
        steps_of(make, seconds=seconds, size=size),
        owner=owner,
        pool_key=pool_key,
        deadline=deadline,
        progress=Progress(),
    )


def polled(origin: str) -> Generator[Call, Reply, Answer]:
    yield Call("POST", f"{origin}/work")
    while True:
        reply = yield Call(
            "GET", f"{origin}/work", delay=0.02, undo=Call("POST", f"{origin}/cancel")
        )
        if b"true" in reply.body:
            return Answer({"done": True})


def test_polls_until_it_is_done_and_ends_nothing() -> None:
    async def scene(work: Work, upstream: Upstream, origin: str) -> None:
        assert (await run(upstream, lambda: polled(origin))).body == {"done": True}

    work = play(scene)
    assert work.seen == ["POST /work", "GET /work", "GET /work"]


def test_work_is_ended_where_the_client_leaves() -> None:
    async def scene(work: Work, upstream: Upstream, origin: str) -> None:
        task = asyncio.create_task(run(upstream, lambda: polled(origin)))
        while "GET /work" not in work.seen:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(work.cancelled.wait(), 5)

    assert play(scene, polls=10_000).seen[-1] == "POST /cancel"


def test_work_is_ended_where_the_time_is_up() -> None:
    async def scene(work: Work, upstream: Upstream, origin: str) -> None:
        with pytest.raises(ProviderError) as caught:
            await run(upstream, lambda: polled(origin), seconds=0.3)
        assert caught.value.failure is Failure.TIMEOUT
        await asyncio.wait_for(work.cancelled.wait(), 5)

    play(scene, polls=10_000)


def test_work_is_ended_even_where_the_server_stops() -> None:
    async def scene(work: Work, upstream: Upstream, origin: str) -> None:
        task = asyncio.create_task(run(upstream, lambda: polled(origin)))
        while "GET /work" not in work.seen:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    assert play(scene, polls=10_000).cancelled.is_set()


def streamed(origin: str, path: str) -> Generator[Call, Reply, Told]:
    yield Call("GET", f"{origin}{path}", stream=True, undo=Call("POST", f"{origin}/cancel"))
    return Told(origin)


async def read_all(stream: Stream) -> list[bytes]:
    frames: list[bytes] = []
    while not stream.ended:
        frames += [frame.data for frame in await stream.read()]
    stream.close()
    return frames


def test_a_stream_may_ask_on() -> None:
    async def scene(work: Work, upstream: Upstream, origin: str) -> None:
        stream = await run(upstream, lambda: streamed(origin, "/stream"))
        frames = await read_all(stream)
        assert b"".join(frames[:-2]) == b"hello over"
        assert frames[-2:] == [b'{"done":false}', b'{"done":true}']
        assert stream.decoder.usage == Usage(1, 2)

    assert play(scene).seen == ["GET /stream", "GET /work", "GET /work"]


def test_a_stream_that_is_closed_early_is_ended_at_the_provider() -> None:
    async def scene(work: Work, upstream: Upstream, origin: str) -> None:
        stream = await run(upstream, lambda: streamed(origin, "/hang"))
        assert [frame.data for frame in await stream.read()] == [b"hello"]
        stream.close()
        stream.close()
        await asyncio.wait_for(work.cancelled.wait(), 5)

    assert play(scene).seen == ["GET /hang", "POST /cancel"]


@pytest.mark.parametrize(("owners", "most"), [(("t", "t"), 1), (("t", "u"), 2)])
def test_each_tenant_has_one_thread_whatever_its_credentials(
    owners: tuple[str, str], most: int
) -> None:
    working: list[str] = []
    together: list[int] = []

    def work(owner: str) -> Generator[Call, Reply, Answer]:
        working.append(owner)
        time.sleep(0.05)
        together.append(len(working))
        working.remove(owner)
        yield from ()
        return Answer({})

    async def main() -> None:
        upstream = Upstream(allow=frozenset(), connect_timeout=5, idle_timeout=5)
        calls = (
            run(upstream, partial(work, owner), size=LARGE + 1, owner=owner, pool_key=f"t:{number}")
            for number, owner in enumerate(owners)
        )
        await asyncio.gather(*calls)
        await upstream.close()

    asyncio.run(main())
    assert max(together) == most
