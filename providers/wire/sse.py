"""Incremental parser of event streams, independent of how the bytes are split."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from providers.declaration.errors import Failure, ProviderError
from providers.failures.reasons import Reason

MAX_LINE = 8 * 1024 * 1024  # bytes of one line, and of an event's data: pictures come so


def too_long() -> ProviderError:
    return ProviderError(Failure.ERROR, Reason("line_too_long"))


class EventParser:
    """Parse by the WHATWG rules for event streams, and accept a missing last blank line.

    Lines end in LF, CRLF or CR; comments and unknown fields are ignored; several data lines are
    joined by LF. Some servers forget the blank line after the last event, or after each: a line
    that holds a whole JSON object is an event if another one follows.

    Args:
        bare_objects: whether a line that is a JSON object without `data:` is an event of its
            own.
    """

    __slots__ = (
        "_after_cr",
        "_bare_objects",
        "_begun",
        "_begun_size",
        "_data",
        "_event",
        "_size",
        "_started",
        "_whole",
    )

    def __init__(self, *, bare_objects: bool = False) -> None:
        self._bare_objects = bare_objects
        # Pieces of an incomplete line, joined once: a line that arrives byte by byte must not take
        # quadratic time.
        self._begun: list[bytes] = []
        self._begun_size = 0
        self._data: list[bytes] = []
        self._size = 0
        self._event = b""
        self._after_cr = False  # the last byte was CR: a following LF belongs to it
        self._started = False
        self._whole: bool | None = None  # whether the data so far needs no more, once it was asked

    def feed(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        """Events completed by `chunk`. Raises ProviderError for a line of more than 8 MiB."""
        if not chunk:
            return []
        if self._after_cr:
            self._after_cr = False
            if chunk[0] == 10:
                chunk = chunk[1:]
        return self._plain(chunk) or list(self._events(self._lines(chunk)))

    def _plain(self, chunk: bytes) -> list[tuple[bytes, bytes]] | None:
        """Return the events of a chunk of complete events with one data line each, or the event
        of one that has a name, the most common cases.
        """
        if self._begun or self._data or self._event or chunk[-2:] != b"\n\n" or b"\r" in chunk:
            return None
        if len(chunk) > MAX_LINE:
            return None
        if chunk.startswith(b"data: "):
            pieces = chunk[6:-2].split(b"\n\ndata: ")
            if chunk.count(b"\n") != 2 * len(pieces):
                return None
            self._started = True
            return [(b"", piece) for piece in pieces]
        if not chunk.startswith(b"event: "):
            return None
        name, _line_break, data = chunk[7:-2].partition(b"\n")
        if data.startswith(b"id: "):
            data = data.partition(b"\n")[2]
        pieces = data[6:].split(b"\ndata: ")
        if data[:6] != b"data: " or data.count(b"\n") >= len(pieces):
            return None
        if len(pieces) > 1 and pieces[0][:1] == b"{":
            return None  # perhaps several events
        self._started = True
        return [(name, b"\n".join(pieces))]

    def finish(self) -> list[tuple[bytes, bytes]]:
        """Return the event whose blank line is missing at the end of the stream, if any."""
        line = b"".join(self._begun)
        self._begun, self._begun_size = [], 0
        return list(self._events([line, b""] if line else [b""]))

    def _lines(self, chunk: bytes) -> list[bytes]:
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines and self._begun:
            lines[0] = b"".join((*self._begun, lines[0]))
            self._begun, self._begun_size = [], 0
        if rest:
            self._begun.append(rest)
            self._begun_size += len(rest)
            if self._begun_size > MAX_LINE:
                raise too_long()
        if not self._started:
            self._started = self._skip_byte_order_mark(lines)
        return lines

    @staticmethod
    def _skip_byte_order_mark(lines: list[bytes]) -> bool:
        if lines:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        return bool(lines)

    def _events(self, lines: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
        for line in lines:
            if not line:
                if self._data:
                    yield (
                        self._event,
                        self._data[0] if len(self._data) == 1 else b"\n".join(self._data),
                    )
                self._data, self._size, self._event = [], 0, b""
            elif line.startswith(b"data:"):
                if self._data and self._is_whole():
                    yield self._event, self._data[0]
                    self._data, self._size = [], 0
                self._add(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line.startswith(b"event:"):
                if self._data and self._is_whole():
                    yield self._event, self._data[0]
                    self._data, self._size = [], 0
                self._event = line[6:].removeprefix(b" ")
            elif line == b"data":
                self._add(b"")
            elif self._bare_objects and line.startswith(b"{"):
                yield b"", line

    def _is_whole(self) -> bool:
        """Tell whether the only data line so far needs no other."""
        if self._whole is None:
            self._whole = self._is_object()
        return self._whole

    def _is_object(self) -> bool:
        data = self._data[0].strip()
        if len(self._data) > 1 or not (data.startswith(b'{"') and data.endswith(b"}")):
            return False
        try:
            orjson.loads(data)
        except orjson.JSONDecodeError:
            return False
        return True

    def _add(self, data: bytes) -> None:
        self._size += len(data) + 1
        if self._size > MAX_LINE:
            raise too_long()
        self._data.append(data)
        self._whole = None
