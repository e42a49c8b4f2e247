"""A server that stops serves the connections that it has, and those that are being made."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from uvicorn import Config

from core.asgi import draining
from core.asgi.http_protocol import HttpProtocol
from core.asgi.server import DrainingServer
from tests.core.asgi.test_http_protocol import application

pytestmark = pytest.mark.one_database

REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"


@pytest.fixture
def listener(settings: Any) -> Iterator[socket.socket]:
    settings.SHUTDOWN_DELAY = 0.4
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener


@pytest.fixture
def is_draining() -> Iterator[None]:
    draining.begin()
    yield
    draining._shared[0] = 0


def stopping(listener: socket.socket, then: Any) -> list[bytes]:
    """Make connections, stop the server, and do something with each of them; gives the results."""

    async def run() -> list[bytes]:
        config = Config(application, http=HttpProtocol, log_config=None, lifespan="off", ws="none")
        config.load()
        server = DrainingServer(config)
        server.lifespan = config.lifespan_class(config)
        address = listener.getsockname()
        await server.startup([listener])
        with socket.create_connection(address) as kept:
            kept.setblocking(False)
            await asyncio.sleep(0.05)  # it is accepted
            # These are not: the loop has no turn before the server stops.
            clients = [kept, *(socket.create_connection(address) for _number in range(5))]
            for client in clients:
                client.setblocking(False)
            stopped = asyncio.create_task(server.shutdown([listener]))
            await asyncio.sleep(0.05)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
            answers = await asyncio.gather(*(then(client) for client in clients))
            await asyncio.wait_for(stopped, 5)
            for client in clients:
                client.close()
            return list(answers)

    return asyncio.run(run())


async def ask(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, REQUEST)
    return await rest(client)


async def rest(client: socket.socket) -> bytes:
    received = b""
    while piece := await asyncio.get_running_loop().sock_recv(client, 65536):
        received += piece
    return received


@pytest.mark.usefixtures("is_draining")
def test_requests_that_arrive_after_the_socket_closed_are_served(listener: socket.socket) -> None:
    answers = stopping(listener, ask)
    assert len(answers) == 6
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (head[:15], body) == (b"HTTP/1.1 200 OK", b"3")
        assert b"connection: close" in head


@pytest.mark.usefixtures("is_draining")
def test_silent_connections_do_not_hold_it_up(listener: socket.socket) -> None:
    assert stopping(listener, rest) == [b""] * 6


def test_without_draining_it_stops_at_once(listener: socket.socket) -> None:
    async def outcome(client: socket.socket) -> bytes:
        try:
            return await rest(client)
        except ConnectionResetError:
            return b"reset"

    kept, *others = stopping(listener, outcome)
    assert (kept, set(others)) == (b"", {b"reset"})
