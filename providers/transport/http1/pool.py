"""Connection pools of the asynchronous transport; every address is checked by the egress rules."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import OrderedDict
from functools import cache, partial
from itertools import islice
from typing import Any, BinaryIO, Final

import aiohappyeyeballs

from core.asgi.turns import Turns
from providers.declaration.spec import Call
from providers.failures.reasons import Reason
from providers.transport import egress, failures
from providers.transport.failures import TransportFailure
from providers.transport.http1.connection import Connection
from providers.transport.http1.names import Names
from providers.transport.http1.request import Target, head_of
from providers.transport.http1.response import Response
from providers.transport.limits import ASYNC_POOLS, FILE_READ, KEEP_ALIVE

NEXT_ADDRESS: Final = 0.25  # seconds until the next address is tried as well; RFC 8305, 8
# Methods that may be repeated when a server closed an idle connection just as they were sent.
_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class _RefusedAddress(OSError):
    """An address refused by the egress rules; only OSErrors let the next address be tried."""

    def __init__(self, failure: TransportFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@cache
def tls_context() -> ssl.SSLContext:
    """Return the one of all openers: reading the machine's certificates takes a while."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Opener:
    """What all pools of a process open connections with.

    Args:
        allow: Origins that may be reached although they are private or plain HTTP.
        connect_timeout: Seconds for names, and again for TCP and TLS together.
        idle_timeout: Seconds of silence between two pieces of a response.
    """

    def __init__(
        self, *, allow: frozenset[str], connect_timeout: float, idle_timeout: float
    ) -> None:
        self.allow = allow
        self.idle_timeout = idle_timeout
        self.names = Names()
        self._connect_timeout = connect_timeout
        self._tls = tls_context()

    async def open(self, target: Target, *, seconds: float) -> Connection:
        """Open a connection.

        Args:
            seconds: Left of the call.

        Raises:
            TransportFailure: The server cannot or must not be reached; nothing was sent.
        """
        seconds = min(seconds, self._connect_timeout)
        infos = await self.names.resolve(target.host, target.port, seconds=seconds)
        egress.check_resolved(infos, origin=target.origin, allow=self.allow)
        try:
            async with asyncio.timeout(seconds):
                return await self._connect(target, infos)
        except TimeoutError:
            # API clients get a timeout (504) here too, not an unreachable provider.
            raise TransportFailure("timeout", Reason("connect_timeout"), sent=False) from None
        except ssl.SSLError:
            raise failures.not_sent("tls") from None
        except _RefusedAddress as refused:
            raise refused.failure from None
        except OSError:
            raise failures.not_sent("connect") from None

    async def _connect(self, target: Target, infos: list[Any]) -> Connection:
        loop = asyncio.get_running_loop()
        sock = await aiohappyeyeballs.start_connection(
            infos,
            happy_eyeballs_delay=NEXT_ADDRESS,
            loop=loop,
            socket_factory=partial(_checked_socket, target.origin, self.allow),
        )
        try:
            _transport, connection = await loop.create_connection(
                partial(Connection, loop),
                sock=sock,
                ssl=self._tls if target.is_tls else None,
                server_hostname=target.host if target.is_tls else None,
            )
        except BaseException:
            sock.close()
            raise
        return connection


def _checked_socket(origin: str, allow: frozenset[str], info: Any) -> socket.socket:
    family, kind, proto, _name, address = info
    try:
        egress.check_address(str(address[0]), origin=origin, allow=allow)
    except TransportFailure as failure:
        raise _RefusedAddress(failure) from None
    return socket.socket(family=family, type=kind, proto=proto)


