"""Chat with `functions`, the predecessor of `tools`: the answer has `function_call`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from gateway.dataplane.doors.interface import Asked, Carries, Door, StreamWriter
from gateway.dataplane.doors.openai import OpenAI
from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Answer, Frame, Operation

FIELDS: Final = frozenset({"functions", "function_call"})


class Functions(OpenAI):
    """OpenAI's format until 2023, converted to and from tools."""

    name = "functions"
    converts = True

    def neutral(self, operation: Operation, asked: Asked) -> dict[str, Any]:
        body = {name: value for name, value in asked.body.items() if name not in FIELDS}
        if functions := asked.body.get("functions"):
            if body.get("tools"):
                raise CannotExpress("Send tools or functions, not both.", param="functions")
            body["tools"] = _tools(functions)
            if choice := asked.body.get("function_call"):
                body["tool_choice"] = _choice(choice)
        body["messages"] = _messages(body["messages"])
        return body

    def carries(self, asked: Asked) -> Carries | None:
        return None

    def write(self, answer: Answer, measured: Mapping[str, Any], asked: Asked) -> bytes:
        if answer.body is not None:
            answer = replace(answer, body=_with_function_calls(answer.body, "message"))
        return super().write(answer, measured, asked)

    def writer(self, operation: Operation, asked: Asked, *, native: bool) -> StreamWriter:
        return _Frames(super().writer(operation, asked, native=native))


class _Frames:
    """Write chunks with `function_call` in the place of `tool_calls`."""

    def __init__(self, written: StreamWriter) -> None:
        self._written = written
        self.end = written.end
        self.fail = written.fail

    def write(self, frames: Sequence[Frame]) -> bytes:
        return self._written.write([self._frame(frame) for frame in frames])

    def _frame(self, frame: Frame) -> Frame:
        if b'"tool_calls"' not in frame.data:
            return frame
        chunk = _with_function_calls(orjson.loads(frame.data), "delta")
        return replace(frame, data=orjson.dumps(chunk))


def _tools(functions: Any) -> list[dict[str, Any]]:
    if not isinstance(functions, list) or not all(isinstance(one, dict) for one in functions):
        raise CannotExpress("functions must be a list of objects.", param="functions")
    return [{"type": "function", "function": function} for function in functions]


def _choice(choice: Any) -> Any:
    if isinstance(choice, dict):
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice


def _messages(messages: Sequence[Any]) -> list[Any]:
    """Convert calls and results; a result belongs to the last call before it."""
    converted: list[Any] = []
    identity = "call_0"
    for number, message in enumerate(messages):
        if isinstance(call := message.get("function_call"), dict):
            identity = f"call_{number}"
            others = {name: value for name, value in message.items() if name != "function_call"}
            calls = [{"id": identity, "type": "function", "function": call}]
            converted.append({**others, "tool_calls": calls})
        elif message["role"] == "function":
            content = message.get("content")
            converted.append({"role": "tool", "tool_call_id": identity, "content": content})
        else:
            converted.append(message)
    return converted


def _with_function_calls(body: dict[str, Any], part: str) -> dict[str, Any]:
    """Return an answer or a chunk with its first tool call as `function_call`."""
    choices = [_choice_with_function_call(choice, part) for choice in body["choices"]]
    return {**body, "choices": choices}


def _choice_with_function_call(choice: dict[str, Any], part: str) -> dict[str, Any]:
    message = dict(choice.get(part) or {})
    calls = message.pop("tool_calls", None) or ()
    # The format has room for one call. Pieces of others have a higher index.
    first = next((call for call in calls if call.get("index", 0) == 0), None)
    if first is not None:
        message["function_call"] = first.get("function")
    finish = choice.get("finish_reason")
    return {
        **choice,
        part: message,
        "finish_reason": "function_call" if finish == "tool_calls" else finish,
    }


DOOR: Final[Door] = Functions()
