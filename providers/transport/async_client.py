"""Asynchronous transport of the wires' exchanges: sockets under the egress rule, pools, deadlines
and caps.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from providers.declaration.errors import ProviderError
from providers.declaration.spec import Answer, Call, Frame, Reply
from providers.failures.reasons import Reason
from providers.transport import egress
from providers.transport.steps import (
    Done,
    Guarded,
    Pause,
    Steps,
    TransportFailure,
    error_of,
)

logger = logging.getLogger(__name__)

SESSIONS: Final = 512  # pools kept open, one per tenant, credential and origin
# Seconds a connection may rest. Small model servers (uvicorn and its kin) close theirs after five:
# a request must not meet that.
KEEP_ALIVE: Final = {"https": 15.0, "http": 4.0}
UNDO_SECONDS: Final = 10.0  # for ending at the provider what was given up here
_IDENTITY: Final = ("", "identity")


class _Refused(OSError):
    """The egress rule refused an address; raised where the connection is made, so it travels as an
    OSError.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Resolver(AbstractResolver):
    """One look-up per connection; every address of the answer must be allowed."""

    def __init__(self, origin: str, allow: frozenset[str]) -> None:
        self._origin = origin
        self._allow = allow

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        try:
            egress.check_answers(found, origin=self._origin, allow=self._allow)
        except TransportFailure as refusal:
            raise _Refused(refusal.reason) from None
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _type, proto, _name, address in found
        ]

    async def close(self) -> None:
        """Nothing is kept."""


def _check(address: str, origin: str, allow: frozenset[str]) -> None:
    try:
        egress.check_address(address, origin=origin, allow=allow)
    except TransportFailure as refusal:
        raise _Refused(refusal.reason) from None


@lru_cache(maxsize=4096)
def _checked(text: str, allow: frozenset[str]) -> tuple[URL, str]:
    """(URL as the HTTP library wants it, its origin). Raises TransportFailure for what may not be
    called.
    """
    egress.check_url(text, allow=allow, tenant_typed=True)
    return URL(text, encoded=True), egress.origin(text)


@dataclass(slots=True)
class Progress:
    """How far a call came, for those who have to charge it when it is cut short.

    accepted: the provider answered with a 2xx. credits_left: of the trial, once the call was
    settled.
    """

    accepted: bool = False
    credits_left: int | None = None


@dataclass(frozen=True, slots=True)
class _Way:
    """How the calls of one exchange are made. deadline: time.monotonic()."""

    pool_key: str
    deadline: float
    progress: Progress


class _Pool:
    """The connections of one tenant's credential to one origin."""

    def __init__(self, origin: str, allow: frozenset[str], tls: ssl.SSLContext) -> None:
        def checked_socket(info: Any) -> socket.socket:
            family, kind, proto, _name, address = info
            _check(str(address[0]), origin, allow)
            return socket.socket(family=family, type=kind, proto=proto)

        self.active = 0
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                resolver=_Resolver(origin, allow),
                use_dns_cache=False,
                socket_factory=checked_socket,
                ssl=tls,
                keepalive_timeout=KEEP_ALIVE[origin.partition(":")[0]],
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            headers={"User-Agent": "modelkeep", "Accept-Encoding": "identity"},
            read_bufsize=256 * 1024,
        )


