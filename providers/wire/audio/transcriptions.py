"""OpenAI's transcriptions and translations: multipart in, JSON, text or a stream out."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Answer,
    Call,
    Decoder,
    ErrorMap,
    Exchange,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
    Upload,
    Usage,
)
from providers.failures.reasons import Reason
from providers.wire.audio.transcript_decoding import (
    TranscriptDecoder,
    transcript_usage,
)
from providers.wire.decoding import error_in_stream
from providers.wire.http import (
    Auth,
    is_web_page,
    json_or_none,
    read_object,
    unreadable,
    url_of,
)
from providers.wire.openai.errors import error_object
from providers.wire.preconditions import upload_of
from providers.wire.usage import seconds_of

TEXT_TYPES = {
    "text": "text/plain; charset=utf-8",
    "srt": "text/plain; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}
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
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
}
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\/]+')


def openai_audio(*, auth: Auth, path: str, version: str = "/v1") -> MakeExchange:
    """Make the exchange for transcriptions or translations, which differ only in their path."""

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        upload = upload_of(request)
        fields = {**request.body, "model": request.model}
        fields.pop("stream", None)
        if request.stream:
            fields["stream"] = True
        content_type, body = multipart(fields, ("file", upload))
        accept = "text/event-stream" if request.stream else "*/*"
        headers = {**auth(access), "Content-Type": content_type, "Accept": accept}
        reply = yield Call(
            "POST", url_of(provider, access, path, version=version), headers, body, request.stream
        )
        if request.stream:
            return transcript_stream(reply, provider.errors)
        return transcript_answer(reply, str(request.body.get("response_format") or "json"))

    return exchange


def transcript_stream(reply: Reply, errors: ErrorMap) -> Decoder:
    """Return the decoder of an open body, also for servers that do not stream."""
    return TranscriptDecoder(errors, partial(_whole, errors))


def _whole(errors: ErrorMap, reply: Reply) -> Answer:
    if error_object(json_or_none(reply.body)) is not None:
        raise error_in_stream(errors, reply.body)
    return transcript_answer(reply, "json")


def filename_of(upload: Upload) -> str:
    """Return a name that cannot break the multipart header and has the extension that servers
    need.
    """
    name = _UNSAFE.sub("_", upload.filename).strip() or "audio"
    if "." in name.strip("."):
        return name
    kind = upload.content_type.split(";", 1)[0].strip().lower()
    return f"{name.strip('.') or 'audio'}.{_EXTENSIONS.get(kind, 'wav')}"


def multipart(fields: dict[str, Any], *files: tuple[str, Upload]) -> tuple[str, bytes]:
    """Build a form's content type and body; a list becomes one field per item, named `name[]`.

    Args:
        files: with the names of their fields.

    Raises:
        CannotExpress: if a value is not a text, number, boolean, object or list of those.
    """
    boundary = secrets.token_hex(24)
    parts: list[bytes] = []
    for field, text in _form_fields(fields):
        disposition = f'form-data; name="{field}"'
        part = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n{text}\r\n"
        parts.append(part.encode())
    for name, upload in files:
        kind = (
            upload.content_type
            if _MEDIA_TYPE.fullmatch(upload.content_type)
            else "application/octet-stream"
        )
        disposition = f'form-data; name="{name}"; filename="{filename_of(upload)}"'
        head = f"Content-Disposition: {disposition}\r\nContent-Type: {kind}\r\n\r\n"
        parts += [f"--{boundary}\r\n{head}".encode(), upload.data, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
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


def transcript_answer(reply: Reply, response_format: str) -> Answer:
    """Convert the answer in the requested format.

    Raises:
        ProviderError: if it has another form.
    """
    if response_format in TEXT_TYPES:
        return _text_answer(reply, response_format)
    body = read_object(reply)
    if not isinstance(body.get("text"), str) and not isinstance(body.get("segments"), list):
        raise ProviderError(Failure.ERROR, Reason("no_text"), status=reply.status)
    usage = transcript_usage(body.get("usage"))
    if usage is None and (seconds := seconds_of(body.get("duration"))) is not None:
        usage = Usage(audio_seconds=seconds)
    return Answer(body, usage)


def _text_answer(reply: Reply, response_format: str) -> Answer:
    if is_web_page(reply):
        raise unreadable(reply)
    text = reply.body
    body = json_or_none(text)
    if isinstance(body, dict) and isinstance(body.get("text"), str) and response_format == "text":
        text = body["text"].encode()  # some servers support only JSON
    return Answer(None, content=text, content_type=TEXT_TYPES[response_format])
