"""Connection pools of the asynchronous transport; every address is checked by the egress rules, and
what aiohttp reports becomes one of our failures.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from core.asgi.turns import Turns
from providers.failures.reasons import Reason
from providers.transport import egress, failures
from providers.transport.failures import TransportFailure
from providers.transport.framing import BoundedHandler
from providers.transport.limits import ASYNC_POOLS, KEEP_ALIVE, USER_AGENT


class RefusedAddress(OSError):
    """An address refused by the egress rules.

    aiohttp passes on only an OSError raised while it connects.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Resolver(AbstractResolver):
    """Resolve once per connection; every resolved address must be allowed."""

    def __init__(self, origin: str, allow: frozenset[str]) -> None:
        self._origin = origin
        self._allow = allow

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        try:
            egress.check_resolved(infos, origin=self._origin, allow=self._allow)
        except TransportFailure as failure:
            raise RefusedAddress(failure.reason) from None
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _type, proto, _name, address in infos
        ]

    async def close(self) -> None:
        """Do nothing: the resolver holds no resources."""


@lru_cache(maxsize=4096)
def checked_url(text: str, allow: frozenset[str]) -> tuple[URL, str]:
    """Return the URL as aiohttp takes it, and its origin.

    Raises:
        TransportFailure: The URL must not be called.
    """
    egress.check_url(text, allow=allow, tenant_typed=True)
    return URL(text, encoded=True), egress.origin(text)


def _socket_factory(origin: str, allow: frozenset[str]) -> Callable[[Any], socket.socket]:
    def checked_socket(info: Any) -> socket.socket:
        family, kind, proto, _name, address = info
        try:
            egress.check_address(str(address[0]), origin=origin, allow=allow)
        except TransportFailure as failure:
            raise RefusedAddress(failure.reason) from None
        return socket.socket(family=family, type=kind, proto=proto)

    return checked_socket


class _Connector(aiohttp.TCPConnector):
    """A connector whose connections are bounded."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(BoundedHandler, loop=self._loop)  # type: ignore[assignment]  # a subclass


class Pool:
    """The connections of one tenant's credential to one origin."""

    def __init__(self, origin: str, allow: frozenset[str], tls: ssl.SSLContext) -> None:
        self.active = 0
        self.turns = Turns()
        self.session = aiohttp.ClientSession(
            connector=_Connector(
                limit=0,
                resolver=_Resolver(origin, allow),
                use_dns_cache=False,
                socket_factory=_socket_factory(origin, allow),
                ssl=tls,
                keepalive_timeout=KEEP_ALIVE[origin.partition(":")[0]],
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            read_bufsize=128 * 1024,
        )


class Pools:
    """The open pools of a process.

    Above the limit, the least recently used idle pools are closed.

    Args:
        allow: Origins that may be reached although they are private or plain HTTP.
        run: Runs a coroutine in the background.
    """

    def __init__(self, allow: frozenset[str], run: Callable[[Any], None]) -> None:
        self._allow = allow
        self._run = run
        self._pools: OrderedDict[tuple[str, str], Pool] = OrderedDict()
        self._tls = ssl.create_default_context()

    def get(self, pool_key: str, origin: str) -> Pool:
        key = (pool_key, origin)
        pool = self._pools.get(key)
        if pool is None:
            self._close_idle()
            pool = self._pools[key] = Pool(origin, self._allow, self._tls)
        self._pools.move_to_end(key)
        return pool

    def _close_idle(self) -> None:
        excess = max(0, len(self._pools) + 1 - ASYNC_POOLS)
        idle = [key for key, pool in self._pools.items() if not pool.active]
        for key in idle[:excess]:
            self._run(self._pools.pop(key).session.close())

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.session.close()
        self._pools.clear()


def failure_of(error: Exception) -> TransportFailure:
    """Describe a failure of aiohttp in our own words."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(
        error.os_error, RefusedAddress
    ):
        return TransportFailure("refused_address", error.os_error.reason, sent=False)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return failures.not_sent("dns")
    if isinstance(error, _TLS_ERRORS):
        return failures.not_sent("tls")
    if isinstance(error, aiohttp.ClientConnectorError):
        return failures.not_sent("connect")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        # API clients get a timeout (504) here too, not an unreachable provider.
        return TransportFailure("timeout", Reason("connect_timeout"), sent=False)
    return failures.sent("timeout" if isinstance(error, TimeoutError) else "broken")


_TLS_ERRORS = (
    aiohttp.ClientSSLError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ServerFingerprintMismatch,
)
