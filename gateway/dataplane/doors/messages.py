"""Anthropic's messages (https://docs.anthropic.com/en/api/messages)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.dataplane.doors.anthropic.answers import message_of
from gateway.dataplane.doors.anthropic.errors import error_object
from gateway.dataplane.doors.anthropic.requests import neutral_body
from gateway.dataplane.doors.anthropic.stream import MessageEvents, NativeEvents
from gateway.dataplane.doors.interface import (
    Asked,
    Carries,
    CheckedBody,
    Door,
    Headers,
    StreamWriter,
)
from gateway.dataplane.errors import Refusal, bad_request
from gateway.dataplane.requests import schema
from providers.declaration.spec import Answer, Operation
from providers.operations.fields import InvalidBody
from providers.operations.request_checks import check_messages, flag
from providers.wire.native.raw_events import event_of
from providers.wire.repairs import exact_json


class Messages:
    """The format of Anthropic's SDKs and of Claude Code."""

    name = "messages"
    converts = True
    marker = "anthropic-version"
    forwarded = frozenset({"anthropic-version", "anthropic-beta"})
    heartbeat = b'event: ping\ndata: {"type":"ping"}\n\n'
    keeps = False

    def path_of(self, operation: Operation) -> str:
        return "messages"

    def read(self, operation: Operation, body: Any) -> CheckedBody:
        checked = schema.read_common(body)
        try:
            checked.stream = flag(body, "stream")
            check_messages(body)
        except InvalidBody as error:
            raise bad_request(error.message, error.param) from None
        checked.include_usage = True
        return checked

    def neutral(self, operation: Operation, asked: Asked) -> dict[str, Any]:
        return neutral_body(asked.body)

    def carries(self, asked: Asked) -> Carries | None:
        return Carries.ANTHROPIC

    def write(self, answer: Answer, measured: Mapping[str, Any], asked: Asked) -> bytes:
        if answer.content is not None:
            return answer.content
        return exact_json.dumps(message_of(answer.body or {}, measured))

    def writer(self, operation: Operation, asked: Asked, *, native: bool) -> StreamWriter:
        return NativeEvents() if native else MessageEvents()

    def error(self, refusal: Refusal, request_id: str) -> bytes:
        return orjson.dumps(error_object(refusal, request_id))

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        return event_of(error_object(refusal, request_id))

    def id_headers(self, request_id: str) -> Headers:
        return [(b"request-id", request_id.encode())]


DOOR: Final[Door] = Messages()
