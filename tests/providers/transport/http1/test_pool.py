"""Connections: kept, closed, timed, and what happens when one ends at the wrong moment."""

from __future__ import annotations

import asyncio
import io
import time
from typing import Any

import pytest
import uvloop

from providers.declaration.spec import Call
from providers.declaration.storage import OpenFile
from providers.transport.failures import TransportFailure
from tests.providers.transport.http1.servers import Hub, Script, playing, response_of

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"


def posted(hub: Hub, body: bytes = b"{}") -> Call:
    return Call("POST", f"{hub.origin}/x", body=body)


def play(script: Script, scene: Any, **options: float) -> Any:
    async def main() -> Any:
        async with playing(script, **options) as hub:
            return await scene(hub)

    return uvloop.run(main())


def failure_of(scene: Any) -> Any:
    async def scene_that_fails(hub: Hub) -> tuple[str, bool]:
        with pytest.raises(TransportFailure) as caught:
            await scene(hub)
        return caught.value.kind, caught.value.sent

    return scene_that_fails


def test_a_connection_is_reused_and_no_longer_than_it_may_be_idle() -> None:
    script = Script([[LENGTH]] * 3)

    async def scene(hub: Hub) -> None:
        await hub.get()
        await hub.get()
        assert script.connections == 1
        await asyncio.sleep(0.15)
        await hub.get()

    play(script, scene, keep_alive=0.1)
    assert script.connections == 2


def test_idle_connections_are_closed_without_another_call() -> None:
    script = Script([[LENGTH]])

    async def scene(hub: Hub) -> int:
        await hub.get()
        await asyncio.sleep(0.15)
        return len(hub.pool._idle)

    assert play(script, scene, keep_alive=0.05) == 0


def test_calls_at_once_have_a_connection_each() -> None:
    script = Script([[LENGTH]])

    async def scene(hub: Hub) -> Any:
        return await asyncio.gather(*(hub.get() for _call in range(5)))

    assert play(script, scene) == [(200, b"abc")] * 5
    assert script.connections == 5


@pytest.mark.parametrize("greets", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_a_get_is_repeated_where_an_idle_connection_ended(greets: bytes) -> None:
    """The server answers one request and closes as the next one arrives; a POST may have worked."""
    script = Script([[LENGTH], []], closes=True)

    async def scene(hub: Hub) -> Any:
        await hub.get()
        await asyncio.sleep(0.01)
        if greets:
            hub.pool._idle[0].data_received(greets)  # as servers do before they close
        return await hub.get()

    assert play(script, scene) == (200, b"abc")
    assert script.connections == 2


def test_a_post_is_never_repeated() -> None:
    script = Script([[LENGTH], []], closes=True)

    async def scene(hub: Hub) -> None:
        await hub.ask(posted(hub))
        await hub.ask(posted(hub))

    assert play(script, failure_of(scene)) == ("broken", True)
    assert len(script.heads) == 2


def test_the_deadline_holds_before_and_in_a_reply() -> None:
    async def scene(hub: Hub) -> None:
        await hub.get(seconds=0.1)

    for reply in ([], [BEGUN]):
        began = time.monotonic()
        assert play(Script([reply]), failure_of(scene)) == ("timeout", True)
        assert time.monotonic() - began < 2


def test_silence_ends_a_reply_and_slowness_does_not() -> None:
    async def scene(hub: Hub) -> Any:
        return await hub.get()

    assert play(Script([[BEGUN]]), failure_of(scene), idle_timeout=0.1) == ("timeout", True)

    class Slow(Script):
        async def serve(self, reader: Any, writer: Any) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for byte in LENGTH:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.01)

    assert play(Slow([]), scene, idle_timeout=0.2) == (200, b"abc")  # 0.4 s in all


def test_a_slow_reader_pauses_the_server_and_loses_nothing() -> None:
    size = 8 * 1024 * 1024
    script = Script([[b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size]])

    async def scene(hub: Hub) -> int:
        response = await response_of(hub)
        await asyncio.sleep(0.2)
        assert response.waiting < 2 * 1024 * 1024
        total = 0
        while piece := await response.read(100_000):
            assert len(piece) <= 100_000
            total += len(piece)
        response.release()
        return total

    assert play(script, scene, idle_timeout=0.15) == size


def test_a_cancelled_call_closes_its_connection() -> None:
    script = Script([[]])

    async def scene(hub: Hub) -> int:
        task = asyncio.ensure_future(hub.get())
        while not script.heads:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(hub.pool._idle) + len(hub.pool._busy)

    assert play(script, scene) == 0


def test_a_server_that_speaks_before_it_is_asked_is_left() -> None:
    async def scene(hub: Hub) -> None:
        await hub.get()

    kind, _sent = play(Script([[LENGTH]], greets=b"SSH-2.0-OpenSSH_9.2\r\n"), failure_of(scene))
    assert kind == "broken"


def test_a_file_is_sent_from_its_start_each_time() -> None:
    content = bytes(range(256)) * 4096
    script = Script([[LENGTH]] * 2)

    async def scene(hub: Hub) -> None:
        for _time in range(2):
            file = OpenFile(io.BytesIO(content), len(content))
            file.file.read(10)
            await hub.ask(Call("POST", f"{hub.origin}/x", file=file))

    play(script, scene)
    assert script.bodies == [content] * 2
    assert script.connections == 1


def test_a_server_may_refuse_a_file_before_it_has_all() -> None:
    class Refusing(Script):
        async def serve(self, reader: Any, writer: Any) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
            await reader.read(1)
            await asyncio.sleep(0.3)  # takes no more of it

    async def scene(hub: Hub) -> Any:
        file = OpenFile(io.BytesIO(bytes(64 * 1024 * 1024)), 64 * 1024 * 1024)
        answer = await hub.ask(Call("POST", f"{hub.origin}/x", file=file))
        return answer, len(hub.pool._idle)

    assert play(Refusing([]), scene) == ((413, b"{}"), 0)


def test_closing_the_pool_ends_the_calls_under_way() -> None:
    async def scene(hub: Hub) -> None:
        task = asyncio.ensure_future(hub.get())
        await asyncio.sleep(0.05)
        hub.pool.close()
        await task

    assert play(Script([[]]), failure_of(scene)) == ("broken", True)


def test_nobody_listens() -> None:
    async def scene(hub: Hub) -> None:
        call = Call("GET", "http://127.0.0.1:1/x")
        hub.pool._opener.allow = hub.allow = frozenset({"http://127.0.0.1:1"})
        await hub.ask(call)

    assert play(Script([]), failure_of(scene)) == ("connect", False)
