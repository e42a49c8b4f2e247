"""Host names: resolved without threads, once for all who wait, and kept as long as they may be."""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from functools import partial
from typing import Any, Final

import aiodns

from providers.transport import failures

LONGEST_KEPT: Final = 300.0  # seconds, whatever a name server says
MOST_KEPT: Final = 1024  # names
QUERY_SECONDS: Final = 2.0  # until the next name server is asked; doubles with each round
QUERY_ROUNDS: Final = 3

# As getaddrinfo returns them, for egress.check_resolved and aiohappyeyeballs.
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


class Names:
    """A process's look-ups. A name server that is silent delays nobody else's names.

    Args:
        resolver: Made on first use if absent.
    """

    def __init__(self, resolver: aiodns.DNSResolver | None = None) -> None:
        self._resolver = resolver
        self._kept: OrderedDict[str, tuple[float, list[AddressInfo]]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[list[AddressInfo]]] = {}

    async def resolve(self, host: str, port: int, *, seconds: float) -> list[AddressInfo]:
        """Return the addresses of a host.

        Args:
            host: A name or an IP address.
            seconds: To wait for name servers.

        Raises:
            TransportFailure: There is no address, or no name server answered.
        """
        infos = self._from_memory(host)
        if infos is None:
            task = self._under_way.get(host)
            if task is None:
                task = self._under_way[host] = asyncio.ensure_future(self._ask(host))
                task.add_done_callback(partial(self._ended, host))
            try:
                # Others may wait for the same name: it is not cancelled with this call.
                infos = await asyncio.wait_for(asyncio.shield(task), seconds)
            except (aiodns.error.DNSError, UnicodeError, TimeoutError):
                raise failures.not_sent("dns") from None
        return [
            (family, kind, proto, name, (address[0], port, *address[2:]))
            for family, kind, proto, name, address in infos
        ]

    def _from_memory(self, host: str) -> list[AddressInfo] | None:
        entry = self._kept.get(host)
        if entry is None:
            return None
        until, infos = entry
        if asyncio.get_running_loop().time() >= until:
            del self._kept[host]
            return None
        return infos

    async def _ask(self, host: str) -> list[AddressInfo]:
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(timeout=QUERY_SECONDS, tries=QUERY_ROUNDS)
        result = await self._resolver.getaddrinfo(host, type=socket.SOCK_STREAM)
        infos = [_info(node) for node in result.nodes]
        seconds = min([LONGEST_KEPT, *(float(node.ttl) for node in result.nodes)])
        if infos and seconds > 0:
            self._kept[host] = (asyncio.get_running_loop().time() + seconds, infos)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return infos

    def _ended(self, host: str, task: asyncio.Task[list[AddressInfo]]) -> None:
        self._under_way.pop(host, None)
        if not task.cancelled():
            task.exception()  # looked at, also if nobody waits any more

    async def close(self) -> None:
        for task in list(self._under_way.values()):
            task.cancel()
        if self._resolver is not None:
            await self._resolver.close()


def _info(node: Any) -> AddressInfo:
    """Return a node of c-ares as getaddrinfo would."""
    text, *rest = node.addr
    address = text.decode() if isinstance(text, bytes) else str(text)
    return (int(node.family), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, *rest))
