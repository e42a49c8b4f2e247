"""Repairs of the chunks of one chat stream, which depend on the chunks before. Pure."""

from __future__ import annotations

from typing import Any, Final, Protocol

from providers.wire.repairs.answers import as_list, index_of, repair_logprobs
from providers.wire.repairs.arguments import Arguments
from providers.wire.repairs.messages import (
    arguments_text,
    function_of,
    own_id,
    repair_finish_reason,
    repair_part,
)

_ANSWERS: Final = ("content", "reasoning_content", "tool_calls")


class _Call:
    """A call of a tool as far as it was streamed."""

    __slots__ = ("arguments", "given_id", "identity", "index", "name")

    def __init__(self, index: int, given_id: str, identity: str, name: str) -> None:
        self.index = index
        self.given_id = given_id  # as the server writes it
        self.identity = identity  # as clients see it
        self.name = name
        self.arguments = Arguments()


class _Choice:
    """What was streamed of one choice."""

    __slots__ = ("by_id", "by_number", "calls", "finished", "has_answered", "has_role", "ids")

    def __init__(self) -> None:
        self.has_role = False
        self.has_answered = False
        self.finished = False
        self.calls: list[_Call] = []
        self.by_number: dict[int, _Call] = {}  # the server's index -> the last call with it
        self.by_id: dict[str, _Call] = {}  # the server's id -> the last call with it
        self.ids: set[str] = set()  # as clients see them


class Repairs(Protocol):
    """Repairs of one stream's chunks, in place; they return whether anything changed."""

    def repair(self, chunk: dict[str, Any]) -> bool:
        """Repair the shape of a chunk, except the finish reasons."""

    def finish(self, chunk: dict[str, Any]) -> bool:
        """Name the finish reasons of a repaired chunk."""

    def unfinished(self) -> list[dict[str, Any]]:
        """Return the choices that end a stream whose server named no finish reason."""


class ChunkRepairs:
    """Repair chunks in place, so that they parse as OpenAI's.

    Every choice has a delta, its role comes once, and every call of a tool has an index and an id
    of its own and arguments that are JSON text.
    """

    __slots__ = ("_choices",)

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}

    def repair(self, chunk: dict[str, Any]) -> bool:
        choices = chunk.get("choices")
        listed = [choice for choice in as_list(choices) if isinstance(choice, dict)]
        changed = listed != choices
        if changed:
            chunk["choices"] = listed
        for number, choice in enumerate(listed):
            changed = self._repair_choice(choice, number) or changed
        return changed

    def finish(self, chunk: dict[str, Any]) -> bool:
        changed = False
        for choice in chunk["choices"]:
            changed = repair_finish_reason(choice) or changed
            state = self._choices[choice["index"]]
            if choice["finish_reason"] is not None and not state.finished:
                state.finished = True
                changed = _complete_arguments(state, choice["delta"]) or changed
        return changed

    def unfinished(self) -> list[dict[str, Any]]:
        choices = []
        for index, state in self._choices.items():
            if not state.finished:
                state.finished = True
                delta: dict[str, Any] = {}
                _complete_arguments(state, delta)
                reason = "tool_calls" if state.calls else "stop"
                choices.append({"index": index, "delta": delta, "finish_reason": reason})
        return choices

    def _repair_choice(self, choice: dict[str, Any], number: int) -> bool:
        index = index_of(choice, number)
        changed = choice.get("index") != index
        choice["index"] = index
        state = self._choices.setdefault(index, _Choice())
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            choice["delta"] = delta = _delta_of(choice, is_first=not state.has_answered)
            changed = True
        changed = repair_logprobs(choice) or changed
        changed = repair_part(delta) or changed
        changed = _repair_role(state, delta) or changed
        if "tool_calls" in delta:
            changed = _repair_calls(state, delta) or changed
        state.has_answered = state.has_answered or any(map(delta.get, _ANSWERS))
        return changed


def _delta_of(choice: dict[str, Any], *, is_first: bool) -> dict[str, Any]:
    """Return the delta of a choice that has none: nothing, if a message repeats what was sent."""
    message, text = choice.pop("message", None), choice.pop("text", None)
    if not is_first:
        message = None
    if isinstance(message, dict):
        return message
    return {} if text is None else {"content": text}


