"""Neutral streams in Anthropic's format: blocks that begin and end one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from gateway.dataplane.doors.anthropic.answers import head_of, stop_reason_of, usage_object
from gateway.dataplane.doors.anthropic.errors import error_object
from gateway.dataplane.errors import Refusal
from providers.declaration.spec import Frame
from providers.wire.anthropic.blocks import REPLAYED, tool_id
from providers.wire.anthropic.raw_events import block_events
from providers.wire.anthropic.signatures import OWN_SIGNATURE
from providers.wire.native.raw_events import event_of
from providers.wire.repairs.arguments import Arguments
from providers.wire.usage import later, usage_of

THINKING, TEXT, TOOL = "thinking", "text", "tool_use"
_TEXTS: Final = (("reasoning_content", THINKING), ("content", TEXT), ("refusal", TEXT))
_BEGUN: Final[dict[str, dict[str, Any]]] = {
    THINKING: {"type": THINKING, "thinking": "", "signature": ""},
    TEXT: {"type": TEXT, "text": ""},
}
# What stands before and after a delta's text, as JSON.
_DELTAS: Final = {
    THINKING: b'{"type":"thinking_delta","thinking":',
    TEXT: b'{"type":"text_delta","text":',
    TOOL: b'{"type":"input_json_delta","partial_json":',
}


class NativeEvents:
    """Write events as their provider wrote them."""

    __slots__ = ()

    def write(self, frames: Sequence[Frame]) -> bytes:
        return b"".join([frame.data for frame in frames])

    def end(self, measured: Mapping[str, Any]) -> bytes:
        return b""

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        return event_of(error_object(refusal, request_id))


class MessageEvents:
    """Write the events of one message.

    Providers may stream calls of tools side by side. Here, only one block is open at a time: what
    belongs to another one waits until the arguments of the open call are complete.
    """

    __slots__ = (
        "_arguments",
        "_calls",
        "_events",
        "_finish",
        "_index",
        "_kind",
        "_open_call",
        "_prefix",
        "_reported",
        "_started",
        "_waiting",
    )

    def __init__(self) -> None:
        self._events: list[bytes] = []
        self._started = False
        self._index = -1  # of the latest block
        self._kind = ""  # of the open block; empty if none is open
        self._prefix = b""  # of the open block's deltas
        self._open_call = 0
        self._arguments = Arguments()  # of the open call
        self._calls: set[int] = set()  # that have begun
        self._waiting: dict[tuple[str, int], list[Any]] = {}  # by block
        self._finish: Any = None
        self._reported: Mapping[str, Any] | None = None

    def write(self, frames: Sequence[Frame]) -> bytes:
        for frame in frames:
            self._chunk(orjson.loads(frame.data))
        return self._taken()

    def end(self, measured: Mapping[str, Any]) -> bytes:
        if not self._started:
            self._start({})
        while self._waiting:
            self._close()
            self._next()
        self._close()
        delta = {"stop_reason": stop_reason_of(self._finish), "stop_sequence": None}
        usage = usage_object(usage_of(self._reported), measured)
        self._events.append(event_of({"type": "message_delta", "delta": delta, "usage": usage}))
        self._events.append(event_of({"type": "message_stop"}))
        return self._taken()

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        return event_of(error_object(refusal, request_id))

    def _taken(self) -> bytes:
        events, self._events = self._events, []
        return b"".join(events)

    def _chunk(self, chunk: Mapping[str, Any]) -> None:
        if not self._started:
            self._start(chunk)
        if chunk.get("usage"):
            self._reported = later(self._reported, chunk["usage"])
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue  # a message is one answer
            delta = choice.get("delta") or {}
            for name, kind in _TEXTS:
                if text := delta.get(name):
                    self._piece(kind, text)
            for block in delta.get("provider_blocks") or ():
                self._piece("", block)
            for call in delta.get("tool_calls") or ():
                self._piece(TOOL, call)
            self._finish = choice.get("finish_reason") or self._finish

    def _start(self, chunk: Mapping[str, Any]) -> None:
        self._started = True
        message = {
            **head_of(chunk),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_object(None, {}),
        }
        self._events.append(event_of({"type": "message_start", "message": message}))

    def _piece(self, kind: str, piece: Any) -> None:
        """Write a piece, or keep it while another call's arguments are incomplete."""
        key = (kind, piece.get("index", 0) if kind == TOOL else 0)
        if key == (self._kind, self._open_call) or (not self._waiting and self._may_close()):
            self._add(kind, piece)
        else:
            self._waiting.setdefault(key, []).append(piece)
        while self._waiting and self._may_close():
            self._next()

    def _next(self) -> None:
        """Write the block that has waited longest."""
        key = next(iter(self._waiting))
        for piece in self._waiting.pop(key):
            self._add(key[0], piece)

    def _may_close(self) -> bool:
        """Tell whether the open block is complete, as far as can be seen."""
        return self._kind != TOOL or self._arguments.are_complete()

    def _add(self, kind: str, piece: Any) -> None:
        if kind == TOOL:
            self._call(piece)
        elif kind:
            if kind != self._kind:
                self._begin(kind, _BEGUN[kind])
            self._delta(piece)
        elif isinstance(piece, dict) and piece.get("type") in REPLAYED:
            self._replayed(piece)

    def _call(self, piece: Mapping[str, Any]) -> None:
        index, function = piece.get("index", 0), piece.get("function") or {}
        if (TOOL, index) != (self._kind, self._open_call):
            if index in self._calls:
                return  # the call is complete
            self._calls.add(index)
            head = {"id": tool_id(piece.get("id")), "name": function.get("name") or ""}
            self._begin(TOOL, {"type": TOOL, **head, "input": {}})
            self._open_call, self._arguments = index, Arguments()
        if arguments := function.get("arguments"):
            self._arguments.append(arguments)
            self._delta(arguments)

    def _replayed(self, block: dict[str, Any]) -> None:
        """Write a thought that its provider signed, under which its text may stand already."""
        if block["type"] == THINKING and self._kind == THINKING:
            self._close(str(block.get("signature") or ""))
            return
        self._close()
        self._index += 1
        self._events += block_events(self._index, block)

    def _begin(self, kind: str, block: Mapping[str, Any]) -> None:
        self._close()
        self._kind = kind
        self._index += 1
        event = {"type": "content_block_start", "index": self._index, "content_block": block}
        self._events.append(event_of(event))
        self._prefix = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b'
            % (self._index, _DELTAS[kind])
        )

    def _delta(self, text: str) -> None:
        self._events.append(self._prefix + orjson.dumps(text) + b"}}\n\n")

    def _close(self, signature: str = OWN_SIGNATURE) -> None:
        if not self._kind:
            return
        if self._kind == THINKING:
            delta = {"type": "signature_delta", "signature": signature}
            event = {"type": "content_block_delta", "index": self._index, "delta": delta}
            self._events.append(event_of(event))
        self._events.append(event_of({"type": "content_block_stop", "index": self._index}))
        self._kind, self._open_call = "", 0
