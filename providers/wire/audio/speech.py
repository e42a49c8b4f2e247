"""OpenAI's speech: JSON in, audio out as bytes or as events (stream_format "sse")."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Answer,
    Decoder,
    ErrorMap,
    Exchange,
    Frame,
    MakeExchange,
    ModelFacts,
    Provider,
    Reply,
    Request,
    Usage,
)
from providers.failures.reasons import Reason
from providers.wire.audio.transcript_decoding import EventDecoder
from providers.wire.decoding import ReadyStream, WholeStream, error_in_stream
from providers.wire.http import (
    Auth,
    is_web_page,
    json_or_none,
    media_type,
    post_json,
    unreadable,
    url_of,
)
from providers.wire.openai.chat import drop_unsupported
from providers.wire.openai.errors import error_object

DEFAULT_FORMAT = "mp3"
# OpenAI's name of a format -> its media type. pcm is 24 kHz, 16 bits, one channel, no header.
AUDIO_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
# Bytes of one answer: about 4096 characters, spoken slowly and uncompressed.
MAX_AUDIO = 64 * 1024 * 1024
# Bytes of audio in one event if the server sent all of it at once; a multiple of 3, so that base64
# needs no padding.
PIECE = 24 * 1024

Adjust = Callable[[dict[str, Any], Provider, Access, ModelFacts], None]


def format_of(request: Request) -> str:
    """Return the requested audio format."""
    return str(request.body.get("response_format") or DEFAULT_FORMAT)


def openai_speech(
    *,
    auth: Auth,
    path: str = "/audio/speech",
    version: str = "/v1",
    adjust: Adjust | None = None,
    voice: str = "alloy",
) -> MakeExchange:
    """Make the exchange for speech.

    Args:
        adjust: fits requests to the provider.
        voice: default voice if the model's facts have none (`parameters.voice.default`).
    """

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        body = {**request.body, "model": request.model}
        body.pop("stream", None)
        drop_unsupported(body, facts)
        if adjust is not None:
            adjust(body, provider, access, facts)
        if not body.get("voice"):
            body["voice"] = facts.parameters.get("voice", {}).get("default") or voice
        call = post_json(
            url_of(provider, access, path, version=version),
            auth(access),
            body,
            stream=request.stream,
        )
        if not request.stream:
            call.headers["Accept"], call.limit = "*/*", MAX_AUDIO
        reply = yield call
        return (
            speech_stream(reply, provider.errors)
            if request.stream
            else speech_answer(reply, provider.errors, format_of(request))
        )

    return exchange


def speech_answer(reply: Reply, errors: ErrorMap, audio_format: str) -> Answer:
    """Convert the audio.

    Args:
        audio_format: the format requested.

    Raises:
        ProviderError: if the answer is not audio.
    """
    check_audio(reply, errors, reply.body)
    kind = media_type(reply)
    if not kind.startswith("audio/"):  # some servers say application/octet-stream, or nothing
        kind = AUDIO_TYPES.get(audio_format, "application/octet-stream")
    return Answer(None, content=reply.body, content_type=kind)


def check_audio(reply: Reply, errors: ErrorMap, data: bytes) -> None:
    """Check that a body is audio.

    Raises:
        ProviderError: if it is empty, a web page or JSON (an error with status 200).
    """
    whole = Reply(reply.status, reply.headers, data)
    if is_web_page(whole):
        raise unreadable(whole)
    if media_type(reply) == "application/json" or data[:1] == b"{":
        if error_object(json_or_none(data)) is not None:
            raise error_in_stream(errors, data)
        raise ProviderError(Failure.ERROR, Reason("no_audio"), status=reply.status)
    if not data:
        raise ProviderError(Failure.ERROR, Reason("empty"), status=reply.status)


def speech_stream(reply: Reply, errors: ErrorMap) -> Decoder:
    """Return the decoder of an open body, also for servers that answer with the audio itself."""
    return (
        SpeechDecoder(errors)
        if media_type(reply) == "text/event-stream"
        else WholeAudio(reply, errors)
    )


def audio_frames(data: bytes, usage: dict[str, Any] | None = None) -> Iterator[Frame]:
    """Convert whole audio to events."""
    for start in range(0, len(data), PIECE):
        audio = base64.b64encode(data[start : start + PIECE]).decode()
        yield Frame(orjson.dumps({"type": "speech.audio.delta", "audio": audio}), content=True)
    yield Frame(orjson.dumps({"type": "speech.audio.done"} | ({"usage": usage} if usage else {})))


class SpeechDecoder(EventDecoder):
    """Relay `speech.audio.delta` and `.done` events."""

    last = "speech.audio.done"
    piece = "audio"


class WholeAudio(WholeStream):
    """Decoder for a server that sends audio instead of events."""

    def __init__(self, reply: Reply, errors: ErrorMap) -> None:
        super().__init__(limit=MAX_AUDIO)
        self._reply = reply
        self._errors = errors

    def _read(self, data: bytes) -> Sequence[Frame]:
        check_audio(self._reply, self._errors, data)
        self.finish_reason, self.done = "stop", True
        return list(audio_frames(data))


class ReadySpeech(ReadyStream):
    """Decoder of whole audio from an adapter for a client that wants events."""

    def __init__(self, data: bytes, usage: Usage | None = None) -> None:
        super().__init__()
        self._data = data
        self.usage, self.finish_reason = usage, "stop"

    def finish(self) -> Sequence[Frame]:
        self.done = True
        return list(audio_frames(self._data))
