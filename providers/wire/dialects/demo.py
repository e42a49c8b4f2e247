"""Answers of the demo provider, computed here and labelled as made up wherever there is room."""

from __future__ import annotations

import hashlib
import io
import math
import re
import struct
import time
import uuid
import wave
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Frame, Operation, Request, Usage
from providers.wire.preconditions import messages_of

DIMENSIONS = 256
TRANSCRIPT = "This is the demonstration transcript of Modelkeep. No audio was listened to."
SOUND_NOTE = "Modelkeep demonstration: a tone, nobody speaks."
RANK_NOTE = "Demonstration: ordered by shared words, no model was called."
JUDGE_NOTE = "Demonstration: nothing is ever flagged, no model was called."
RATE = 24_000  # samples per second, as OpenAI's pcm has them
TONE = 480  # Hz; divides RATE
SECONDS_PER_CHARACTER = 0.06  # about as fast as people speak
LONGEST_TONE = 5.0  # seconds
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def text_in(content: Any) -> str:
    """Return the text of a message's content, a string or parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(
        str(part.get("text", ""))
        for part in parts
        if isinstance(part, dict) and part.get("type") == "text"
    )


def tokens_in(text: str) -> int:
    """Estimate the tokens of a text, at four characters each."""
    return max(1, math.ceil(len(text) / 4))


def usage_json(usage: Usage) -> dict[str, int]:
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


# Chat and completions


def echo(text: str, limit: Any) -> tuple[str, str]:
    """Return (answer, finish reason); a limit of tokens counts words here."""
    words = f"Demo answer (no model was called). You wrote: {text}".split(" ")
    cut = isinstance(limit, int) and 0 < limit < len(words)
    return " ".join(words[:limit] if cut else words), "length" if cut else "stop"


def reply_to(request: Request) -> tuple[str, Usage, str]:
    """Return text, usage and finish reason of the echo."""
    texts = [
        text_in(message.get("content"))
        for message in messages_of(request.body)
        if isinstance(message, dict)
    ]
    text, finish = echo(
        texts[-1] if texts else "",
        request.body.get("max_completion_tokens") or request.body.get("max_tokens"),
    )
    return text, Usage(tokens_in("".join(texts)), tokens_in(text), 0, 0), finish


def completed(request: Request) -> tuple[list[tuple[str, str]], Usage]:
    """Return (text, finish reason) for each prompt, and the total usage."""
    prompts = texts_in(request, "prompt")
    echoes = [echo(prompt, request.body.get("max_tokens")) for prompt in prompts]
    usage = Usage(
        sum(map(tokens_in, prompts)), sum(tokens_in(text) for text, _finish in echoes), 0, 0
    )
    return echoes, usage


def head_of(request: Request, kind: str) -> dict[str, Any]:
    return {
        "id": f"demo-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": request.model,
    }


class EchoDecoder:
    """Decoder that needs no bytes: finish() returns everything, one word per frame."""

    def __init__(self, request: Request) -> None:
        self._is_chat = request.operation is Operation.CHAT
        if self._is_chat:
            text, usage, finish = reply_to(request)
            self._echoes = [(text, finish)]
        else:
            self._echoes, usage = completed(request)
        self._head = head_of(
            request, "chat.completion.chunk" if self._is_chat else "text_completion"
        )
        self.usage: Usage | None = usage
        self.finish_reason: str | None = self._echoes[0][1]
        self.output_characters = sum(len(text) for text, _finish in self._echoes)
        self.done = False

    def feed(self, data: bytes) -> Sequence[Frame]:
        return ()

    def finish(self) -> Sequence[Frame]:
        self.done = True
        return list(self._frames())

    def _frames(self) -> Iterator[Frame]:
        for index, (text, finish) in enumerate(self._echoes):
            if self._is_chat:
                yield self._frame(index, {"delta": {"role": "assistant", "content": ""}})
            for number, word in enumerate(text.split(" ")):
                piece = word if number == 0 else " " + word
                yield self._frame(
                    index,
                    {"delta": {"content": piece}} if self._is_chat else {"text": piece},
                    content=True,
                )
            yield self._frame(index, {"delta": {}} if self._is_chat else {"text": ""}, finish)
        assert self.usage is not None
        yield Frame(
            orjson.dumps({**self._head, "choices": [], "usage": usage_json(self.usage)}),
            usage_only=True,
        )

    def _frame(
        self, index: int, piece: dict[str, Any], finish: str | None = None, *, content: bool = False
    ) -> Frame:
        choice = {"index": index, **piece, "logprobs": None, "finish_reason": finish}
        return Frame(orjson.dumps({**self._head, "choices": [choice]}), content)


# Embeddings, speech, rerank and moderation


def texts_in(request: Request, name: str) -> list[str]:
    """Return the texts of `input` or `prompt`; a list of token numbers counts as one text.

    Raises:
        CannotExpress: if there are none.
    """
    value = request.body.get(name)
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts:
        raise CannotExpress(f"{name} must be a text or a list of texts.", param=name)
    if all(isinstance(text, int) for text in texts):  # one text as tokens
        texts = [texts]
    return [text if isinstance(text, str) else orjson.dumps(text).decode() for text in texts]


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Derive a vector of length 1 from a hash of the text: always the same, and without
    meaning.
    """
    numbers = hashlib.shake_256(text.encode()).digest(2 * dimensions)
    raw = [value - 32767.5 for value in struct.unpack(f"<{dimensions}H", numbers)]
    length = math.sqrt(sum(value * value for value in raw))
    return [value / length for value in raw]


def tone_of(text: str, speed: float = 1.0) -> bytes:
    """Generate a tone about as long as the spoken text, at most five seconds.

    Returns:
        16-bit samples, 24 kHz, one channel.
    """
    period = RATE // TONE
    wave_once = struct.pack(
        f"<{period}h",
        *(round(6000 * math.sin(2 * math.pi * step / period)) for step in range(period)),
    )
    seconds = min(LONGEST_TONE, max(0.1, len(text) * SECONDS_PER_CHARACTER / speed))
    return wave_once * round(seconds * TONE)


def wav_of(samples: bytes) -> bytes:
    """Build a WAV file with a comment that describes it."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples)
    # Zero-terminated and of even length, as RIFF requires.
    comment = SOUND_NOTE.encode() + b"\0" * (2 - len(SOUND_NOTE) % 2)
    info = b"INFOICMT" + struct.pack("<I", len(comment)) + comment
    data = file.getvalue() + b"LIST" + struct.pack("<I", len(info)) + info
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


_WORD = re.compile(r"[a-z0-9]+|[^\W\x00-\x7f]")


def overlap(query: str, document: str) -> float:
    """Return the share of the query's words found in the document, from 0 to 1.

    Letters beyond ASCII count as words of their own.
    """
    words = set(_WORD.findall(query.lower()))
    return (
        round(len(words & set(_WORD.findall(document.lower()))) / len(words), 4) if words else 0.0
    )


def judgement() -> dict[str, Any]:
    """Build OpenAI's form of "not flagged"."""
    return {
        "flagged": False,
        "categories": dict.fromkeys(CATEGORIES, False),
        "category_scores": dict.fromkeys(CATEGORIES, 0.0),
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
