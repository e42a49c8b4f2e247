"""Anthropic's messages passed on as they are: only the model's name and the key are ours.

Usage, finish reason and errors are read on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from providers.declaration.spec import (
    Access,
    Answer,
    Call,
    ErrorMap,
    Exchange,
    Frame,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
)
from providers.wire.anthropic.decoding import answer_of, finish_of, usage_of, without_output
from providers.wire.anthropic.messages import (
    VERSION_WITH_SAMPLING,
    default_max_tokens,
    whole_answer,
)
from providers.wire.anthropic.raw_events import events_of
from providers.wire.anthropic.signatures import has_own_thoughts, without_own_thoughts
from providers.wire.decoding import EventStream, broken_off, error_in_stream
from providers.wire.http import Auth, json_or_none, post_json, read_object, unreadable, url_of
from providers.wire.native.raw_events import RawEvents
from providers.wire.native.sent_body import with_model
from providers.wire.repairs import exact_json
from providers.wire.repairs.bodies import is_event_stream

_TEXT: Final = b'"delta":{"type":"text_delta","text":"'
_BEFORE_TEXT: Final = 100  # bytes of an event


def anthropic_native(*, auth: Auth, path: str = "/messages", version: str = "/v1") -> MakeExchange:
    """Make the exchange for requests that came in Anthropic's format."""

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        call = native_call(url_of(provider, access, path, version=version), auth(access), request)
        if request.body.get("max_tokens") is None:
            call.body = _with_limit(call.body or b"", request.body, facts)
        reply = yield call
        if request.stream:
            return NativeDecoder(provider.errors)
        if is_event_stream(reply.body):
            return whole_answer(reply, provider)
        return native_answer(reply)

    return exchange


def anthropic_count(*, auth: Auth, path: str = "/messages/count_tokens") -> MakeExchange:
    """Make the exchange that counts a request's tokens, which is free.

    See https://docs.anthropic.com/en/api/messages-count-tokens
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        reply = yield native_call(url_of(provider, access, path), auth(access), request)
        if not isinstance(read_object(reply).get("input_tokens"), int):
            raise unreadable(reply)
        return Answer(None, content=reply.body)

    return exchange


def native_call(url: str, auth: Mapping[str, str], request: Request) -> Call:
    """Build the call that sends a request as it came."""
    native = request.native
    assert native is not None, "only for requests in this format"
    headers = {"anthropic-version": VERSION_WITH_SAMPLING, **native.headers, **auth}
    call = post_json(url, headers, {}, stream=request.stream)
    call.body = sent_body(native.data, request.body, request.model)
    return call


def sent_body(data: bytes, body: Mapping[str, Any], model: str) -> bytes:
    """Return the body with the provider's name of the model and nothing else changed.

    Thoughts that another provider had, which we signed, are taken out: they would be refused.
    """
    if has_own_thoughts(body):
        return exact_json.dumps({**without_own_thoughts(body), "model": model})
    return with_model(data, body, model)


def _with_limit(data: bytes, body: Mapping[str, Any], facts: ModelFacts) -> bytes:
    """Return a body with the limit that Anthropic requires, as converted calls get it."""
    limit = default_max_tokens(facts)
    if "max_tokens" in body:
        return exact_json.dumps({**exact_json.loads(data), "max_tokens": limit})
    return data.rstrip()[:-1] + b',"max_tokens":%d}' % limit


def native_answer(reply: Reply) -> Answer:
    """Read a whole answer, which is passed on as it came.

    Raises:
        ProviderError: if it is no message.
    """
    neutral = answer_of(read_object(reply))
    return Answer(
        None,
        neutral.usage,
        content=reply.body,
        finish_reason=neutral.finish_reason,
        output_characters=sum(map(len, _texts(neutral.body))),
    )


def _texts(body: Mapping[str, Any] | None) -> list[str]:
    message = (body or {})["choices"][0]["message"]
    texts = [message.get("content"), message.get("reasoning_content")]
    texts += [call["function"]["arguments"] for call in message.get("tool_calls") or ()]
    return [text for text in texts if text]


class NativeDecoder(EventStream):
    """Pass on Anthropic's events byte for byte."""

    __slots__ = ("_errors",)
    native = True

    def __init__(self, errors: ErrorMap) -> None:
        super().__init__()
        self._errors = errors
        self._parser = RawEvents()

    def note_usage(self, reported: Any) -> None:
        super().note_usage(reported)
        self.usage = usage_of(self._reported)

    def _decode(self, events: Sequence[tuple[bytes, bytes]], frames: list[Frame]) -> None:
        for raw, data in events:
            if (text := data.find(_TEXT, 0, _BEFORE_TEXT)) >= 0:
                # Only the characters of a piece of text matter: it is not parsed.
                characters = len(data[text + len(_TEXT) : -3].decode(errors="ignore"))
                self.output_characters += characters
                frames.append(Frame(raw, characters > 0))
                continue
            event = self._parsed(data) if data else None
            frames.append(Frame(raw, event is not None and self._read(event, data)))
            if self.done:
                break

    def _read(self, event: dict[str, Any], data: bytes) -> bool:
        """Note what an event says; return whether it holds a piece of the answer."""
        match event.get("type"):
            case "content_block_delta":
                return self._piece(event.get("delta"))
            case "content_block_start":
                return self._piece(event.get("content_block"))
            case "message_start":
                message = event.get("message")
                if isinstance(message, dict):
                    self.note_usage(without_output(message.get("usage")))
            case "message_delta":
                self.note_usage(event.get("usage"))
                delta = event.get("delta")
                if isinstance(delta, dict) and delta.get("stop_reason"):
                    self.finish_reason = finish_of(delta["stop_reason"])
            case "message_stop":
                self.done = True
                self.finish_reason = self.finish_reason or "stop"
            case "error":
                raise error_in_stream(self._errors, data)
        return False

    def _piece(self, piece: Any) -> bool:
        if not isinstance(piece, dict):
            return False
        characters = 0
        for name in ("text", "partial_json", "thinking", "name"):
            if isinstance(text := piece.get(name), str):
                characters += len(text)
        self.output_characters += characters
        return characters > 0

    def _unended(self) -> Sequence[Frame]:
        if self.finish_reason is None:
            raise broken_off()
        self.done = True
        return [Frame(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')]

    def _whole_body(self, body: bytes) -> Sequence[Frame]:
        """Convert the message of a server that doesn't stream."""
        message = json_or_none(body)
        if not isinstance(message, dict) or message.get("type") != "message":
            return super()._whole_body(body)
        frames: list[Frame] = []
        self._decode([(raw, raw[raw.index(b"{") :]) for raw in events_of(message)], frames)
        return frames

    def _error_of(self, body: bytes) -> Any:
        return self._errors(Reply(200, {}, body))
