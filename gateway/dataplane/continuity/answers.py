"""Give the calls of tools in an answer ids that carry the reasoning before them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.dataplane.continuity import ids
from gateway.dataplane.continuity.ids import Row, Thought
from gateway.dataplane.doors.interface import Carries
from providers.declaration.spec import Answer, Frame
from providers.wire.anthropic.blocks import REPLAYED
from providers.wire.repairs import exact_json
from tenants.crypto.keys import Seal

# The first piece of a call: further ones have no id.
_CALL: Final = re.compile(rb'"tool_calls": ?\[ ?\{.*?"id"', re.DOTALL)


@dataclass(slots=True)
class _Choice:
    """What one choice has thought since its last call."""

    blocks: list[Any] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    has_blocks: bool = False


class ThoughtIds:
    """Changes one answer, whole or streamed, in the neutral form.

    Args:
        carries: What the client gets back to us in its own format anyway.
        stores: Whether longer reasoning may be kept in the store.
        texts: Whether the provider wants the reasoning back as the text that it is.
    """

    __slots__ = ("_carries", "_choices", "_rows", "_seal", "_stores", "_texts")

    def __init__(self, seal: Seal, *, carries: Carries, stores: bool, texts: bool) -> None:
        self._seal = seal
        self._carries = carries
        self._stores = stores
        self._texts = texts and carries is not Carries.ALL and carries is not Carries.ANTHROPIC
        self._choices: dict[Any, _Choice] = {}
        self._rows: list[Row] = []

    def answer(self, answer: Answer) -> Answer:
        """Return a whole answer with its new ids."""
        body = answer.body
        if body is None or not any(
            (choice.get("message") or {}).get("tool_calls") for choice in body["choices"]
        ):
            return answer
        choices = [self._with_ids(choice, "message") for choice in body["choices"]]
        return replace(answer, body={**body, "choices": choices})

    def frames(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        """Return chunks of a stream with their new ids."""
        return [self._frame(frame) for frame in frames]

    def taken_rows(self) -> Sequence[Row]:
        """Return what must be stored before the client gets the ids since the last time."""
        rows, self._rows = self._rows, []
        return rows

    def _frame(self, frame: Frame) -> Frame:
        data = frame.data
        has_calls = b'"tool_calls"' in data and _CALL.search(data) is not None
        if not (
            has_calls
            or b'"provider_blocks"' in data
            or (self._texts and b'"reasoning_content"' in data)
        ):
            return frame
        chunk = exact_json.loads(data)
        given = chunk.get("choices") or ()
        choices = [self._with_ids(choice, "delta") for choice in given]
        if all(choice is before for choice, before in zip(choices, given, strict=True)):
            return frame
        return replace(frame, data=exact_json.dumps({**chunk, "choices": choices}))

    def _with_ids(self, choice: dict[str, Any], part: str) -> dict[str, Any]:
        message = choice.get(part) or {}
        state = self._choices.setdefault(choice.get("index"), _Choice())
        self._note(message, state)
        calls = message.get("tool_calls")
        if not calls:
            return choice
        changed = [self._call(call, state) for call in calls]
        if all(call is before for call, before in zip(changed, calls, strict=True)):
            return choice
        return {**choice, part: {**message, "tool_calls": changed}}

    def _note(self, message: Mapping[str, Any], state: _Choice) -> None:
        blocks = message.get("provider_blocks") or ()
        if blocks:
            state.has_blocks = True
        if self._carries is not Carries.ALL:
            state.blocks += [
                block for block in blocks if isinstance(block, dict) and not self._is_carried(block)
            ]
        text = message.get("reasoning_content")
        if self._texts and isinstance(text, str):
            state.pieces.append(text)

    def _is_carried(self, block: dict[str, Any]) -> bool:
        """Tell whether the client's format has a block's kind."""
        return self._carries is Carries.ANTHROPIC and block.get("type") in REPLAYED

    def _call(self, call: dict[str, Any], state: _Choice) -> dict[str, Any]:
        """Return a call, or the first piece of one, with its new id."""
        identity = call.get("id")
        if not isinstance(identity, str) or not identity:
            return call
        text = "" if state.has_blocks else "".join(state.pieces)
        state.pieces.clear()
        blocks = _taken(state.blocks, identity)
        thought = Thought(identity, blocks, text, call.get("extra_content"))
        if thought.is_empty:
            return call
        changed, row = ids.id_of(thought, self._seal, stores=self._stores)
        if row is not None:
            self._rows.append(row)
        return {**call, "id": changed}


def _taken(blocks: list[Any], identity: str) -> list[Any]:
    """Take the blocks before a call, whose place in an answer that is whole is marked."""
    end = next(
        (number for number, block in enumerate(blocks) if block.get("call_id") == identity),
        len(blocks),
    )
    before = [block for block in blocks[:end] if block.get("type") != "call"]
    del blocks[: end + 1]
    return before
