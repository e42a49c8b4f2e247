"""Find out who sent a request and by which scheme, from the headers of trusted proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Iterable
from functools import lru_cache
from typing import Final

from core.logging.access import Application, Receive, Scope, Send

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST: Final = 2000  # characters of X-Forwarded-For that are read
CACHED: Final = 4096
ANYONE: Final = "*"


class Forwarded:
    """ASGI middleware that sets the scope's client and scheme.

    The client is always an address, or None. Anything else in X-Forwarded-For is ignored, with
    everything left of it, because only a client can have written it.

    Args:
        application: The application behind it.
        trusted: Addresses and networks of proxies; "*" trusts whoever connects, but only the last
            address in the header, which is the one that the proxy added.
        trust_scheme: Read X-Forwarded-Proto from whoever connects.
    """

    def __init__(
        self, application: Application, trusted: Iterable[str], *, trust_scheme: bool = False
    ) -> None:
        self.application = application
        self._trusts_anyone = ANYONE in (names := list(trusted))
        networks = map(_network, names)
        self._trusted = tuple(network for network in networks if network is not None)
        self._trust_scheme = trust_scheme
        self._find_client = lru_cache(CACHED)(self._client)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "lifespan":
            self._read(scope)
        return self.application(scope, receive, send)

    def _read(self, scope: Scope) -> None:
        peer, port = scope.get("client") or ("", 0)
        forwarded, scheme = "", b""
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                text = value.decode("latin-1")
                forwarded = f"{forwarded},{text}" if forwarded else text
            elif name == b"x-forwarded-proto":
                scheme = value.strip()
        client, is_trusted = self._find_client(peer, forwarded[-LONGEST:])
        scope["client"] = None if client is None else (client, port if client == peer else 0)
        if scheme in (b"http", b"https") and (is_trusted or self._trust_scheme):
            scope["scheme"] = scheme.decode()

    def _client(self, peer: str, forwarded: str) -> tuple[str | None, bool]:
        """Return the client's address and whether the peer is a trusted proxy."""
        address = _address(peer)
        # A peer without an address is a UNIX socket.
        is_trusted = self._trusts_anyone or (address is not None and self._trusts(address))
        if is_trusted:
            for text in reversed(forwarded.split(",")):
                hop = _address(text.strip())
                if hop is None:
                    break
                address = hop
                if self._trusts_anyone or not self._trusts(hop):
                    break
        return (None if address is None else str(address)), is_trusted

    def _trusts(self, address: Address) -> bool:
        return any(_contains(network, address) for network in self._trusted)


def _contains(network: Network, address: Address) -> bool:
    first, last = int(network.network_address), int(network.broadcast_address)
    return network.version == address.version and first <= int(address) <= last


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _address(text: str) -> Address | None:
    """Return the address in a text, which some proxies write with its port; None if there is none.

    An IPv4 address mapped into IPv6 becomes IPv4. Addresses with a zone mean nothing elsewhere.
    """
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address
