"""OpenAI's Responses (https://developers.openai.com/api/reference/resources/responses)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from core.asgi.heartbeat import COMMENT
from gateway.dataplane.doors.interface import (
    Asked,
    Carries,
    CheckedBody,
    Door,
    Headers,
    StreamWriter,
)
from gateway.dataplane.doors.openai import DOOR as OPENAI
from gateway.dataplane.doors.openai_responses import kept
from gateway.dataplane.doors.openai_responses.answers import encrypts, response_id, response_of
from gateway.dataplane.doors.openai_responses.events import Numbered
from gateway.dataplane.doors.openai_responses.requests import neutral_body
from gateway.dataplane.doors.openai_responses.stream import ResponseEvents
from gateway.dataplane.errors import Refusal, bad_request
from gateway.dataplane.requests import schema
from providers.declaration.spec import Answer, Frame, Operation
from providers.operations.fields import InvalidBody, problem_of
from providers.operations.request_checks import INPUT, check_response, flag

# Fields that name a conversation or a prompt which the provider stores.
_IN_ITS_PLACE: Final = ("previous_response_id", "conversation", "prompt")


class Responses:
    """The format of Codex, and the default of OpenAI's Agents SDK and of the AI SDK."""

    name = "responses"
    converts = True
    marker = ""
    forwarded = frozenset({"openai-beta"})
    heartbeat = COMMENT
    keeps = True

    def path_of(self, operation: Operation) -> str:
        return self.name

    def read(self, operation: Operation, body: Any) -> CheckedBody:
        checked = schema.read_common(body)
        try:
            checked.stream = flag(body, "stream")
            runs_in_background = flag(body, "background")
            check_response(body)
        except InvalidBody as error:
            raise bad_request(error.message, error.param) from None
        if body.get("input") is None and not any(map(body.get, _IN_ITS_PLACE)):
            raise bad_request(f"input {problem_of(body, 'input', (str, list), INPUT)}", "input")
        if runs_in_background:
            message = "Responses are not made in the background here. Leave background out."
            raise bad_request(message, "background")
        checked.include_usage = True
        checked.as_sent = not any(map(kept.is_ours, _items(body)))
        return checked

    def neutral(self, operation: Operation, asked: Asked) -> dict[str, Any]:
        return neutral_body(asked.body, asked.seal, asked.not_kept)

    def carries(self, asked: Asked) -> Carries | None:
        return Carries.ALL if encrypts(asked) else Carries.NOTHING

    def write(self, answer: Answer, measured: Mapping[str, Any], asked: Asked) -> bytes:
        if answer.content is not None:
            return answer.content
        return orjson.dumps(response_of(answer.body or {}, measured, asked))

    def writer(self, operation: Operation, asked: Asked, *, native: bool) -> StreamWriter:
        return NativeEvents() if native else ResponseEvents(asked)

    def error(self, refusal: Refusal, request_id: str) -> bytes:
        return OPENAI.error(refusal, request_id)

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        return failure(Numbered(), refusal, request_id)

    def id_headers(self, request_id: str) -> Headers:
        return []


class NativeEvents:
    """Passes on events as their provider wrote them."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def write(self, frames: Sequence[Frame]) -> bytes:
        self._count += len(frames)
        return b"".join([frame.data for frame in frames])

    def end(self, measured: Mapping[str, Any]) -> bytes:
        return b""

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        return failure(Numbered(self._count), refusal, request_id)


def failure(events: Numbered, refusal: Refusal, request_id: str) -> bytes:
    """Return the events of a stream's failure whose response is unknown."""
    response = {"id": response_id(request_id), "object": "response", "output": []}
    return events.failure(refusal, response)


def _items(body: Mapping[str, Any]) -> Sequence[Any]:
    given = body.get("input")
    return given if isinstance(given, list) else ()


DOOR: Final[Door] = Responses()
