"""Decoders of streamed transcripts: OpenAI's events, vLLM's chunks, and whole answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from providers.declaration.errors import ProviderError
from providers.declaration.spec import Answer, ErrorMap, Frame, Reply, Usage
from providers.wire.chat_answers import choices_of
from providers.wire.decoding import EventStream, error_in_stream
from providers.wire.openai.errors import error_object
from providers.wire.repairs.json_text import Repaired
from providers.wire.usage import seconds_of, usage_of


def transcript_usage(usage: Any) -> Usage | None:
    """Read tokens or seconds, whichever the provider counts."""
    if not isinstance(usage, dict):
        return None
    if usage.get("type") == "duration" or "seconds" in usage:
        seconds = seconds_of(usage.get("seconds"))
        return None if seconds is None else Usage(audio_seconds=seconds)
    return usage_of(usage)


class EventDecoder(EventStream):
    """Relay a stream of typed events that ends with an event of its own."""

    last: str  # type of that event
    piece: str  # field that holds a piece of the answer

    def __init__(self, errors: ErrorMap) -> None:
        super().__init__()
        self._errors = errors

    def _error_of(self, body: bytes) -> ProviderError | None:
        return self._errors(Reply(200, {}, body))

    def _convert(self, name: bytes, data: bytes) -> Sequence[Frame]:
        return self.closed() if data.strip() == b"[DONE]" else self._frame(data)

    def _frame(self, data: bytes) -> Sequence[Frame]:
        event = self._parsed(data)
        if event is None:
            return ()
        if error_object(event) is not None:
            raise error_in_stream(self._errors, data)
        if isinstance(event.get("choices"), list):
            return self.translated(event)
        if event.get("type") == self.last:
            self.usage, self.finish_reason, self.done = (
                transcript_usage(event.get("usage")),
                "stop",
                True,
            )
        piece = event.get(self.piece)
        self.output_characters += self.characters_in(piece)
        if isinstance(event, Repaired) or b"\n" in data:
            data = orjson.dumps(event)
        return [Frame(data, content=isinstance(piece, str))]

    def translated(self, chunk: dict[str, Any]) -> Sequence[Frame]:
        """Convert a chunk of another format to events."""
        return ()

    def closed(self) -> Sequence[Frame]:
        """Return the events still missing when the server sends [DONE]."""
        return ()

    def characters_in(self, piece: Any) -> int:
        return 0


class TranscriptDecoder(EventDecoder):
    """Relay `transcript.text.delta` and `.done` events, and create them from vLLM's
    `transcription.chunk`, or from a whole transcript.

    Args:
        read: converts a whole body to the answer; may raise ProviderError.
    """

    last = "transcript.text.done"
    piece = "delta"

    def __init__(self, errors: ErrorMap, read: Callable[[Reply], Answer]) -> None:
        super().__init__(errors)
        self._answer_of = read
        self._pieces: list[str] = []  # of chunks

    def translated(self, chunk: dict[str, Any]) -> Sequence[Frame]:
        self.usage = transcript_usage(chunk.get("usage")) or self.usage
        choices = choices_of(chunk)
        if not choices:
            return ()
        self.finish_reason = choices[0].get("finish_reason") or self.finish_reason
        piece = (choices[0].get("delta") or {}).get("content") or ""
        self._pieces.append(piece)
        self.output_characters += len(piece)
        return [_delta(piece)] if piece else ()

    def closed(self) -> Sequence[Frame]:
        if not self._pieces:
            return ()
        self.finish_reason, self.done = self.finish_reason or "stop", True
        return [_done("".join(self._pieces), None)]

    def _unended(self) -> Sequence[Frame]:
        if self._pieces and self.finish_reason is not None:  # no [DONE] came
            return self.closed()
        return super()._unended()

    def _whole_body(self, body: bytes) -> Sequence[Frame]:
        answer = self._answer_of(Reply(200, {"content-type": "application/json"}, body))
        text = str((answer.body or {}).get("text") or "")
        self.usage, self.finish_reason, self.done = answer.usage, "stop", True
        self.output_characters = len(text)
        return [*([_delta(text)] if text else []), _done(text, (answer.body or {}).get("usage"))]

    def characters_in(self, piece: Any) -> int:
        return len(piece) if isinstance(piece, str) else 0


def _delta(text: str) -> Frame:
    return Frame(orjson.dumps({"type": "transcript.text.delta", "delta": text}), content=True)


def _done(text: str, usage: Any) -> Frame:
    return Frame(
        orjson.dumps(
            {"type": "transcript.text.done", "text": text} | ({"usage": usage} if usage else {})
        )
    )
