"""Decoders of chat streams in OpenAI's form, which parse frames only as far as needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson

from providers.declaration.spec import Answer, Decoder, ErrorMap, Frame, Reply
from providers.wire.chat_answers import (
    Tidy,
    answer_of,
    characters_of,
    choices_of,
    complete_head,
    frames_of,
    new_id,
    usage_of,
)
from providers.wire.decoding import (
    EventStream,
    ReadyStream,
    WholeStream,
    broken_off,
    error_in_stream,
    read_frame,
)
from providers.wire.http import is_web_page, json_or_none, media_type, read_object, unreadable
from providers.wire.openai.errors import error_object

# A chunk with one plain piece of text and nothing else that matters here. The group matches no
# escapes, so it is the text itself. JSON escapes quotes inside strings, so the rest of the pattern
# cannot match inside a text.
_PLAIN_PIECE = re.compile(
    r'"choices":\[\{"index":0,"delta":\{(?:"role":"assistant",)?'
    r'"content":"([^"\\\x00-\x1f]+)"(?:,"refusal":null)?\},?'
    r'(?:"logprobs":null,)?"finish_reason":null(?:,"logprobs":null)?\}\]'
)

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
    reply: Reply, errors: ErrorMap, tidy: Tidy | None = None, *, tidy_all: bool = False
) -> Decoder:
    """Return the decoder of an open body, also for servers that do not stream.

    Raises:
        ProviderError: if the body is a web page.
    """
    kind = media_type(reply)
    if is_web_page(reply):
        raise unreadable(reply)
    if kind == "application/json":
        return WholeBody(reply, errors, tidy)
    return ChatDecoder(errors, tidy, tidy_all=tidy_all)


class ChatDecoder(EventStream):
    """Relay chunks frame by frame, with at most one JSON decode per frame and none for plain
    text.
    """

    __slots__ = ("_errors", "_identity", "_tidy", "_tidy_all")
    kind = "chat.completion.chunk"

    def __init__(
        self, errors: ErrorMap, tidy: Tidy | None = None, *, tidy_all: bool = False
    ) -> None:
        super().__init__()
        self._errors = errors
        self._tidy = tidy
        self._tidy_all = tidy_all
        self._identity = ""

    def _unended(self) -> Sequence[Frame]:
        if self.finish_reason is None:
            raise broken_off()
        self.done = True
        return ()

    def _frames(self, events: Sequence[tuple[bytes, bytes]]) -> list[Frame]:
        frames: list[Frame] = []
        for _event, data in events:
            frame = self._plain(data)
            if frame is None:
                text = data.strip()
                if text == b"[DONE]":
                    self.done = True
                    break
                if not text:
                    continue
                frame = self._frame(data)
            if frame is not None:
                frames.append(frame)
        return frames

    def _plain(self, data: bytes) -> Frame | None:
        """Return the frame of a plain piece of text, recognized by its bytes; None for anything
        else.
        """
        if (
            self._tidy_all
            or b'"id":"' not in data
            or b'"usage":{' in data
            or b'"error"' in data
            or b"\n" in data
        ):
            return None
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        match = _PLAIN_PIECE.search(text)
        if match is None or text[0] != "{" or text[-1] != "}":
            return None
        self.output_characters += match.end(1) - match.start(1)
        return Frame(data, True)

    def _frame(self, data: bytes) -> Frame | None:
        """Return the frame of a chunk, or None if it is empty: clients that expect a choice would
        fail on it.
        """
        chunk = read_frame(data)
        if error_object(chunk) is not None and not chunk.get("choices"):
            raise error_in_stream(self._errors, data)
        self._identity = self._identity or str(chunk.get("id") or new_id())
        changed = complete_head(chunk, self.kind, self._identity)
        if self._tidy is not None:
            changed = self._tidy(chunk) or changed
        content = self._note(chunk)
        if not chunk.get("choices") and not chunk.get("usage") and chunk.keys() <= _METADATA:
            return None
        usage_only = bool(chunk.get("usage")) and not chunk.get("choices")
        return Frame(orjson.dumps(chunk) if changed or b"\n" in data else data, content, usage_only)

    def _note(self, chunk: dict[str, Any]) -> bool:
        """Record usage, finish reason and size, and tell whether the chunk contains a piece of the
        answer.
        """
        self.usage = usage_of(chunk.get("usage")) or self.usage
        characters = 0
        for choice in choices_of(chunk):
            finish = choice.get("finish_reason")
            if isinstance(finish, str) and finish:
                self.finish_reason = finish
            characters += self.characters_in(choice)
        self.output_characters += characters
        return characters > 0

    def characters_in(self, choice: dict[str, Any]) -> int:
        """Count the characters of the answer in one choice of a chunk."""
        delta = choice.get("delta")
        return characters_of(delta) if isinstance(delta, dict) else 0


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


class WholeBody(WholeStream):
    """Decoder for a server that sends one JSON body instead of a stream, or an error with status
    200.
    """

    def __init__(self, reply: Reply, errors: ErrorMap, tidy: Tidy | None) -> None:
        super().__init__()
        self._reply = reply
        self._errors = errors
        self._tidy = tidy

    def _read(self, data: bytes) -> Sequence[Frame]:
        body = json_or_none(data)
        has_error = error_object(body) is not None or self._errors(Reply(200, {}, data)) is not None
        if has_error and not choices_of(body):
            raise error_in_stream(self._errors, data)
        ready = self.ready(read_object(Reply(self._reply.status, self._reply.headers, data)))
        self.usage, self.finish_reason, self.output_characters = (
            ready.usage,
            ready.finish_reason,
            ready.output_characters,
        )
        self.done = True
        return ready.finish()

    def ready(self, body: dict[str, Any]) -> ReadyAnswer:
        return ReadyAnswer(answer_of(body, self._tidy))
