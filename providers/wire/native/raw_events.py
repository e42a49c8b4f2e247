"""Events as bytes: split from a stream unchanged, and written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from providers.wire.sse import MAX_LINE, EventParser, too_long

_BLANK_LINE: Final = re.compile(rb"\n\r?\n|\r\r")


class RawEvents(EventParser):
    """Split a stream at its blank lines. Events are pairs of their bytes and their data."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        """Return the events completed by `chunk`.

        Raises:
            ProviderError: An event is longer than 8 MiB.
        """
        buffer = self._buffer
        if not buffer and chunk.endswith(b"\n\n") and b"\r" not in chunk:
            # Whole events, the most common case.
            return [(raw + b"\n\n", data_of(raw)) for raw in chunk[:-2].split(b"\n\n")]
        searched = max(0, len(buffer) - 2)  # a blank line may be split
        buffer += chunk
        events, start = [], 0
        while (end := _BLANK_LINE.search(buffer, searched)) is not None:
            searched = end.end()
            raw = bytes(buffer[start:searched])
            events.append((raw, data_of(raw)))
            start = searched
        if start:
            del buffer[:start]
        if len(buffer) > MAX_LINE:
            raise too_long()
        return events

    def finish(self) -> list[tuple[bytes, bytes]]:
        """Return the event whose blank line is missing at the end of the stream, if any."""
        raw = bytes(self._buffer).rstrip(b"\r\n")
        self._buffer.clear()
        return [(raw + b"\n\n", data_of(raw))] if raw else []


def data_of(raw: bytes) -> bytes:
    """Return the data of one event; none of a comment."""
    name, mark, data = raw.partition(b"data: ")
    is_line = not name or name.endswith(b"\n")
    if mark and is_line and b"data:" not in name and b"\n" not in data:
        return data
    lines = [line[5:] for line in raw.splitlines() if line.startswith(b"data:")]
    return lines[0] if len(lines) == 1 else b"\n".join(lines)


def event_of(event: Mapping[str, Any]) -> bytes:
    """Write an event whose type is its name too."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))