class Stream:
    """An open answer: read() gives frames until `ended` is true. close() cancels it at the
    provider.

    follow: makes one more call that the decoder asks for. abandon: what close() does before the
    end.
    """

    __slots__ = ("_abandon", "_follow", "_pool", "_response", "_steps", "decoder", "ended")

    def __init__(
        self,
        decoder: Guarded,
        steps: Steps[Any],
        follow: Callable[[Call], Awaitable[Reply]],
        abandon: Callable[[], None],
    ) -> None:
        self.decoder = decoder
        self.ended = False
        self._steps = steps
        self._follow = follow
        self._abandon = abandon
        self._response: aiohttp.ClientResponse | None = None
        self._pool: _Pool | None = None

    def hold(self, response: aiohttp.ClientResponse, pool: _Pool) -> None:
        """Take over the open body and its place in the pool."""
        self._response, self._pool = response, pool

    async def read(self) -> Sequence[Frame]:
        """The frames of the next bytes. Raises ProviderError for errors in the stream, a break,
        silence, the cap.
        """
        if self.ended:
            return ()
        decoder = self.decoder
        if self._response is not None:
            data = await self._next_bytes(self._response)
            frames = decoder.feed(data) if data else decoder.finish()
            if not data or decoder.done:
                self.ended = decoder.next_call is None
                if not self.ended:
                    # else close() does so: until then the end of the body has come, and the
                    # connection can be kept
                    self._give_back()
            return frames
        if (call := decoder.next_call) is not None:
            frames = decoder.answered(await self._follow(call))
            self.ended = decoder.done and decoder.next_call is None
            return frames
        self.ended = True
        return decoder.finish()

    async def _next_bytes(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            return await response.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise self._steps.cleaned(error_of(_failure_of(problem))) from None

    def _give_back(self) -> None:
        """The connection, if the answer was read to its end; else it is cut."""
        if self._response is not None:
            # A body that has come to its end gave its connection back by itself; what is left of
            # any other is not waited for.
            self._response.release() if self._response.content.is_eof() else self._response.close()
            self._response = None
        if self._pool is not None:
            self._pool.active -= 1
            self._pool = None

    def close(self) -> None:
        """Let go of the answer. Before its end, the work at the provider is ended too."""
        self._give_back()
        if not self.ended:
            self.ended = True
            self._abandon()


class Upstream:
    """Runs exchanges. One per process, made and closed inside the event loop.

    allow: origins that may be reached although they are private or plain http. Time limits in
    seconds: connect for a connection, idle for the silence between two pieces of an answer.
    """

    def __init__(
        self, *, allow: frozenset[str], connect_timeout: float, idle_timeout: float
    ) -> None:
        self._allow = allow
        self._connect_timeout = connect_timeout
        self._idle_timeout = idle_timeout
        self._pools: OrderedDict[tuple[str, str], _Pool] = OrderedDict()
        self._tls = ssl.create_default_context()
        self._closing: set[asyncio.Future[None]] = set()

    async def run(
        self, steps: Steps[Any], *, pool_key: str, deadline: float, progress: Progress
    ) -> Answer | Stream:
        """Drive an exchange to its answer, or to an open stream.

        steps: the exchange. pool_key: tenant and credential; connections are never shared beyond
        it. deadline: time.monotonic(). progress: written to as the call goes on. Raises
        ProviderError.
        """
        way = _Way(pool_key, deadline, progress)
        try:
            result = await self._drive(steps, way)
        except BaseException:
            self._undo(steps, pool_key)
            raise
        return result if isinstance(result, Answer | Stream) else self._stream(result, steps, way)

    async def _drive(self, steps: Steps[Any], way: _Way) -> Any:
        step = steps.begin()
        while not isinstance(step, Done):
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                step = step.call
            step = await self._make(steps, step, way)
        return step.value

    def _stream(self, decoder: Guarded, steps: Steps[Any], way: _Way) -> Stream:
        async def follow(call: Call) -> Reply:
            reply: Reply = await self._drive(steps.following(call), way)
            return reply

        return Stream(decoder, steps, follow, lambda: self._undo(steps, way.pool_key))

    def _undo(self, steps: Steps[Any], pool_key: str) -> None:
        """End beside what goes on at the provider for an exchange that was given up."""
        if steps.undo is None:
            return
        call, steps.undo = steps.undo, None
        task = asyncio.ensure_future(
            self._end_there(
                steps.following(call), _Way(pool_key, time.monotonic() + UNDO_SECONDS, Progress())
            )
        )
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _end_there(self, steps: Steps[Any], way: _Way) -> None:
        try:
            await self._drive(steps, way)
        except ProviderError as error:
            logger.warning("Work given up could not be ended at the provider: %s", error.message)

    async def _make(self, steps: Steps[Any], call: Call, way: _Way) -> Any:
        try:
            url, origin = _checked(call.url, self._allow)
        except TransportFailure as refusal:
            return steps.failed(refusal)
        pool = self._pool(way.pool_key, origin)
        pool.active += 1
        response = None
        handed_over = False
        try:
            response = await self._send(pool, url, call, way.deadline)
            way.progress.accepted = way.progress.accepted or 200 <= response.status < 300
            reply = await _read_reply(call, response)
            step = steps.answered(reply)
            if reply.open and isinstance(step, Done):
                stream = self._stream(step.value, steps, way)
                stream.hold(response, pool)
                handed_over = True
                return Done(stream)
            return step
        except (aiohttp.ClientError, OSError, TimeoutError, TransportFailure) as problem:
            return steps.failed(
                problem if isinstance(problem, TransportFailure) else _failure_of(problem)
            )
        finally:
            if not handed_over:
                pool.active -= 1
                if response is not None:
                    response.release() if response.content.is_eof() else response.close()

    async def _send(
        self, pool: _Pool, url: URL, call: Call, deadline: float
    ) -> aiohttp.ClientResponse:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TransportFailure("timeout", Reason("no_time_left"), sent=False)
        return await pool.session.request(
            call.method,
            url,
            data=call.body,
            headers=call.headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                total=left, sock_connect=self._connect_timeout, sock_read=self._idle_timeout
            ),
        )

    def _pool(self, pool_key: str, origin: str) -> _Pool:
        key = (pool_key, origin)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = _Pool(origin, self._allow, self._tls)
            self._drop_resting()
        self._pools.move_to_end(key)
        return pool

    def _drop_resting(self) -> None:
        for key in [key for key, pool in self._pools.items() if not pool.active][
            : len(self._pools) - SESSIONS
        ]:
            task = asyncio.ensure_future(self._pools.pop(key).session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close every connection, once the work given up was ended at the providers."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        for pool in self._pools.values():
            await pool.session.close()
        self._pools.clear()


async def _read_reply(call: Call, response: aiohttp.ClientResponse) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    if headers.get("content-encoding", "").lower() not in _IDENTITY:
        raise TransportFailure("encoding", Reason("encoding"), sent=True)
    if call.stream and 200 <= response.status < 300:
        return Reply(response.status, headers, open=True)
    return Reply(response.status, headers, await _read_whole(response, call.limit))


async def _read_whole(response: aiohttp.ClientResponse, limit: int) -> bytes:
    if (response.content_length or 0) > limit:
        raise _too_large(limit)
    pieces = []
    size = 0
    while piece := await response.content.readany():
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limit: int) -> TransportFailure:
    return TransportFailure("too_large", Reason("too_long", most=limit // (1024 * 1024)), sent=True)


def _failure_of(problem: Exception) -> TransportFailure:
    """Our words for a failure of the HTTP library, whose own texts may hold header values and are
    never passed on.
    """
    if isinstance(problem, aiohttp.ClientConnectorError) and isinstance(problem.os_error, _Refused):
        return TransportFailure("refused_address", problem.os_error.reason, sent=False)
    for kinds, kind, reason, sent in _FAILURES:
        if isinstance(problem, kinds):
            return TransportFailure(kind, reason, sent=sent)
    return TransportFailure("broken", Reason("broken"), sent=True)


_FAILURES: Final[tuple[tuple[Any, Any, Reason, bool], ...]] = (
    (aiohttp.ClientConnectorDNSError, "dns", Reason("dns"), False),
    (
        (
            aiohttp.ClientSSLError,
            aiohttp.ClientConnectorCertificateError,
            aiohttp.ServerFingerprintMismatch,
        ),
        "tls",
        Reason("tls"),
        False,
    ),
    (aiohttp.ClientConnectorError, "connect", Reason("connect"), False),
    (aiohttp.ConnectionTimeoutError, "timeout", Reason("accept_timeout"), False),
    (TimeoutError, "timeout", Reason("timeout"), True),
)
