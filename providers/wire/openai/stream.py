"""Decoders of chat streams in OpenAI's form, which parse frames only as far as needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from providers.declaration.errors import ProviderError
from providers.declaration.spec import Answer, Decoder, ErrorMap, Frame, Reply
from providers.wire.chat_answers import (
    Tidy,
    answer_of,
    characters_of,
    choices_of,
    frames_of,
)
from providers.wire.decoding import (
    EventStream,
    ReadyStream,
    broken_off,
    error_event,
)
from providers.wire.http import json_or_none, read_object
from providers.wire.openai.errors import error_in_chat, error_object
from providers.wire.repairs.answers import complete_head, new_id, repair_usage
from providers.wire.repairs.chunks import ChunkRepairs, Repairs
from providers.wire.repairs.json_text import Repaired
from providers.wire.repairs.plain import only_text
from providers.wire.usage import reported_in

# Fields that carry no part of the answer.
_METADATA = frozenset(
    {
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "system_fingerprint",
        "service_tier",
        "obfuscation",
    }
)


def stream_of(
    reply: Reply, errors: ErrorMap, tidy: Tidy | None = None, *, tidies_shape: bool = False
) -> Decoder:
    """Return the decoder of an open body, also for servers that do not stream."""
    return ChatDecoder(errors, tidy, tidies_shape=tidies_shape)


class ChatDecoder(EventStream):
    """Relay chunks frame by frame, with at most one JSON decode per frame and none for plain
    text.

    Args:
        tidy: the provider's own repairs of chunks.
        tidies_shape: whether what `tidy` does never depends on the text of a chunk.
        tidy_whole: its repairs of an answer that comes whole; `tidy` by default.
    """

    __slots__ = (
        "_errors",
        "_identity",
        "_repairs",
        "_tidied_by",
        "_tidies_shape",
        "_tidy_whole",
    )
    kind = "chat.completion.chunk"

    def __init__(
        self,
        errors: ErrorMap,
        tidy: Tidy | None = None,
        *,
        tidies_shape: bool = False,
        tidy_whole: Tidy | None = None,
    ) -> None:
        super().__init__()
        self._errors = errors
        self._tidied_by = tidy
        self._tidies_shape = tidies_shape
        self._tidy_whole = tidy_whole or tidy
        self._identity = ""
        self._repairs = self._new_repairs()

    def _new_repairs(self) -> Repairs:
        return ChunkRepairs()

    def _unended(self) -> Sequence[Frame]:
        if self.finish_reason is None:
            raise broken_off()
        self.done = True
        return self._closing()

    def _convert(self, name: bytes, data: bytes) -> Sequence[Frame]:
        if data.strip() == b"[DONE]":
            self.done = True
            return self._closing()
        frame = self._frame(name, data)
        return () if frame is None else (frame,)

    def _frame(self, event: bytes, data: bytes) -> Frame | None:
        """Return the frame of a chunk, or None if it is empty: clients that expect a choice would
        fail on it.
        """
        chunk = self._parsed(data)
        if event == b"error" and (chunk is None or error_object(chunk) is None):
            raise error_event(self._errors, data)
        if chunk is None:
            return None
        if (error := error_in_chat(chunk, data, self._errors)) is not None:
            raise error
        if "choices" not in chunk and not chunk.get("usage"):
            return None  # a ping
        shaped = self._repairs.repair(chunk)
        self._identity = self._identity or str(chunk.get("id") or new_id())
        shaped = complete_head(chunk, self.kind, self._identity) or shaped
        tidied = self._tidy(chunk)
        shaped = self._repairs.finish(chunk) or shaped
        if b'"usage"' in data:
            self.note_usage(reported_in(chunk))
        shaped = repair_usage(chunk) or shaped
        content = self._note(chunk)
        if not chunk["choices"] and not chunk.get("usage") and chunk.keys() <= _METADATA:
            return None
        if shaped or tidied or isinstance(chunk, Repaired) or b"\n" in data:
            sent = orjson.dumps(chunk)
        else:
            sent = data
        if content:
            self._teach(chunk, data, sent, tidied=tidied)
        return Frame(sent, content, bool(chunk.get("usage")) and not chunk["choices"])

    def _tidy(self, chunk: dict[str, Any]) -> bool:
        """Make the provider's own repairs, and tell whether they changed the chunk."""
        return self._tidied_by is not None and self._tidied_by(chunk)

    def _teach(self, chunk: dict[str, Any], data: bytes, sent: bytes, *, tidied: bool) -> None:
        """Have chunks that differ from this one only in their text take the fast path."""
        if self._tidies_shape or not tidied:
            self._plain.learn(data, sent, self._only_text(chunk))

    def _note(self, chunk: dict[str, Any]) -> bool:
        """Record finish reason and size, and tell whether the chunk contains a piece of the
        answer.
        """
        characters = 0
        for choice in choices_of(chunk):
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            characters += self.characters_in(choice)
        self.output_characters += characters
        return characters > 0

    def characters_in(self, choice: dict[str, Any]) -> int:
        """Count the characters of the answer in one choice of a chunk."""
        return characters_of(choice["delta"])

    def _only_text(self, chunk: dict[str, Any]) -> str:
        """Return the text of a chunk that holds nothing else, or an empty text."""
        return only_text(chunk["choices"])

    def _closing(self) -> list[Frame]:
        """Return the frame of a stream's end if its server named no finish reason."""
        choices = self._repairs.unfinished()
        if not choices:
            return []
        self.finish_reason = self.finish_reason or choices[0]["finish_reason"]
        chunk = {"id": self._identity, "choices": choices}
        complete_head(chunk, self.kind)
        return [Frame(orjson.dumps(chunk))]

    def _whole_body(self, body: bytes) -> Sequence[Frame]:
        answer = json_or_none(body)
        if answer is None and body.lstrip().startswith(b"{"):
            return self._lines(body)
        if error := self._error_of(body):
            raise error
        return self._answered(self.ready(read_object(Reply(200, {}, body))))

    def _error_of(self, body: bytes) -> ProviderError | None:
        answer = json_or_none(body)
        found = error_in_chat(answer, body, self._errors) if isinstance(answer, dict) else None
        return found or self._errors(Reply(200, {}, body))

    def ready(self, body: dict[str, Any]) -> ReadyAnswer:
        """Convert an answer that came whole."""
        return ReadyAnswer(answer_of(body, self._tidy_whole))


class ReadyAnswer(ReadyStream):
    """Decoder of an answer that came whole although the client wants a stream."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._body = answer.body or {}
        self.usage, self.finish_reason = answer.usage, answer.finish_reason
        self.output_characters = sum(
            characters_of(choice.get("message") or {}) for choice in choices_of(self._body)
        )

    def finish(self) -> Sequence[Frame]:
        self.done = True
        return frames_of(self._body)
