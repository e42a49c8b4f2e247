"""Items of a streamed response, each with the events that open, fill and close it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.dataplane.doors.interface import Asked
from gateway.dataplane.doors.openai_responses import answers
from gateway.dataplane.doors.openai_responses.events import Numbered, piece_start
from gateway.dataplane.doors.openai_responses.namespaces import Names

Item = dict[str, Any]
_TEXT_END: Final = b',"logprobs":[]}\n\n'
_END: Final = b"}\n\n"


class Output:
    """One item of the output.

    Args:
        number: Its place in the output.
        item: As it is when it opens; `close` completes it.
    """

    __slots__ = ("_events", "_place", "_where", "item")

    def __init__(self, events: Numbered, identity: str, number: int, item: Item) -> None:
        self._events = events
        self._place = {"output_index": number}
        self._where = {"item_id": identity, "output_index": number}
        self.item = item
        events.add("response.output_item.added", {**self._place, "item": item})

    def close(self) -> None:
        self._events.add("response.output_item.done", {**self._place, "item": self.item})


class Message(Output):
    """What the model says: texts and refusals."""

    __slots__ = ("_content", "_logprobs", "_notes", "_piece_start", "_pieces", "_refuses")

    def __init__(self, events: Numbered, identity: str, number: int) -> None:
        item = answers.message_item(identity, [], "in_progress")
        super().__init__(events, identity, number, item)
        self._content: list[Item] = []
        self._pieces: list[str] | None = None  # of the open part
        self._refuses = False
        self._piece_start = b""
        self._logprobs: list[Item] = []
        self._notes: list[Item] = []

    def say(self, text: str, logprobs: list[Item] | None = None) -> None:
        pieces = self._part(refuses=False)
        pieces.append(text)
        if logprobs:
            self._logprobs += logprobs
            fields = {**self._here(), "delta": text, "logprobs": logprobs}
            self._events.add("response.output_text.delta", fields)
        else:
            self._events.add_piece(self._piece_start, orjson.dumps(text), _TEXT_END)

    def refuse(self, text: str) -> None:
        self._part(refuses=True).append(text)
        self._events.add_piece(self._piece_start, orjson.dumps(text), _END)

    def note(self, notes: list[Item]) -> None:
        """Add citations to the text."""
        self._part(refuses=False)
        for note in notes:
            fields = {**self._here(), "annotation_index": len(self._notes), "annotation": note}
            self._events.add("response.output_text.annotation.added", fields)
            self._notes.append(note)

    def close(self) -> None:
        self._close_part()
        self.item = {**self.item, "status": "completed", "content": self._content}
        super().close()

    def _here(self) -> Item:
        return {**self._where, "content_index": len(self._content)}

    def _part(self, *, refuses: bool) -> list[str]:
        """Return the pieces of a part of this kind, which opens if it is not open."""
        if self._pieces is None or self._refuses != refuses:
            self._close_part()
            self._pieces, self._refuses = [], refuses
            name = "response.refusal.delta" if refuses else "response.output_text.delta"
            self._piece_start = piece_start(name, self._here())
            self._events.add(
                "response.content_part.added", {**self._here(), "part": self._made("")}
            )
        return self._pieces

    def _made(self, text: str) -> Item:
        if self._refuses:
            return {"type": "refusal", "refusal": text}
        return answers.text_part(text, list(self._logprobs), list(self._notes))

    def _close_part(self) -> None:
        if self._pieces is None:
            return
        text = "".join(self._pieces)
        here, part = self._here(), self._made(text)
        if self._refuses:
            self._events.add("response.refusal.done", {**here, "refusal": text})
        else:
            fields = {**here, "text": text, "logprobs": self._logprobs}
            self._events.add("response.output_text.done", fields)
        self._events.add("response.content_part.done", {**here, "part": part})
        self._content.append(part)
        self._pieces, self._logprobs, self._notes = None, [], []


class Reasoning(Output):
    """What the model thinks, as a summary if the client asked for one."""

    __slots__ = ("_asked", "_blocks", "_is_summary", "_piece_start", "_pieces")

    def __init__(self, events: Numbered, identity: str, number: int, asked: Asked) -> None:
        item = answers.reasoning_item(identity, "", None, asked)
        super().__init__(events, identity, number, {**item, "encrypted_content": None})
        self._asked = asked
        self._is_summary = answers.wants_summary(asked)
        self._pieces: list[str] = []
        self._blocks: list[Any] = []
        self._piece_start = piece_start(f"response.{self._name()}_text.delta", self._here())

    def think(self, text: str) -> None:
        if not self._pieces and self._is_summary:
            part = {"type": "summary_text", "text": ""}
            fields = {**self._here(), "part": part}
            self._events.add("response.reasoning_summary_part.added", fields)
        self._pieces.append(text)
        self._events.add_piece(self._piece_start, orjson.dumps(text), _END)

    def keep(self, blocks: list[Any]) -> None:
        """Keep what the provider needs to see again."""
        self._blocks += blocks

    def close(self) -> None:
        text = "".join(self._pieces)
        if text:
            self._events.add(f"response.{self._name()}_text.done", {**self._here(), "text": text})
        if text and self._is_summary:
            part = {"type": "summary_text", "text": text}
            fields = {**self._here(), "part": part}
            self._events.add("response.reasoning_summary_part.done", fields)
        self.item = answers.reasoning_item(self.item["id"], text, self._blocks, self._asked)
        super().close()

    def _name(self) -> str:
        return "reasoning_summary" if self._is_summary else "reasoning"

    def _here(self) -> Item:
        return {**self._where, "summary_index" if self._is_summary else "content_index": 0}


class Call(Output):
    """The call of a tool."""

    __slots__ = (
        "_called",
        "_field",
        "_kind",
        "_name",
        "_names",
        "_piece_start",
        "_pieces",
        "_tool",
    )

    def __init__(
        self,
        events: Numbered,
        identity: str,
        number: int,
        piece: Mapping[str, Any],
        names: Names,
    ) -> None:
        self._kind = "custom" if piece.get("type") == "custom" else "function"
        self._field = "input" if self._kind == "custom" else "arguments"
        self._name = (
            "custom_tool_call_input" if self._kind == "custom" else "function_call_arguments"
        )
        self._called = {"type": self._kind, "id": piece.get("id")}
        self._tool = (piece.get(self._kind) or {}).get("name")
        self._names = names
        call = {**self._called, self._kind: {"name": self._tool}}
        item = answers.call_item(identity, call, names, "in_progress")
        super().__init__(events, identity, number, {**item, self._field: ""})
        self._pieces: list[str] = []
        self._piece_start = piece_start(f"response.{self._name}.delta", self._where)

    def extend(self, piece: Mapping[str, Any]) -> None:
        text = (piece.get(self._kind) or {}).get(self._field)
        if text:
            self._pieces.append(text)
            self._events.add_piece(self._piece_start, orjson.dumps(text), _END)

    def close(self) -> None:
        text = "".join(self._pieces)
        call = {**self._called, self._kind: {"name": self._tool, self._field: text}}
        self.item = answers.call_item(self.item["id"], call, self._names)
        # The whole arguments, which are an object's text also if the model sent none.
        fields = {**self._where, self._field: self.item[self._field]}
        if self._kind == "function":
            fields["name"] = self.item["name"]
        self._events.add(f"response.{self._name}.done", fields)
        super().close()
