"""OpenAI's Responses passed on as they are: only the model's name and the key are ours.

Usage, finish reason and errors are read on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from providers.declaration.errors import ProviderError
from providers.declaration.spec import (
    Access,
    Answer,
    ErrorMap,
    Exchange,
    Frame,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
)
from providers.wire.decoding import EventStream, error_in_stream
from providers.wire.http import Auth, json_or_none, post_json, read_object, url_of
from providers.wire.native.raw_events import RawEvents, event_of
from providers.wire.native.sent_body import with_model
from providers.wire.openai.responses.answers import CALLS, answer_of, finish_of, usage_of

_ENDS: Final = frozenset({"response.completed", "response.incomplete"})
_FAILURES: Final = frozenset({"response.failed", "response.cancelled"})
_TEXT_PIECE: Final = b'{"type":"response.output_text.delta",'
_DELTA: Final = b'"delta":"'


def native_responses(*, auth: Auth, path: str = "/responses", version: str = "/v1") -> MakeExchange:
    """Make the exchange for requests that came in the Responses format."""

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        native = request.native
        assert native is not None, "only for requests in this format"
        url = url_of(provider, access, path, version=version)
        headers = {**native.headers, **auth(access)}
        call = post_json(url, headers, {}, stream=request.stream)
        call.body = with_model(native.data, request.body, request.model)
        reply = yield call
        if request.stream:
            return NativeDecoder(provider.errors)
        return native_answer(reply)

    return exchange


def _plain_characters(data: bytes) -> int | None:
    """Count the characters of a piece of text without parsing it; None if it must be parsed."""
    if not data.startswith(_TEXT_PIECE):
        return None
    piece, quote, _rest = data.partition(_DELTA)[2].partition(b'"')
    return None if not quote or b"\\" in piece else len(piece.decode(errors="replace"))


def native_answer(reply: Reply) -> Answer:
    """Read a whole answer, which is passed on as it came.

    Raises:
        ProviderError: if it is not a response that has ended.
    """
    body = read_object(reply)
    neutral = answer_of(body)
    return Answer(
        None,
        neutral.usage,
        content=reply.body,
        finish_reason=neutral.finish_reason,
        output_characters=characters_in(body),
    )


def characters_in(response: Mapping[str, Any]) -> int:
    """Count the characters of text, reasoning and arguments in a response."""
    items = [item for item in response.get("output") or () if isinstance(item, dict)]
    parts = [
        part
        for item in items
        for name in ("content", "summary")
        for part in item.get(name) or ()
        if isinstance(part, dict)
    ]
    texts = [part.get(name) for part in parts for name in ("text", "refusal")]
    texts += [item.get(name) for item in items for name in ("arguments", "input", "name")]
    return sum(len(text) for text in texts if isinstance(text, str))


class NativeDecoder(EventStream):
    """Pass on the events of a response byte for byte."""

    __slots__ = ("_errors", "_has_calls")
    native = True

    def __init__(self, errors: ErrorMap) -> None:
        super().__init__()
        self._errors = errors
        self._parser = RawEvents()
        self._has_calls = False

    def _decode(self, events: Sequence[tuple[bytes, bytes]], frames: list[Frame]) -> None:
        for raw, data in events:
            if (characters := _plain_characters(data)) is not None:
                self.output_characters += characters
                frames.append(Frame(raw, characters > 0))
                continue
            event = self._parsed(data) if data else None
            frames.append(Frame(raw, event is not None and self._read(event)))
            if self.done:
                break

    def _read(self, event: dict[str, Any]) -> bool:
        """Note what an event says; return whether it holds a piece of the answer."""
        kind = event.get("type")
        if not isinstance(kind, str):
            return False
        if kind.endswith(".delta"):
            piece = event.get("delta")
            characters = len(piece) if isinstance(piece, str) else 0
            self.output_characters += characters
            return characters > 0
        if kind == "response.output_item.added":
            return self._added(event.get("item"))
        if kind in _ENDS:
            self._end(event.get("response"))
        elif kind in _FAILURES or kind == "error":
            raise self._failed(event)
        return False

    def _added(self, item: Any) -> bool:
        if not isinstance(item, dict) or item.get("type") not in CALLS:
            return False
        self._has_calls = True
        self.output_characters += len(str(item.get("name") or ""))
        return True

    def _end(self, response: Any) -> None:
        response = response if isinstance(response, dict) else {}
        self.usage, _shown = usage_of(response)
        self.finish_reason = finish_of(response, self._has_calls)
        self.done = True

    def _failed(self, event: Mapping[str, Any]) -> ProviderError:
        response = event.get("response")
        error = response.get("error") if isinstance(response, dict) else event.get("error") or event
        if not isinstance(error, dict):
            error = {"message": error or "The provider cancelled the answer."}
        told = {name: error.get(name) for name in ("message", "code", "param")}
        return error_in_stream(self._errors, orjson.dumps({"error": told}))

    def _whole_body(self, body: bytes) -> Sequence[Frame]:
        """Write the events of a response that a server didn't stream."""
        response = json_or_none(body)
        if self._error_of(body) is not None or not isinstance(response, dict):
            return super()._whole_body(body)
        answer_of(response)  # raises an error if it is none
        self._has_calls = any(item.get("type") in CALLS for item in response["output"])
        self.output_characters = characters_in(response)
        self._end(response)
        return [Frame(event_of(event), True) for event in events_of(response)]

    def _error_of(self, body: bytes) -> ProviderError | None:
        return self._errors(Reply(200, {}, body))


def events_of(response: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a whole response, without pieces: clients take its items as they are."""
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for number, item in enumerate(response["output"]):
        for kind in ("added", "done"):
            name = f"response.output_item.{kind}"
            events.append({"type": name, "output_index": number, "item": item})
    events.append({"type": f"response.{response['status']}", "response": response})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]
