"""Hugging Face's own formats: feature extraction, transcripts of raw audio, and errors."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import Answer, Call, Decoder, Exchange, Reply, Request, Upload
from providers.failures.reasons import Reason
from providers.wire.audio.transcriptions import TEXT_TYPES
from providers.wire.http import (
    NO_ROUTE,
    json_or_none,
    plain_error,
    post_json,
    read_object,
    wait_asked_for,
)
from providers.wire.openai.errors import (
    OPENAI_CODES,
    failure_of,
    generic_error,
    message_of,
    text_of,
)
from providers.wire.preconditions import upload_of


def or_without_route(exchange: Exchange, other: Exchange) -> Exchange:
    """Run an exchange, or the other one if the server has no such route."""
    call = next(exchange)
    call.accept = NO_ROUTE
    reply = yield call
    if reply.status in NO_ROUTE:
        return (yield from other)
    try:
        while True:
            reply = yield exchange.send(reply)
    except StopIteration as stop:
        answer: Answer | Decoder = stop.value
        return answer


# Feature extraction: https://huggingface.co/docs/inference-providers/tasks/feature-extraction

MAX_INPUTS = 32  # texts per request: the default limit of text-embeddings-inference
MAX_DEPTH = 3  # nested lists in one text's answer: tokens, sentences
OPTIONS = ("normalize", "prompt_name", "truncate", "truncation_direction")


def vectors_of(answer: Any, count: int) -> list[list[float]]:
    """Return one vector per text, averaged over tokens if the model answers per token.

    Raises:
        ProviderError: if the number of vectors is wrong.
    """
    if isinstance(answer, dict):
        answer = answer.get("embeddings")
    if not isinstance(answer, list) or not answer:
        raise _no_vectors()
    if count == 1 and (len(answer) != 1 or not isinstance(answer[0], list)):
        return [vector_of(answer)]
    if len(answer) != count:
        raise _no_vectors()
    return [vector_of(value) for value in answer]


def vector_of(value: Any, depth: int = 0) -> list[float]:
    if not isinstance(value, list) or not value or depth > MAX_DEPTH:
        raise _no_vectors()
    if all(isinstance(number, int | float) and not isinstance(number, bool) for number in value):
        return value
    rows = [vector_of(row, depth + 1) for row in value]
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def _no_vectors() -> ProviderError:
    return ProviderError(Failure.ERROR, Reason("too_few_embeddings"), status=200)


# Speech: https://huggingface.co/docs/inference-providers/tasks/automatic-speech-recognition

_ENDINGS = {
    "flac": "audio/flac",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "mpga": "audio/mpeg",
    "mpeg": "audio/mpeg",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "webm": "audio/webm",
    "m4a": "audio/m4a",
    "mp4": "audio/m4a",
}
_MEDIA_TYPES = frozenset(_ENDINGS.values())


def audio_type(upload: Upload) -> str:
    """Return the media type of an audio file.

    Raises:
        CannotExpress: if the file is of another type.
    """
    kind = upload.content_type.split(";", 1)[0].strip().lower()
    last = kind.rpartition("/")[2].removeprefix("x-")
    ending = upload.filename.rpartition(".")[2].lower()
    media_type = (
        kind
        if kind in _MEDIA_TYPES
        else _ENDINGS.get(last) or ("audio/wav" if last == "wave" else _ENDINGS.get(ending))
    )
    if media_type is None:
        raise CannotExpress(
            "This provider accepts flac, wav, mp3, ogg, webm and m4a files.", param="file"
        )
    return media_type


def speech_call(url: str, headers: Mapping[str, str], request: Request) -> Call:
    """Build the call: the audio as the body, or inside JSON if timestamps are requested.

    Raises:
        CannotExpress: if the provider does not support the request.
    """
    upload, response_format = upload_of(request), request.body.get("response_format") or "json"
    if request.stream:
        raise CannotExpress(
            "This provider does not stream transcriptions. Leave out stream.", param="stream"
        )
    if response_format not in ("json", "text", "verbose_json"):
        raise CannotExpress(
            "At this provider, response_format must be json, text or verbose_json.",
            param="response_format",
        )
    kind = audio_type(upload)
    if response_format == "verbose_json":
        body = {
            "inputs": base64.b64encode(upload.data).decode(),
            "parameters": {"return_timestamps": True},
        }
        return post_json(url, headers, body)
    return Call(
        "POST", url, {**headers, "Content-Type": kind, "Accept": "application/json"}, upload.data
    )


def transcript_of(reply: Reply, request: Request) -> Answer:
    """Convert the answer.

    Raises:
        ProviderError: if it is not a transcript.
    """
    body = read_object(reply)
    text = body.get("text")
    if not isinstance(text, str):
        raise ProviderError(Failure.ERROR, Reason("no_text"), status=reply.status)
    match request.body.get("response_format"):
        case "text":
            return Answer(None, content=text.encode(), content_type=TEXT_TYPES["text"])
        case "verbose_json":
            return Answer(
                {"task": "transcribe", "text": text, "segments": _segments(body.get("chunks"))}
            )
    return Answer({"text": text})


def _segments(chunks: Any) -> list[dict[str, Any]]:
    """Convert chunks to segments; Whisper leaves the last end open if the audio stops inside
    a word.
    """
    rows = [
        (chunk.get("timestamp"), chunk.get("text"))
        for chunk in chunks or ()
        if isinstance(chunk, dict)
    ]
    return [
        {
            "id": number,
            "start": times[0],
            "end": times[0] if times[1] is None else times[1],
            "text": text,
        }
        for number, (times, text) in enumerate(rows)
        if isinstance(times, list) and len(times) == 2
    ]


# Errors: the router, its providers, text-generation-inference and text-embeddings-inference each
# use a different form.

CODES = {
    **OPENAI_CODES,
    "model_not_supported": Failure.MODEL_NOT_FOUND,
    "overloaded": Failure.OVERLOADED,
    "Overloaded": Failure.OVERLOADED,
    "generation": Failure.ERROR,
    "incomplete_generation": Failure.ERROR,
}
_TEXTS = (
    (
        re.compile(r"\A(?>.*?tokens).*must be <=|must have less than \d+ tokens", re.I | re.S),
        Failure.CONTEXT_LENGTH,
    ),
    (
        re.compile(
            r"sufficient permissions|gated repo"
            r"|\A(?>.*?restricted).*must (?:have access|be authenticated)",
            re.I | re.S,
        ),
        Failure.PERMISSION,
    ),
    (
        re.compile(r"exceeded your (monthly )?included credits|pre-paid credits", re.I),
        Failure.NO_FUNDS,
    ),
    (re.compile(r"not supported by any provider", re.I), Failure.MODEL_NOT_FOUND),
    (re.compile(r"currently loading", re.I), Failure.OVERLOADED),
)


def hugging_face_errors(reply: Reply) -> ProviderError | None:
    """Map `error` as text, list or object, `message` and `detail`."""
    body = json_or_none(reply.body)
    error = error_in(body, reply)
    if error is None:
        return plain_error(reply) if reply.status >= 400 else None
    code, kind, message = (
        text_of(error, "code"),
        text_of(error, "type") or text_of(error, "error_type"),
        message_of(error),
    )
    failure = next((meaning for pattern, meaning in _TEXTS if pattern.search(message)), None)
    failure = failure or failure_of(reply.status, code, kind, message, CODES)
    asleep = reply.status == 503 and message.startswith("503 ")
    return ProviderError(
        failure,
        Reason("asleep") if asleep else message or Reason("http_status", status=reply.status),
        status=reply.status,
        provider_code=kind if code in ("", str(reply.status)) else code,
        retry_after=_estimated_time(body) or wait_asked_for(reply),
    )


def error_in(body: Any, reply: Reply) -> dict[str, Any] | None:
    """Return the error in a body as one object, or None."""
    if isinstance(body, list):
        return generic_error(body, reply.status)
    if not isinstance(body, dict):
        text = reply.headers.get("x-error-message", "") if reply.status >= 400 else ""
        return {"message": text} if text else None
    error = body.get("error")
    if isinstance(error, list) and error and isinstance(error[0], str):
        return {"message": "; ".join(map(str, error[:5]))}
    if isinstance(error, str) and error:
        return {
            "message": error,
            "type": body.get("error_type") or body.get("type"),
            "code": body.get("code"),
        }
    return generic_error(body, reply.status)


def _estimated_time(body: Any) -> float | None:
    """Return the seconds until a model is loaded, as reported by the older service."""
    seconds = body.get("estimated_time") if isinstance(body, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and 0 < seconds < 3600 else None


# Permissions

MAY_CALL = "inference.serverless.write"  # "Make calls to Inference Providers"


def may_call(reply: Reply) -> bool:
    """Tell whether a token may make calls: fine-grained ones list permissions, older ones
    have all.
    """
    account = read_object(reply).get("auth")
    token = account.get("accessToken") if isinstance(account, dict) else None
    if not isinstance(token, dict) or token.get("role") != "fineGrained":
        return True
    grants = token.get("fineGrained") or {}
    scoped = [
        permission
        for entity in grants.get("scoped") or ()
        for permission in entity.get("permissions") or ()
    ]
    return MAY_CALL in (*(grants.get("global") or ()), *scoped)
