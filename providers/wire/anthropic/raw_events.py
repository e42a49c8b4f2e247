"""Anthropic's events as bytes: split from a stream unchanged, and made from a message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from providers.wire.sse import MAX_LINE, EventParser, too_long

_BLANK_LINE: Final = re.compile(rb"\n\r?\n|\r\r")
# Where the text of each kind of block is streamed: the block's field, the delta's type and field.
_STREAMED: Final = {
    "text": ("text", "text_delta", "text"),
    "thinking": ("thinking", "thinking_delta", "thinking"),
}


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
    lines = [line[5:] for line in raw.splitlines() if line.startswith(b"data:")]
    return lines[0] if len(lines) == 1 else b"\n".join(lines)


def event_of(event: Mapping[str, Any]) -> bytes:
    """Write an event as Anthropic does: its type is its name too."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))


def events_of(message: Mapping[str, Any]) -> Iterator[bytes]:
    """Return the events of a message that came whole."""
    usage = message.get("usage") or {}
    head = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield event_of({"type": "message_start", "message": head})
    for index, block in enumerate(message.get("content") or ()):
        if isinstance(block, dict):
            yield from block_events(index, block)
    delta = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    yield event_of({"type": "message_delta", "delta": delta, "usage": usage})
    yield event_of({"type": "message_stop"})


def block_events(index: int, block: Mapping[str, Any]) -> Iterator[bytes]:
    """Return the events of a whole content block."""
    start, deltas = dict(block), []
    if block.get("type") in _STREAMED:
        field, kind, piece = _STREAMED[block["type"]]
        start[field] = ""
        deltas.append({"type": kind, piece: block.get(field) or ""})
    if block.get("type") == "thinking" and (signature := start.pop("signature", None)):
        start["signature"] = ""
        deltas.append({"type": "signature_delta", "signature": signature})
    if block.get("type") == "tool_use":
        start["input"] = {}
        text = orjson.dumps(block.get("input") or {}).decode()
        deltas.append({"type": "input_json_delta", "partial_json": text})
    yield event_of({"type": "content_block_start", "index": index, "content_block": start})
    for delta in deltas:
        yield event_of({"type": "content_block_delta", "index": index, "delta": delta})
    yield event_of({"type": "content_block_stop", "index": index})
