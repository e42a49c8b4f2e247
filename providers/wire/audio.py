"""OpenAI's transcriptions and translations: an upload as multipart, an answer as JSON, text or a stream."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from providers.errors import CannotExpress, Failure, ProviderError
from providers.spec import (
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
    Upload,
    Usage,
)
from providers.wire.http import Auth, is_web_page, json_or_none, media_type, read_object, unreadable, url_of
from providers.wire.openai_errors import error_object
from providers.wire.openai_stream import broken_off, error_in_stream
from providers.wire.sse import EventParser

TEXT_TYPES = {"text": "text/plain; charset=utf-8", "srt": "text/plain; charset=utf-8", "vtt": "text/vtt; charset=utf-8"}
_EXTENSIONS = {
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/mp4": "mp4",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/webm": "webm",
    "video/mp4": "mp4",
    "video/webm": "webm",
}
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\/]+')


def openai_audio(*, auth: Auth, path: str, version: str = "/v1") -> MakeExchange:
    """A MakeExchange for transcriptions or translations, which differ by their path only."""

    def exchange(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
        if request.upload is None:
            raise CannotExpress("An audio file is missing.", param="file")
        fields = {**request.body, "model": request.model}
        fields.pop("stream", None)
        if request.stream:
            fields["stream"] = True
        content_type, body = multipart(fields, request.upload)
        accept = "text/event-stream" if request.stream else "*/*"
        headers = {**auth(access), "Content-Type": content_type, "Accept": accept}
        reply = yield Call("POST", url_of(provider, access, path, version=version), headers, body, request.stream)
        if request.stream:
            if media_type(reply) == "text/html":
                raise unreadable(reply)
            return TranscriptDecoder(provider.errors)
        return transcript_answer(reply, str(request.body.get("response_format") or "json"))

    return exchange


def filename_of(upload: Upload) -> str:
    """A name that cannot break the multipart header and has an extension: servers tell the format by it."""
    name = _UNSAFE.sub("_", upload.filename).strip() or "audio"
    if "." in name.strip("."):
        return name
    kind = upload.content_type.split(";", 1)[0].strip().lower()
    return f"{name.strip('.') or 'audio'}.{_EXTENSIONS.get(kind, 'wav')}"


def multipart(fields: dict[str, Any], upload: Upload, *, name: str = "file") -> tuple[str, bytes]:
    """Content type and body of a form. A list becomes one field per item, named `name[]`. name: of the upload's field.

    Raises CannotExpress for a field whose value is neither text, number, truth value nor a list of those.
    """
    boundary = secrets.token_hex(24)
    parts: list[bytes] = []
    for field, text in _form_fields(fields):
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{text}\r\n'.encode())
    kind = upload.content_type if _MEDIA_TYPE.fullmatch(upload.content_type) else "application/octet-stream"
    disposition = f'form-data; name="{name}"; filename="{filename_of(upload)}"'
    head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {kind}\r\n\r\n"
    parts += [head.encode(), upload.data, f"\r\n--{boundary}--\r\n".encode()]
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)


def _form_fields(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if value is None:
            continue
        several = isinstance(value, list)
        safe = _UNSAFE.sub("_", name)
        for item in value if several else [value]:
            yield f"{safe.removesuffix('[]')}[]" if several else safe, _form_text(name, item)


def _form_text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    raise CannotExpress("This field cannot be sent in a form.", param=name)


def transcript_usage(usage: Any) -> Usage | None:
    """Tokens or seconds, as the provider counts."""
    if not isinstance(usage, dict):
        return None
    if usage.get("type") == "duration" or "seconds" in usage:
        seconds = usage.get("seconds")
        return Usage(audio_seconds=float(seconds)) if isinstance(seconds, int | float) else None
    return Usage(usage.get("input_tokens") or usage.get("prompt_tokens"), usage.get("output_tokens") or usage.get("completion_tokens"))


def transcript_answer(reply: Reply, response_format: str) -> Answer:
    """The answer in the form that was asked for. Raises ProviderError where it is something else."""
    if response_format in TEXT_TYPES:
        return _text_answer(reply, response_format)
    body = read_object(reply)
    if not isinstance(body.get("text"), str) and not isinstance(body.get("segments"), list):
        raise ProviderError(Failure.ERROR, "The provider's answer holds no text.", status=reply.status)
    usage = transcript_usage(body.get("usage"))
    if usage is None and isinstance(body.get("duration"), int | float):
        usage = Usage(audio_seconds=float(body["duration"]))
    return Answer(body, usage)


def _text_answer(reply: Reply, response_format: str) -> Answer:
    if is_web_page(reply):
        raise unreadable(reply)
    text = reply.body
    body = json_or_none(text)
    if isinstance(body, dict) and isinstance(body.get("text"), str) and response_format == "text":
        text = body["text"].encode()  # some servers know JSON only
    return Answer(None, content=text, content_type=TEXT_TYPES[response_format])


class TranscriptDecoder:
    """Relays `transcript.text.delta` and `.done` events."""

    last = "transcript.text.done"  # type of the event that ends the stream
    piece = "delta"  # field that holds a piece of the answer

    def __init__(self, errors: ErrorMap) -> None:
        self._errors = errors
        self._parser = EventParser()
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.output_characters = 0
        self.done = False

    def feed(self, data: bytes) -> Sequence[Frame]:
        return [] if self.done else self._frames(self._parser.feed(data))

    def finish(self) -> Sequence[Frame]:
        frames = [] if self.done else self._frames(self._parser.finish())
        if not self.done:
            raise broken_off()
        return frames

    def _frames(self, events: Sequence[tuple[bytes, bytes]]) -> list[Frame]:
        return [self._frame(data) for _event, data in events if data.strip() not in (b"", b"[DONE]")]

    def _frame(self, data: bytes) -> Frame:
        event = json_or_none(data)
        if not isinstance(event, dict):
            raise ProviderError(Failure.ERROR, "The provider sent a piece of the answer that could not be read.", status=200)
        if error_object(event) is not None:
            raise error_in_stream(self._errors, data)
        if event.get("type") == self.last:
            self.usage, self.finish_reason, self.done = transcript_usage(event.get("usage")), "stop", True
        piece = event.get(self.piece)
        self.output_characters += self.characters_in(piece)
        return Frame(orjson.dumps(event) if b"\n" in data else data, content=isinstance(piece, str))

    def characters_in(self, piece: Any) -> int:
        return len(piece) if isinstance(piece, str) else 0
