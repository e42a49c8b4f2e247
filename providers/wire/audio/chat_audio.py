"""Transcription by a chat model: the upload becomes a message, the answer's text the
transcript.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import (
    Access,
    Answer,
    Decoder,
    Exchange,
    Frame,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
    Upload,
    Usage,
)
from providers.wire.audio.transcriptions import TEXT_TYPES
from providers.wire.chat_answers import answer_of, choices_of
from providers.wire.http import Auth, read_object, url_of
from providers.wire.openai.stream import stream_of
from providers.wire.preconditions import upload_of
from providers.wire.repairs.asking import asked
from providers.wire.usage import seconds_of

_MEDIA_TYPE = re.compile(r"audio/[\w.+-]+|video/(?:mp4|webm)")


def chat_transcriptions(
    *,
    auth: Auth,
    version: str = "/v1",
    limit: int,
    options: Callable[[dict[str, Any]], dict[str, Any]],
) -> MakeExchange:
    """Make the exchange for transcriptions.

    Args:
        limit: bytes of the encoded upload.
        options: converts the client's fields to fields of the chat.
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        form = _form_of(request)
        part = {
            "type": "input_audio",
            "input_audio": {"data": _data_url(upload_of(request), limit)},
        }
        body = {
            "model": request.model,
            "messages": [{"role": "user", "content": [part]}],
            **options(request.body),
        }
        if request.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        url = url_of(provider, access, "/chat/completions", version=version)
        reply = yield from asked(provider, url, auth(access), body, request)
        return (
            TranscriptOfChat(stream_of(reply, provider.errors))
            if request.stream
            else _transcript(reply, form)
        )

    return exchange


def _form_of(request: Request) -> str:
    form = str(request.body.get("response_format") or "json")
    if form not in ("json", "text"):
        raise CannotExpress(
            "This model returns no timestamps: response_format must be json or text.",
            param="response_format",
        )
    for name in (
        "timestamp_granularities",
        "timestamp_granularities[]",
        "include",
        "chunking_strategy",
    ):
        if request.body.get(name):
            raise CannotExpress("This model returns only the text.", param=name)
    return form


def _data_url(upload: Upload, limit: int) -> str:
    kind = upload.content_type.split(";", 1)[0].strip().lower()
    head = f"data:{kind if _MEDIA_TYPE.fullmatch(kind) else ''};base64,"
    if len(head) + -(-len(upload.data) // 3) * 4 > limit:
        megabytes = limit * 3 / 4 / 1024 / 1024
        raise CannotExpress(
            f"This model accepts files of at most {megabytes:.1f} MB. Send a shorter or more "
            "compressed file.",
            param="file",
        )
    return head + base64.b64encode(upload.data).decode()


def _usage(chat: Usage | None, usage: Any) -> Usage | None:
    """Add the seconds that some services bill by."""
    seconds = seconds_of(usage.get("seconds")) if isinstance(usage, dict) else None
    if chat is not None and seconds is not None:
        chat.audio_seconds = seconds
    return chat


def _usage_object(usage: Usage | None) -> dict[str, Any] | None:
    """Convert usage to the form of OpenAI's transcripts."""
    if usage is None:
        return None
    if usage.audio_seconds is not None:
        return {"type": "duration", "seconds": usage.audio_seconds}
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    return {
        "type": "tokens",
        "input_tokens": prompt,
        "output_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _transcript(reply: Reply, form: str) -> Answer:
    body = read_object(reply)
    chat = answer_of(body)
    text = _text(choices_of(body)[0].get("message") or {})
    usage = _usage(chat.usage, body.get("usage"))
    if form == "text":
        return Answer(None, usage, content=text.encode(), content_type=TEXT_TYPES["text"])
    reported = _usage_object(usage)
    return Answer({"text": text, **({"usage": reported} if reported else {})}, usage)


def _text(part: dict[str, Any]) -> str:
    content = part.get("content")
    return content if isinstance(content, str) else ""


class TranscriptOfChat:
    """Convert a chat stream to `transcript.text.delta` and `.done` events."""

    def __init__(self, chat: Decoder) -> None:
        self._chat = chat
        self._pieces: list[str] = []
        self._usage: Usage | None = None
        self._ended = False

    @property
    def usage(self) -> Usage | None:
        return self._usage or self._chat.usage

    @property
    def finish_reason(self) -> str | None:
        return self._chat.finish_reason

    @property
    def output_characters(self) -> int:
        return self._chat.output_characters

    @property
    def done(self) -> bool:
        return self._ended

    def feed(self, data: bytes) -> Sequence[Frame]:
        return self._frames(self._chat.feed(data))

    def finish(self) -> Sequence[Frame]:
        frames = self._frames(self._chat.finish())
        return frames if self._ended else [*frames, self._last()]

    def _frames(self, chunks: Sequence[Frame]) -> list[Frame]:
        frames: list[Frame] = []
        for chunk in map(orjson.loads, (frame.data for frame in chunks)):
            self._usage = _usage(self._chat.usage, chunk.get("usage")) or self._usage
            text = "".join(_text(choice.get("delta") or {}) for choice in choices_of(chunk))
            if text:
                self._pieces.append(text)
                frames.append(
                    Frame(
                        orjson.dumps({"type": "transcript.text.delta", "delta": text}), content=True
                    )
                )
        return [*frames, self._last()] if self._chat.done and not self._ended else frames

    def _last(self) -> Frame:
        self._ended = True
        usage = _usage_object(self.usage)
        return Frame(
            orjson.dumps(
                {
                    "type": "transcript.text.done",
                    "text": "".join(self._pieces),
                    **({"usage": usage} if usage else {}),
                }
            )
        )
