"""OpenAI's speech: JSON in, audio out as bytes or as events (stream_format "sse")."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from providers.declaration.errors import Failure, ProviderError
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
    Usage,
)
from providers.failures.reasons import Reason
from providers.wire.audio.transcript_decoding import EventDecoder
from providers.wire.decoding import ReadyStream
from providers.wire.http import (
    Auth,
    begins_web_page,
    json_or_none,
    media_type,
    post_json,
    unreadable,
    url_of,
)
from providers.wire.openai.chat import drop_unsupported

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
            SpeechDecoder(provider.errors)
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
    if begins_events(reply.body):
        reply = replace(reply, body=_collected(SpeechDecoder(errors), reply.body))
    check_audio(errors, reply.body)
    kind = media_type(reply)
    if not kind.startswith("audio/"):  # some servers say application/octet-stream, or nothing
        kind = AUDIO_TYPES.get(audio_format, "application/octet-stream")
    return Answer(None, content=reply.body, content_type=kind)


def check_audio(errors: ErrorMap, data: bytes) -> None:
    """Check that a body is audio, whatever its label says.

    Raises:
        ProviderError: if it is empty, a web page or JSON (an error with status 200).
    """
    if not data:
        raise ProviderError(Failure.ERROR, Reason("empty"), status=200)
    if begins_web_page(data):
        raise unreadable(Reply(200, {}, data))
    if data.lstrip()[:1] in (b"{", b"[") and isinstance(json_or_none(data), dict | list):
        raise errors(Reply(200, {}, data)) or ProviderError(
            Failure.ERROR, Reason("no_audio"), status=200
        )


_FIELDS: Final = (b"data:", b"event:", b"id:", b"retry:", b": ")
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"
_ENOUGH: Final = 16  # bytes that tell what a body is


def begins_events(start: bytes) -> bool:
    """Tell whether a body begins as event streams do, and not only by a colon, as audio may."""
    return start[:1024].lstrip(_BLANK).startswith(_FIELDS)


def _collected(decoder: SpeechDecoder, body: bytes) -> bytes:
    """Join the audio of events that came for a whole answer."""
    events = [orjson.loads(frame.data) for frame in (*decoder.feed(body), *decoder.finish())]
    pieces = [event["audio"] for event in events if isinstance(event.get("audio"), str)]
    return b"".join(base64.b64decode(piece) for piece in pieces)


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

    def __init__(self, errors: ErrorMap) -> None:
        super().__init__(errors)
        self._start: bytes | None = b""  # of the body, until it is clear what it is

    def feed(self, data: bytes) -> Sequence[Frame]:
        if self._start is not None:
            data = self._start + data
            self._start = data
            if len(data.lstrip(_BLANK)) < _ENOUGH:
                return ()
            self._begin()
        return super().feed(data)

    def finish(self) -> Sequence[Frame]:
        if not self._start:
            return super().finish()
        start = self._start
        self._begin()
        return [*super().feed(start), *super().finish()]

    def _begin(self) -> None:
        """Decide by the first bytes whether events follow, or audio or an error."""
        if not begins_events(self._start or b""):
            self._read_whole(MAX_AUDIO)
        self._start = None

    def _whole_body(self, body: bytes) -> Sequence[Frame]:
        check_audio(self._errors, body)
        self.finish_reason, self.done = "stop", True
        return list(audio_frames(body))


class ReadySpeech(ReadyStream):
    """Decoder of whole audio from an adapter for a client that wants events."""

    def __init__(self, data: bytes, usage: Usage | None = None) -> None:
        super().__init__()
        self._data = data
        self.usage, self.finish_reason = usage, "stop"

    def finish(self) -> Sequence[Frame]:
        self.done = True
        return list(audio_frames(self._data))
