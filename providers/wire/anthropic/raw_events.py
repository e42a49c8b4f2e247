"""Anthropic's events as bytes, made from a message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from providers.wire.native.raw_events import event_of
from providers.wire.repairs import exact_json

# Where the text of each kind of block is streamed: the block's field, the delta's type and field.
_STREAMED: Final = {
    "text": ("text", "text_delta", "text"),
    "thinking": ("thinking", "thinking_delta", "thinking"),
}


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
        text = exact_json.dumps(block.get("input") or {}).decode()
        deltas.append({"type": "input_json_delta", "partial_json": text})
    yield event_of({"type": "content_block_start", "index": index, "content_block": start})
    for delta in deltas:
        yield event_of({"type": "content_block_delta", "index": index, "delta": delta})
    yield event_of({"type": "content_block_stop", "index": index})
