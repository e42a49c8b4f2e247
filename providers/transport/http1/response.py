"""A reply as it arrives: its head at once, its content in pieces."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from providers.transport.failures import TransportFailure

MOST_WAITING = 256 * 1024  # bytes of content; above this, no more is read from the socket


class Response:
    """A reply: `status` and `headers` are there, the content is read.

    Attributes:
        headers: Names in lower case; of a name that came twice, the last value.
        received: Bytes of content that have arrived so far.
        is_complete: Whether all of it has arrived.
        failure: Why no more will arrive.
    """

    __slots__ = (
        "_loop",
        "_pieces",
        "_resume",
        "_taken",
        "_waiter",
        "failure",
        "finish",
        "headers",
        "is_complete",
        "received",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, resume: Callable[[], None]) -> None:
        """Wait for a reply.

        Args:
            resume: Reads from the socket again, once what has arrived is taken.
        """
        self.status = 0
        self.headers: dict[str, str] = {}
        self.received = 0
        self.is_complete = False
        self.failure: TransportFailure | None = None
        self.finish: Callable[[], None] = _nothing
        self._loop = loop
        self._resume = resume
        self._pieces: deque[bytes] = deque()
        self._taken = 0
        self._waiter: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """Bytes of content that have arrived and have not been read."""
        return self.received - self._taken

    @property
    def content_length(self) -> int:
        """The announced length in bytes; 0 if there is none."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() else 0

    def is_eof(self) -> bool:
        """Return whether the content was read to its end."""
        return self.is_complete and not self._pieces

    async def head(self) -> None:
        """Wait for the status and the headers.

        Raises:
            TransportFailure: They did not arrive.
        """
        while not self.status:
            if self.failure is not None:
                raise self.failure
            await self._wait()

    async def readany(self) -> bytes:
        """Return all content that has arrived; nothing at the end.

        Raises:
            TransportFailure: The rest did not arrive.
        """
        pieces = self._pieces
        while not pieces:
            if self.is_complete:
                return b""
            if self.failure is not None:
                raise self.failure
            await self._wait()
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._took(len(data))
        return data

    async def read(self, most: int) -> bytes:
        """Return at most this many bytes of content; nothing at the end.

        Raises:
            TransportFailure: The rest did not arrive.
        """
        if not self._pieces:
            data = await self.readany()
        else:
            data = self._pieces.popleft()
            self._took(len(data))
        if len(data) > most:
            self._pieces.appendleft(data[most:])
            self._taken -= len(data) - most
            return data[:most]
        return data

    def release(self) -> None:
        """Give the connection back: reused after a whole reply, closed otherwise."""
        finish, self.finish = self.finish, _nothing
        self._resume = _nothing
        finish()

    def begin(self, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers = status, headers
        self.wake()

    def add(self, data: bytes) -> None:
        self.received += len(data)
        self._pieces.append(data)

    def fail(self, failure: TransportFailure) -> None:
        if self.failure is None and not self.is_complete:
            self.failure = failure
        self.wake()

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _took(self, size: int) -> None:
        self._taken += size
        self._resume()

    async def _wait(self) -> None:
        waiter: asyncio.Future[Any] = self._loop.create_future()
        self._waiter = waiter
        await waiter


def _nothing() -> None:
    """Do nothing: the connection was given back before."""
