"""Request bodies that arrive compressed, decompressed piece by piece."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from gateway.dataplane.errors import Refusal, bad_request

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE: Final = 256 * 1024  # bytes that are decompressed at a time: more would block the process
# Larger windows need more memory than senders may ask for: https://www.rfc-editor.org/rfc/rfc9659
_ZSTD_WINDOW: Final[Mapping[int, int]] = {zstd.DecompressionParameter.window_log_max: 23}
_ERRORS: Final = (zlib.error, zstd.ZstdError)


class _Stream(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Zlib:
    """zlib, whose decompressor leaves it to the caller to keep what it hasn't read."""

    def __init__(self, window_bits: int) -> None:
        self._stream = zlib.decompressobj(window_bits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        self.needs_input = len(piece) < max_length and not self._stream.unconsumed_tail
        return piece


def _deflate(start: bytes) -> _Stream:
    # With the header of zlib, as the standard says, or without one, as some clients send it.
    has_header = start[0] & 15 == 8
    return _Zlib(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)


def _gzip(_start: bytes) -> _Stream:
    return _Zlib(zlib.MAX_WBITS | 16)


def _zstd(_start: bytes) -> _Stream:
    return zstd.ZstdDecompressor(options=_ZSTD_WINDOW)


ACCEPTED: Final[Mapping[str, Callable[[bytes], _Stream]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}


class Decompression:
    """One compressed body."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._stream: _Stream | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decompressed body in pieces of at most PIECE bytes. Raises Refusal (400)."""
        if not data:
            return
        if self._stream is None:
            self._stream = ACCEPTED[self._encoding](data)
        stream = self._stream
        while True:
            if stream.eof:
                raise self._damaged()
            try:
                piece = stream.decompress(data, PIECE)
            except _ERRORS:
                raise self._damaged() from None
            data = b""
            yield piece
            if stream.eof and not stream.unused_data:
                return
            if not stream.eof and stream.needs_input:
                return

    def finish(self) -> None:
        """Raise Refusal (400) if the end of the body is missing."""
        if self._stream is None or not self._stream.eof:
            raise self._damaged()

    def _damaged(self) -> Refusal:
        return bad_request(f"The body is not valid {self._encoding}, or incomplete.")


def decompression_of(header: str) -> Decompression | None:
    """Return how to read a body with this Content-Encoding; None if it isn't compressed.

    Raises:
        Refusal: The encoding is unknown (415).
    """
    encoding = header.strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding not in ACCEPTED:
        accepted = ", ".join(name for name in ACCEPTED if not name.startswith("x-"))
        raise Refusal(
            "unsupported_media_type",
            f"Compress the body with {accepted}, or not at all.",
            headers=((b"accept-encoding", accepted.encode()),),
        )
    return Decompression(encoding)