class Pool:
    """The connections of one tenant's credential to one origin.

    Args:
        keep_alive: Seconds that a connection may be idle.

    Attributes:
        active: Calls under way.
        turns: For work on large answers.
    """

    def __init__(self, opener: Opener, keep_alive: float) -> None:
        self.active = 0
        self.turns = Turns()
        self._opener = opener
        self._keep_alive = keep_alive
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> tuple[int, int]:
        """How many are busy, and how many idle."""
        return len(self._busy), len(self._idle)

    async def request(self, call: Call, target: Target, *, deadline: float) -> Response:
        """Send a call and wait for the head of its reply.

        Args:
            deadline: Of the whole reply, on time.monotonic(), in seconds.

        Raises:
            TransportFailure: No reply began.
        """
        head = head_of(call, target)
        while True:
            connection = self._take()
            is_repeatable = connection is not None and call.method in _REPEATABLE
            if connection is None:
                connection = await self._opener.open(target, seconds=_left(deadline))
            response = self._send(connection, call, head, _left(deadline))
            try:
                if call.file is None:
                    await response.head()
                else:
                    await _send_file(connection, response, call.file.file)
                return response
            except BaseException as error:
                response.release()
                if not (is_repeatable and connection.was_silent and _is_broken(error)):
                    raise

    def _send(self, connection: Connection, call: Call, head: bytes, left: float) -> Response:
        if not connection.is_usable:  # it ended, or spoke, before it was asked
            connection.close()
            raise failures.not_sent("broken")
        self._busy.add(connection)
        return connection.send(
            head,
            call.body if call.file is None else None,
            deadline=asyncio.get_running_loop().time() + left,
            idle_timeout=self._opener.idle_timeout,
            finished=self._given_back,
        )

    def _take(self) -> Connection | None:
        """Return the connection that was used last, if one is open and fresh."""
        if not self._idle:
            return None
        fresh = asyncio.get_running_loop().time() - self._keep_alive
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and connection.idle_since > fresh:
                return connection
            connection.close()
        return None

    def _given_back(self, connection: Connection) -> None:
        self._busy.discard(connection)
        if connection.is_usable:
            self._idle.append(connection)
            if self._sweep is None:
                self._sweep_later()

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self._keep_alive, self._close_stale)

    def _close_stale(self) -> None:
        self._sweep = None
        fresh = asyncio.get_running_loop().time() - self._keep_alive
        idle, self._idle = self._idle, []
        for connection in idle:
            if connection.is_usable and connection.idle_since > fresh:
                self._idle.append(connection)
            else:
                connection.close()
        if self._idle:
            self._sweep_later()

    def close(self) -> None:
        """Close all connections, also those in use."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in (*self._idle, *self._busy):
            connection.fail(failures.sent("broken"))
        self._idle.clear()
        self._busy.clear()


def _left(deadline: float) -> float:
    """Return the seconds left of a call.

    Raises:
        TransportFailure: None are left; nothing was sent on this connection.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise failures.no_time_left()
    return left


def _is_broken(error: BaseException) -> bool:
    return isinstance(error, TransportFailure) and error.kind == "broken"


async def _send_file(connection: Connection, response: Response, file: BinaryIO) -> None:
    """Send a file and wait for the head of the reply, which may come before the file's end."""
    sending = asyncio.ensure_future(_send_pieces(connection, file))
    try:
        await response.head()
        if response.status < 300:
            await sending
    finally:
        if not sending.done():
            connection.cut_short()
            sending.cancel()


async def _send_pieces(connection: Connection, file: BinaryIO) -> None:
    """Read a file from its start: a call may be repeated."""
    try:
        file.seek(0)
        while piece := await asyncio.to_thread(file.read, FILE_READ):
            await connection.send_more(piece)
    except (OSError, ValueError):  # the file can't be read, or was closed
        connection.fail(failures.sent("broken"))


class Pools:
    """The open pools of a process.

    Above the limit, the least recently used idle pools are closed.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._pools: OrderedDict[tuple[str, str], Pool] = OrderedDict()

    def get(self, pool_key: str, target: Target) -> Pool:
        """Return the pool of a tenant's credential and the target's origin."""
        key = (pool_key, target.origin)
        pool = self._pools.get(key)
        if pool is None:
            self._close_idle()
            pool = self._pools[key] = Pool(
                self._opener, KEEP_ALIVE["https" if target.is_tls else "http"]
            )
        self._pools.move_to_end(key)
        return pool

    def connections(self) -> tuple[int, int]:
        """Return how many connections are busy, and how many idle."""
        counts = [pool.connections for pool in self._pools.values()]
        return sum(busy for busy, _idle in counts), sum(idle for _busy, idle in counts)

    def _close_idle(self) -> None:
        excess = max(0, len(self._pools) + 1 - ASYNC_POOLS)
        idle = (key for key, pool in self._pools.items() if not pool.active)
        for key in list(islice(idle, excess)):
            self._pools.pop(key).close()

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        await self._opener.names.close()
        await asyncio.sleep(0)  # so that sockets are closed before the loop may end
