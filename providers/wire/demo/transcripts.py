"""The demo's transcript, which is always the same, in all formats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Answer, Frame
from providers.wire.audio.transcriptions import TEXT_TYPES
from providers.wire.decoding import ReadyStream

TRANSCRIPT = "This is the demonstration transcript of Modelkeep. No audio was listened to."
LANGUAGE: Final = "english"
SECONDS_PER_WORD: Final = 0.4


def transcript_in(body: Mapping[str, Any]) -> Answer:
    """Return the transcript in the requested format. Raises CannotExpress for unknown ones."""
    response_format = body.get("response_format") or "json"
    if response_format in ("json", "verbose_json", "diarized_json"):
        return Answer(_json_of(response_format, body))
    if response_format not in TEXT_TYPES:
        formats = "json, text, srt, vtt, verbose_json or diarized_json"
        raise CannotExpress(f"response_format must be {formats}.", param="response_format")
    segments = list(_segments())
    text = {"text": _as_text, "srt": _as_srt, "vtt": _as_vtt}[response_format](segments)
    return Answer(None, content=text.encode(), content_type=TEXT_TYPES[response_format])


def _timed(texts: Sequence[str]) -> Iterator[tuple[str, float, float]]:
    """Yield texts with the seconds at which they begin and end."""
    begin = 0.0
    for text in texts:
        end = round(begin + SECONDS_PER_WORD * len(text.split()), 2)
        yield text, begin, end
        begin = end


def _segments() -> Iterator[tuple[str, float, float]]:
    return _timed(TRANSCRIPT.replace(". ", ".\n").split("\n"))


def _json_of(response_format: str, body: Mapping[str, Any]) -> dict[str, Any]:
    segments = list(_segments())
    duration = segments[-1][2]
    if response_format == "json":
        return {"text": TRANSCRIPT}
    if response_format == "diarized_json":
        spoken = [
            {
                "type": "transcript.text.segment",
                "id": f"seg_{number}",
                "speaker": "A",
                "text": text,
                "start": begin,
                "end": end,
            }
            for number, (text, begin, end) in enumerate(segments)
        ]
        return {
            "task": "transcribe",
            "duration": duration,
            "text": TRANSCRIPT,
            "segments": spoken,
        }
    return {
        "task": "transcribe",
        "language": LANGUAGE,
        "duration": duration,
        "text": TRANSCRIPT,
        **_timestamps(body.get("timestamp_granularities"), segments),
    }


def _timestamps(
    granularities: Any, segments: Sequence[tuple[str, float, float]]
) -> dict[str, list[dict[str, Any]]]:
    """Return segments, words or both, as asked."""
    asked = granularities if isinstance(granularities, list) else [granularities or "segment"]
    found: dict[str, list[dict[str, Any]]] = {}
    if "word" in asked:
        found["words"] = [
            {"word": word.strip("."), "start": begin, "end": end}
            for word, begin, end in _timed(TRANSCRIPT.split())
        ]
    if "segment" in asked:
        found["segments"] = [
            _segment(number, text, begin, end) for number, (text, begin, end) in enumerate(segments)
        ]
    return found


def _segment(number: int, text: str, begin: float, end: float) -> dict[str, Any]:
    return {
        "id": number,
        "seek": 0,
        "start": begin,
        "end": end,
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


def _as_text(segments: Sequence[tuple[str, float, float]]) -> str:
    return f"{TRANSCRIPT}\n"


def _as_srt(segments: Sequence[tuple[str, float, float]]) -> str:
    return "".join(
        f"{number}\n{_clock(begin, ',')} --> {_clock(end, ',')}\n{text}\n\n"
        for number, (text, begin, end) in enumerate(segments, 1)
    )


def _as_vtt(segments: Sequence[tuple[str, float, float]]) -> str:
    return "WEBVTT\n\n" + "".join(
        f"{_clock(begin, '.')} --> {_clock(end, '.')}\n{text}\n\n" for text, begin, end in segments
    )


def _clock(seconds: float, separator: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{separator}{milliseconds:03}"


class TranscriptStream(ReadyStream):
    """Decoder of the transcript for a client that wants events: one for each word."""

    def __init__(self) -> None:
        super().__init__()
        self.finish_reason = "stop"
        self.output_characters = len(TRANSCRIPT)

    def finish(self) -> Sequence[Frame]:
        self.done = True
        first, *others = TRANSCRIPT.split(" ")
        pieces = [first, *(f" {word}" for word in others)]
        frames = [
            Frame(orjson.dumps({"type": "transcript.text.delta", "delta": piece}), content=True)
            for piece in pieces
        ]
        done = {"type": "transcript.text.done", "text": TRANSCRIPT}
        return [*frames, Frame(orjson.dumps(done))]
