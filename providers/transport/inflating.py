"""Bodies that arrive compressed although identity was asked for, as caches send them."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any, Final

from providers.transport import failures
from providers.transport.limits import IDENTITY

PIECE: Final = 64 * 1024  # bytes that are inflated at a time
_GZIP: Final = b"\x1f\x8b"
_ENCODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})
_BY_HEADER: Final = zlib.MAX_WBITS | 32  # gzip or zlib, whichever header comes


class Inflater:
    """Inflate a body piece by piece; pass on a body that is not compressed, whatever its label."""

    def __init__(self, encoding: str) -> None:
        self._is_gzip = encoding != "deflate"
        self._start = b""
        self._waiting = b""
        self._stream: Any = None
        self._is_full = False  # whether zlib may hold more of what it was given
        self._is_plain = False

    @property
    def waits(self) -> bool:
        """Whether feed(b"") may return more."""
        return bool(self._waiting) or self._is_full

    def feed(self, data: bytes) -> bytes:
        """Return at most PIECE bytes of the inflated body.

        Raises:
            OSError: the body is damaged.
        """
        if self._is_plain:
            return data
        if self._stream is None or self._stream.eof:
            self._start += self._waiting + data
            self._waiting, self._is_full = b"", False
            if len(self._start) < len(_GZIP):
                return b""
            data = self._begin()
            if self._is_plain or not data:
                return data
        return self._inflated(self._waiting + data)

    def rest(self) -> bytes:
        """Return what is left at the end of the body."""
        return self._start if self._stream is None and not self._is_plain else b""

    def _begin(self) -> bytes:
        start, self._start = self._start, b""
        if self._stream is not None and not start.startswith(_GZIP):
            return b""  # not another member: ignored
        has_header = start[0] & 15 == 8 and int.from_bytes(start[:2], "big") % 31 == 0
        if start.startswith(_GZIP) or has_header:
            self._stream = zlib.decompressobj(_BY_HEADER)
        elif self._is_gzip:
            self._is_plain = True
        else:
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        return start

    def _inflated(self, data: bytes) -> bytes:
        try:
            inflated: bytes = self._stream.decompress(data, PIECE)
        except zlib.error:
            raise OSError("damaged body") from None
        self._is_full = len(inflated) == PIECE
        self._waiting = self._stream.unconsumed_tail or self._stream.unused_data
        return inflated


class InflatedContent:
    """The content of a response, inflated."""

    def __init__(self, content: Any, inflater: Inflater) -> None:
        self._content = content
        self._inflater = inflater

    async def readany(self) -> bytes:
        """Return the next bytes, at most PIECE; none at the end."""
        inflater = self._inflater
        while True:
            if inflater.waits:
                data = b""
                await asyncio.sleep(0)  # a few bytes may become very many
            elif not (data := await self._content.read(PIECE)):
                return inflater.rest()
            if inflated := inflater.feed(data):
                return inflated

    def is_eof(self) -> bool:
        return bool(self._content.is_eof())


def inflater_of(encoding: str) -> Inflater | None:
    """Return the inflater for a Content-Encoding; None if the body is not compressed.

    Raises:
        TransportFailure: the encoding is unknown.
    """
    encoding = encoding.strip().lower()
    if encoding in IDENTITY:
        return None
    if encoding not in _ENCODINGS:
        raise failures.sent("encoding")
    return Inflater(encoding)


def content_of(response: Any) -> Any:
    """Return the content of a response: itself, or inflated if it is compressed.

    Raises:
        TransportFailure: the encoding is unknown.
    """
    encoding = response.headers.get("content-encoding")
    inflater = inflater_of(encoding) if encoding else None
    return response if inflater is None else InflatedContent(response, inflater)
