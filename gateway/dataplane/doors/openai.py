"""OpenAI's endpoints. Their format is the neutral form, so nothing is converted."""

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
from gateway.dataplane.errors import Refusal
from gateway.dataplane.requests import schema
from providers.declaration.spec import Answer, Frame, Operation
from providers.operations.columns import Stream
from providers.operations.table import OPERATIONS

DONE: Final = b"data: [DONE]\n\n"


class OpenAI:
    """The format of chat completions and of all other endpoints of OpenAI."""

    name = "openai"
    converts = False
    marker = ""
    forwarded: frozenset[str] = frozenset()
    heartbeat = COMMENT
    keeps = False

    def path_of(self, operation: Operation) -> str:
        return operation.path

    def read(self, operation: Operation, body: Any) -> CheckedBody:
        return schema.read(operation, body)

    def neutral(self, operation: Operation, asked: Asked) -> dict[str, Any]:
        return asked.body

    def carries(self, asked: Asked) -> Carries | None:
        return Carries.NOTHING

    def write(self, answer: Answer, measured: Mapping[str, Any], asked: Asked) -> bytes:
        return orjson.dumps(answer.body) if answer.content is None else answer.content

    def writer(self, operation: Operation, asked: Asked, *, native: bool) -> StreamWriter:
        has_chunks = OPERATIONS[operation].stream is Stream.CHUNKS
        return Frames(include_usage=asked.include_usage, ending=DONE if has_chunks else b"")

    def error(self, refusal: Refusal, request_id: str) -> bytes:
        return orjson.dumps(
            {
                "error": {
                    "message": refusal.message,
                    "type": refusal.type,
                    "code": refusal.code,
                    "param": refusal.param,
                    "request_id": request_id,
                }
            }
        )

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        return b"event: error\ndata: " + self.error(refusal, request_id) + b"\n\n"

    def id_headers(self, request_id: str) -> Headers:
        return []


class Frames:
    """Write each frame as one event."""

    __slots__ = ("_ending", "_include_usage")

    def __init__(self, *, include_usage: bool, ending: bytes) -> None:
        self._include_usage = include_usage
        self._ending = ending

    def write(self, frames: Sequence[Frame]) -> bytes:
        include_usage = self._include_usage
        return b"".join(
            [
                b"data: %b\n\n" % frame.data
                for frame in frames
                if include_usage or not frame.usage_only
            ]
        )

    def end(self, measured: Mapping[str, Any]) -> bytes:
        return self._ending

    def fail(self, refusal: Refusal, request_id: str) -> bytes:
        return DOOR.error_event(refusal, request_id)


DOOR: Final[Door] = OpenAI()
