"""Asynchronous transport of the wires' exchanges: sockets under the egress rule, pools, deadlines and caps."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from providers import egress
from providers.exchange import Done, Pause, Steps, TransportFailure, error_of
from providers.spec import Answer, Call, Decoder, Frame, Reply

WHOLE_LIMIT: Final = 16 * 1024 * 1024  # bytes of a whole answer
SESSIONS: Final = 512  # pools kept open, one per tenant, credential and origin
# Seconds a connection may rest. Small model servers (uvicorn and its kin) close theirs after five: a request must not meet that.
KEEP_ALIVE: Final = {"https": 15.0, "http": 4.0}
_IDENTITY: Final = ("", "identity")


class _Refused(OSError):
    """The egress rule refused an address; raised where the connection is made, so it travels as an OSError."""


class _Resolver(AbstractResolver):
    """One look-up per connection; every address of the answer must be allowed."""

    def __init__(self, origin: str, allow: frozenset[str]) -> None:
        self._origin = origin
        self._allow = allow

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        try:
            egress.check_answers(found, origin=self._origin, allow=self._allow)
        except TransportFailure as refusal:
            raise _Refused(refusal.message) from None
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
        raise _Refused(refusal.message) from None


@lru_cache(maxsize=4096)
def _checked(text: str, allow: frozenset[str]) -> tuple[URL, str]:
    """(URL as the HTTP library wants it, its origin). Raises TransportFailure for what may not be called."""
    egress.check_url(text, allow=allow, tenant_typed=True)
    return URL(text, encoded=True), egress.origin(text)


@dataclass(slots=True)
class Progress:
    """How far a call came, for those who have to charge it when it is cut short.

    accepted: the provider answered with a 2xx. credits_left: of the trial, once the call was settled.
    """

    accepted: bool = False
    credits_left: int | None = None


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
    """An open answer: read() gives frames until it gives none and `ended` is true. close() cancels it at the provider."""

    __slots__ = ("_pool", "_response", "_steps", "decoder", "ended")

    def __init__(self, decoder: Decoder, response: aiohttp.ClientResponse | None, pool: _Pool | None, steps: Steps[Any]) -> None:
        self.decoder = decoder
        self.ended = False
        self._response = response
        self._pool = pool
        self._steps = steps

    async def read(self) -> Sequence[Frame]:
        """The frames of the next bytes. Raises ProviderError for errors in the stream, a break, silence, the cap."""
        if self.ended:
            return ()
        data = await self._next_bytes()
        if data:
            return self.decoder.feed(data)
        self.ended = True
        return self.decoder.finish()

    async def _next_bytes(self) -> bytes:
        if self._response is None:
            return b""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise self._steps.cleaned(error_of(_failure_of(problem))) from None

    def close(self) -> None:
        """Give the connection back if the answer was read to its end, else cut it."""
        if self._response is not None:
            # A body that has come to its end gave its connection back by itself; what is left of any other is not waited for.
            self._response.release() if self._response.content.is_eof() else self._response.close()
            self._response = None
        if self._pool is not None:
            self._pool.active -= 1
            self._pool = None


class Upstream:
    """Runs exchanges. One per process, made and closed inside the event loop.

    allow: origins that may be reached although they are private or plain http. Time limits in seconds: connect for a connection,
    idle for the silence between two pieces of an answer.
    """

    def __init__(self, *, allow: frozenset[str], connect_timeout: float, idle_timeout: float) -> None:
        self._allow = allow
        self._connect_timeout = connect_timeout
        self._idle_timeout = idle_timeout
        self._pools: OrderedDict[tuple[str, str], _Pool] = OrderedDict()
        self._tls = ssl.create_default_context()
        self._closing: set[asyncio.Task[None]] = set()

    async def run(self, steps: Steps[Any], *, pool_key: str, deadline: float, progress: Progress) -> Answer | Stream:
        """Drive an exchange to its answer, or to an open stream.

        steps: the exchange. pool_key: tenant and credential; connections are never shared beyond it. deadline: time.monotonic().
        progress: written to as the call goes on.
        Raises ProviderError.
        """
        step = steps.begin()
        while not isinstance(step, Done):
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                step = step.call
            step = await self._make(steps, step, pool_key, deadline, progress)
        result = step.value
        return result if isinstance(result, Answer | Stream) else Stream(result, None, None, steps)

    async def _make(self, steps: Steps[Any], call: Call, pool_key: str, deadline: float, progress: Progress) -> Any:
        try:
            url, origin = _checked(call.url, self._allow)
        except TransportFailure as refusal:
            return steps.failed(refusal)
        pool = self._pool(pool_key, origin)
        pool.active += 1
        response = None
        handed_over = False
        try:
            response = await self._send(pool, url, call, deadline)
            progress.accepted = 200 <= response.status < 300
            reply = await _read_reply(call, response)
            step = steps.answered(reply)
            if reply.open and isinstance(step, Done):
                stream = Stream(step.value, response, pool, steps)
                handed_over = True
                return Done(stream)
            return step
        except (aiohttp.ClientError, OSError, TimeoutError, TransportFailure) as problem:
            return steps.failed(problem if isinstance(problem, TransportFailure) else _failure_of(problem))
        finally:
            if not handed_over:
                pool.active -= 1
                if response is not None:
                    response.release() if response.content.is_eof() else response.close()

    async def _send(self, pool: _Pool, url: URL, call: Call, deadline: float) -> aiohttp.ClientResponse:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TransportFailure("timeout", "The call's time was used up.", sent=False)
        return await pool.session.request(
            call.method,
            url,
            data=call.body,
            headers=call.headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=left, sock_connect=self._connect_timeout, sock_read=self._idle_timeout),
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
        for key in [key for key, pool in self._pools.items() if not pool.active][: len(self._pools) - SESSIONS]:
            task = asyncio.ensure_future(self._pools.pop(key).session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.session.close()
        self._pools.clear()
        await asyncio.gather(*self._closing)


async def _read_reply(call: Call, response: aiohttp.ClientResponse) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    if headers.get("content-encoding", "").lower() not in _IDENTITY:
        raise TransportFailure("encoding", "The provider answered in an encoding that was not asked for.", sent=True)
    if call.stream and 200 <= response.status < 300:
        return Reply(response.status, headers, open=True)
    return Reply(response.status, headers, await _read_whole(response))


async def _read_whole(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > WHOLE_LIMIT:
        raise _too_large()
    pieces = []
    size = 0
    while piece := await response.content.readany():
        size += len(piece)
        if size > WHOLE_LIMIT:
            raise _too_large()
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large() -> TransportFailure:
    return TransportFailure("too_large", "The provider's answer is larger than 16 MiB.", sent=True)


def _failure_of(problem: Exception) -> TransportFailure:
    """Our words for a failure of the HTTP library, whose own texts may hold header values and are never passed on."""
    if isinstance(problem, aiohttp.ClientConnectorError) and isinstance(problem.os_error, _Refused):
        return TransportFailure("refused_address", str(problem.os_error), sent=False)
    for kinds, kind, message, sent in _FAILURES:
        if isinstance(problem, kinds):
            return TransportFailure(kind, message, sent=sent)
    return TransportFailure("broken", "The connection to the provider broke.", sent=True)


_FAILURES: Final[tuple[tuple[Any, Any, str, bool], ...]] = (
    (aiohttp.ClientConnectorDNSError, "dns", "The provider's host name could not be resolved.", False),
    (
        (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch),
        "tls",
        "No trusted TLS connection to the provider could be made.",
        False,
    ),
    (aiohttp.ClientConnectorError, "connect", "The provider could not be reached.", False),
    (aiohttp.ConnectionTimeoutError, "timeout", "The provider did not accept a connection in time.", False),
    (TimeoutError, "timeout", "The provider did not answer in time.", True),
)
