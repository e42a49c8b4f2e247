"""The server's own limits: a client that is slow, endless or silent is cut off, others are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from core.asgi import http_protocol
from core.asgi.http_protocol import MAX_HEAD, MOST_HEADERS, HttpProtocol

pytestmark = pytest.mark.one_database

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]]


@pytest.fixture(autouse=True)
def impatient(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MODELKEEP_HEAD_TIMEOUT = settings.MODELKEEP_BODY_TIMEOUT = 0.2
    monkeypatch.setattr(http_protocol, "CHECK", 0.05)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of the body, after a pause if the path asks for one; or in pieces."""
    if scope["path"] == "/unknown-length":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})
        return
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    if scope["path"] == "/slow":
        await asyncio.sleep(0.6)
    body = b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def talk(client: Client) -> Any:
    async def run() -> Any:
        config = Config(application, log_config=None, lifespan="off", ws="none")
        config.load()
        server = await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(config=config, server_state=ServerState(), app_state={}),
            "127.0.0.1",
            0,
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                return await asyncio.wait_for(client(reader, writer), 10)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    return asyncio.run(run())


async def answers(reader: asyncio.StreamReader, count: int = 1) -> bytes:
    """Read so many answers, whose bodies have one digit each."""
    text = b""
    for _number in range(count):
        text += await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(1)
    return text


async def drip(writer: asyncio.StreamWriter, pieces: int, piece: bytes = b"a") -> None:
    for _number in range(pieces):
        writer.write(piece)
        await asyncio.sleep(0.05)


def test_requests_in_one_piece_and_in_several() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for pieces in (
            [HEAD + b"Content-Length: 2\r\n\r\nab"],
            [HEAD, b"Content-Length: 2\r\n\r\na", b"b"],
        ):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.05)
            assert (await answers(reader)).endswith(b"2")

    talk(client)


def test_requests_that_follow_each_other_at_once() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        body = b"a" * 4 * MAX_HEAD
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        writer.write(HEAD + b"Content-Length: 1\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"\r\na")
        return await reader.readuntil(b"262144") + await answers(reader)

    text = talk(client)
    assert text.count(b" 200 ") == 2
    assert text.endswith(b"1")


def test_a_head_that_never_ends_is_cut_off() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + b"X: ")
        dripping = asyncio.create_task(drip(writer, 100))
        try:
            return await reader.read()
        finally:
            dripping.cancel()

    assert talk(client) == b""


def test_a_connection_without_a_request_is_closed() -> None:
    async def client(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> bytes:
        return await reader.read()

    assert talk(client) == b""


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
def test_a_body_that_drips_is_cut_off(framing: bytes) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + framing + b"\r\n\r\n")
        piece = b"1\r\na\r\n" if b"chunked" in framing else b"a"
        dripping = asyncio.create_task(drip(writer, 100, piece))
        try:
            return await reader.read()
        finally:
            dripping.cancel()

    assert talk(client) == b""


def test_a_body_with_progress_may_take_longer() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + b"Content-Length: 40000\r\n\r\n")
        await drip(writer, 10, b"a" * 4000)
        return await reader.readuntil(b"40000")

    assert b" 200 " in talk(client)


def test_an_answer_may_take_longer_than_a_request() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        # Some clients send one more line after a body.
        writer.write(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na\r\n")
        return await answers(reader)

    assert talk(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "flood",
    [
        b"X: " + b"a" * 4 * MAX_HEAD,
        b"X: a\r\n" * (MOST_HEADERS + 1) + b"\r\n",
        b"X: a\r\n" * MAX_HEAD,
    ],
)
def test_a_head_that_is_too_large_is_refused(flood: bytes) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + flood)
        return await reader.read(100)

    assert talk(client).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "piece", [b"1;" + b"a" * 8 * MAX_HEAD, b"0\r\n" + b"X: a\r\n" * 4 * MAX_HEAD]
)
def test_framing_without_a_body_is_cut_off(piece: bytes) -> None:
    """Extensions of chunks, and headers after the last one."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        await writer.drain()
        try:
            writer.write(piece)
            return await reader.read(100)
        except ConnectionError:
            return b""

    assert b" 200 " not in talk(client)


def test_an_old_client_gets_no_chunks() -> None:
    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET /unknown-length HTTP/1.0\r\nHost: a\r\n\r\n")
        return await reader.read()

    head, _blank, body = talk(read).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    assert body == b"one two"


def test_an_old_client_gets_an_answer_of_known_length() -> None:
    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        return await reader.read()

    head, _blank, body = talk(read).partition(b"\r\n\r\n")
    assert b"content-length: 1" in head.lower()
    assert body == b"0"