def _repair_role(state: _Choice, delta: dict[str, Any]) -> bool:
    """Say the role once, in the first delta: clients append what is repeated."""
    if state.has_role:
        if "role" not in delta:
            return False
        del delta["role"]
        return True
    state.has_role = True
    if delta.get("role") == "assistant":
        return False
    delta["role"] = "assistant"
    return True


def _repair_calls(state: _Choice, delta: dict[str, Any]) -> bool:
    calls = delta["tool_calls"]
    if calls is None:
        return False
    pieces = [piece for piece in as_list(calls) if isinstance(piece, dict)]
    changed = bool(pieces != calls)
    for piece in pieces:
        changed = _repair_call(state, piece) or changed
    if changed:
        delta["tool_calls"] = [piece for piece in pieces if piece]
        if not delta["tool_calls"]:
            del delta["tool_calls"]
    return changed


def _repair_call(state: _Choice, piece: dict[str, Any]) -> bool:
    """Repair a piece of a call, or empty it if it holds nothing; return whether it changed."""
    before = (piece.get("index"), piece.get("id"), piece.get("type"), piece.get("function"))
    function = dict(function_of(piece))
    if "arguments" in function and not isinstance(function["arguments"], str | None):
        function["arguments"] = arguments_text(function["arguments"])
    call = _continued(state, piece, function)
    if call is None and not any((piece.get("id"), *function.values())):
        piece.clear()
        return True
    if call is None:
        call = _begin(state, piece, function)
    else:
        _continue(call, piece, function)
    if isinstance(text := function.get("arguments"), str) and text:
        if text.strip() == "null" and not call.arguments:
            text = function["arguments"] = "{}"
        call.arguments.append(text)
    piece["index"] = call.index
    if function or "function" in piece:
        piece["function"] = function
    return before != (piece["index"], piece.get("id"), piece.get("type"), piece.get("function"))


def _continued(state: _Choice, piece: dict[str, Any], function: dict[str, Any]) -> _Call | None:
    """Return the call that a piece continues; None if it begins one."""
    number, identity, name = piece.get("index"), piece.get("id"), function.get("name")
    last = state.calls[-1] if state.calls else None
    if type(number) is int:
        call = state.by_number.get(number)
        if not identity and not name:
            return call if call is not None else last
    elif identity:
        call = state.by_id.get(str(identity))
    else:
        call = last
    if call is None:
        return None
    if identity and call.given_id and str(identity) != call.given_id:
        # A new id begins a call, unless the server invents one for each piece.
        return call if not name and not call.arguments.are_complete() else None
    if name and not identity and name != call.name and call.arguments:
        return None
    return None if function.get("arguments") and call.arguments.are_complete() else call


def _begin(state: _Choice, piece: dict[str, Any], function: dict[str, Any]) -> _Call:
    number, given, name = piece.get("index"), piece.get("id"), function.get("name")
    call = _Call(
        len(state.calls),
        "" if given is None else str(given),
        own_id(given, state.ids),
        name if isinstance(name, str) else "",
    )
    state.calls.append(call)
    state.by_number[number if type(number) is int else call.index] = call
    if call.given_id:
        state.by_id[call.given_id] = call
    piece["id"] = call.identity
    piece["type"] = "function"
    function["name"] = call.name
    if not isinstance(function.get("arguments"), str):
        function["arguments"] = ""
    return call


def _continue(call: _Call, piece: dict[str, Any], function: dict[str, Any]) -> None:
    """Leave out what clients have: they append names and ids that are repeated."""
    call.given_id = call.given_id or str(piece.get("id") or "")
    piece.pop("id", None)
    if piece.get("type", "function") != "function":
        del piece["type"]
    name = function.get("name")
    if not name or name == call.name or not isinstance(name, str):
        function.pop("name", None)
    else:
        call.name += name


def _complete_arguments(state: _Choice, delta: dict[str, Any]) -> bool:
    """Send {} for calls without arguments, which clients could not parse."""
    empty = [call for call in state.calls if not call.arguments]
    if not empty:
        return False
    pieces = [{"index": call.index, "function": {"arguments": "{}"}} for call in empty]
    delta["tool_calls"] = [*(delta.get("tool_calls") or ()), *pieces]
    for call in empty:
        call.arguments.append("{}")
    return True
