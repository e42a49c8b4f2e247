"""Neutral chunks as events of OpenAI's Responses format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.dataplane.doors.interface import Asked
from gateway.dataplane.doors.openai_responses import answers, kept
from gateway.dataplane.doors.openai_responses.events import Numbered
from gateway.dataplane.doors.openai_responses.namespaces import Names
from gateway.dataplane.doors.openai_responses.outputs import Call, Message, Output, Reasoning
from gateway.dataplane.doors.openai_responses.tools import names_of
from gateway.dataplane.errors import Refusal
from providers.declaration.spec import Frame


class ResponseEvents:
    """Writes one stream: items open with their first piece and close when another kind follows."""

    __slots__ = (
        "_asked",
        "_calls",
        "_events",
        "_finish",
        "_names",
        "_open",
        "_outputs",
        "_response",
        "_usage",
    )

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._events = Numbered()
        self._response: dict[str, Any] = {}
        self._outputs: list[Output] = []
        self._open: Message | Reasoning | None = None
        self._calls: dict[Any, Call] = {}  # by the index of their pieces
        self._names: Names | None = None
        self._finish: str | None = None
        self._usage: Any = None

    def write(self, frames: Sequence[Frame]) -> bytes:
        for frame in frames:
            self._chunk(orjson.loads(frame.data))
        return self._events.taken()

    def end(self, measured: Mapping[str, Any]) -> bytes:
        self._begin({})
        self._close()
        for call in self._calls.values():
            call.close()
        if not any(isinstance(output, Message | Call) for output in self._outputs):
            self._message().close()
        if answers.keeps_ids(self._asked):
            self._carry()
        items = [output.item for output in self._outputs]
        response = answers.ended(self._response, items, self._finish, self._usage, measured)
        self._events.add(f"response.{response['status']}", {"response": response})
        return self._events.taken()

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        self._begin({})
        return self._events.failure(refusal, self._response)

    def _chunk(self, chunk: dict[str, Any]) -> None:
        self._begin(chunk)
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue  # a response has one answer
            self._delta(choice.get("delta") or {}, choice.get("logprobs"))
            self._finish = choice.get("finish_reason") or self._finish

    def _delta(self, delta: Mapping[str, Any], logprobs: Any) -> None:
        if thought := answers.thought_in(delta):
            self._reasoning().think(thought)
        blocks = delta.get("provider_blocks") or []
        if any(block.get("type") != "call" for block in blocks):  # the calls tell their order
            self._reasoning().keep(blocks)
        if text := delta.get("content"):
            self._message().say(text, answers.probabilities_in(logprobs))
        if refusal := delta.get("refusal"):
            self._message().refuse(refusal)
        if notes := answers.notes_in(delta):
            self._message().note(notes)
        for call in delta.get("tool_calls") or ():
            self._call(call)

    def _begin(self, chunk: Mapping[str, Any]) -> None:
        if self._response:
            return
        self._response = answers.head_of(self._asked, str(chunk.get("model") or ""))
        for name in ("response.created", "response.in_progress"):
            self._events.add(name, {"response": self._response})

    def _message(self) -> Message:
        if not isinstance(self._open, Message):
            self._close()
            self._open = Message(*self._place("msg"))
            self._outputs.append(self._open)
        return self._open

    def _reasoning(self) -> Reasoning:
        if not isinstance(self._open, Reasoning):
            self._close()
            self._open = Reasoning(*self._place("rs"), self._asked)
            self._outputs.append(self._open)
        return self._open

    def _call(self, piece: Mapping[str, Any]) -> None:
        """Add a piece to its call. All calls are closed at the end: their pieces may alternate."""
        index = piece.get("index")
        call = self._calls.get(index)
        if call is None:
            self._close()
            self._names = self._names or names_of(self._asked.body)
            call = self._calls[index] = Call(*self._place("fc"), piece, self._names)
            self._outputs.append(call)
        call.extend(piece)

    def _place(self, kind: str) -> tuple[Numbered, str, int]:
        number = len(self._outputs)
        return self._events, answers.item_id(kind, self._asked.unique_id, number), number

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _carry(self) -> None:
        """End with an item whose id carries the others, whose ids came before their content."""
        carrier = kept.carrier_of([output.item for output in self._outputs], self._asked.seal)
        if carrier is not None:
            output = Output(self._events, carrier["id"], len(self._outputs), carrier)
            self._outputs.append(output)
            output.close()
