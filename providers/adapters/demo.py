"""Demo: answers locally, without key or network, so that everything can be tried before a key is there."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from django.utils.translation import gettext_lazy as _

from providers.errors import CannotExpress, Failure, ProviderError
from providers.spec import (
    Access,
    Answer,
    CheckExchange,
    Exchange,
    Frame,
    Kind,
    ListedModel,
    ListExchange,
    ModelFacts,
    ModelType,
    Operation,
    Provider,
    Reply,
    Request,
    Usage,
)

CHAT, EMBEDDING, TRANSCRIBE = "demo-chat", "demo-embedding", "demo-transcribe"
DIMENSIONS = 256
TRANSCRIPT = "This is the demonstration transcript of Modelkeep. No audio was listened to."
_TYPES = {CHAT: ModelType.REASONING, EMBEDDING: ModelType.EMBEDDING, TRANSCRIBE: ModelType.SPEECH_TO_TEXT}


def text_in(content: Any) -> str:
    """The text of a message's content, be it a string or parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict) and part.get("type") == "text")


def tokens_in(text: str) -> int:
    """A count that looks like one of tokens: four characters each."""
    return max(1, math.ceil(len(text) / 4))


def reply_to(request: Request) -> tuple[str, Usage, str]:
    """Text, usage and finish reason of the echo; max_tokens counts words here."""
    messages = request.body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise CannotExpress("messages must be a list with at least one message.", param="messages")
    texts = [text_in(message.get("content")) for message in messages if isinstance(message, dict)]
    words = f"Demo answer (no model was called). You wrote: {texts[-1] if texts else ''}".split(" ")
    limit = request.body.get("max_completion_tokens") or request.body.get("max_tokens")
    cut = isinstance(limit, int) and 0 < limit < len(words)
    text = " ".join(words[:limit] if cut else words)
    return text, Usage(tokens_in("".join(texts)), tokens_in(text), 0, 0), "length" if cut else "stop"


def head_of(request: Request, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-demo-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": request.model}


def usage_json(usage: Usage) -> dict[str, int]:
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


class EchoDecoder:
    """A stream that needs no bytes: finish() gives out everything, one word per frame."""

    def __init__(self, request: Request) -> None:
        text, usage, finish = reply_to(request)
        self._head = head_of(request, "chat.completion.chunk")
        self._text = text
        self.usage: Usage | None = usage
        self.finish_reason: str | None = finish
        self.output_characters = len(text)
        self.done = False

    def feed(self, data: bytes) -> Sequence[Frame]:
        return ()

    def finish(self) -> Sequence[Frame]:
        self.done = True
        return list(self._frames())

    def _frames(self) -> Iterator[Frame]:
        yield self._frame({"role": "assistant", "content": ""})
        for number, word in enumerate(self._text.split(" ")):
            yield self._frame({"content": word if number == 0 else " " + word}, content=True)
        yield self._frame({}, self.finish_reason)
        assert self.usage is not None
        yield Frame(orjson.dumps({**self._head, "choices": [], "usage": usage_json(self.usage)}), usage_only=True)

    def _frame(self, delta: dict[str, str], finish: str | None = None, *, content: bool = False) -> Frame:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return Frame(orjson.dumps({**self._head, "choices": [choice]}), content)


def must_be(request: Request, model: str) -> None:
    if request.model != model:
        raise ProviderError(Failure.MODEL_NOT_FOUND, f"The demonstration has no model {request.model!r} for this.", status=404, sent=False)


def chat(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    must_be(request, CHAT)
    yield from ()
    if request.stream:
        return EchoDecoder(request)
    text, usage, finish = reply_to(request)
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return Answer({**head_of(request, "chat.completion"), "choices": [choice], "usage": usage_json(usage)}, usage, finish_reason=finish)


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """The same text gives the same vector of length 1. It carries no meaning: a hash stands behind it."""
    numbers = hashlib.shake_256(text.encode()).digest(2 * dimensions)
    raw = [value - 32767.5 for value in struct.unpack(f"<{dimensions}H", numbers)]
    length = math.sqrt(sum(value * value for value in raw))
    return [value / length for value in raw]


def inputs_of(request: Request) -> list[str]:
    given = request.body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise CannotExpress("input must be a text or a list of texts.", param="input")
    if all(isinstance(text, int) for text in texts):  # one text as tokens
        texts = [texts]
    return [text if isinstance(text, str) else orjson.dumps(text).decode() for text in texts]


def embed(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    must_be(request, EMBEDDING)
    yield from ()
    texts = inputs_of(request)
    wanted = request.body.get("dimensions")
    dimensions = wanted if isinstance(wanted, int) and 1 <= wanted <= DIMENSIONS else DIMENSIONS
    vectors = [vector_of(text, dimensions) for text in texts]
    packed = request.body.get("encoding_format") == "base64"
    data = [{"object": "embedding", "index": number, "embedding": pack(v) if packed else v} for number, v in enumerate(vectors)]
    tokens = sum(map(tokens_in, texts))
    body = {"object": "list", "data": data, "model": request.model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return Answer(body, Usage(tokens))


def pack(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def transcribe(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    must_be(request, TRANSCRIBE)
    yield from ()
    if request.upload is None or not request.upload.data:
        raise CannotExpress("An audio file is missing.", param="file")
    if request.body.get("response_format") == "text":
        return Answer(None, content=f"{TRANSCRIPT}\n".encode(), content_type="text/plain; charset=utf-8")
    return Answer({"text": TRANSCRIPT})


def check(provider: Provider, access: Access) -> CheckExchange:
    yield from ()


def list_models(provider: Provider, access: Access) -> ListExchange:
    yield from ()
    return [ListedModel(name, kind) for name, kind in _TYPES.items()]


def no_errors(reply: Reply) -> ProviderError | None:
    """There is no server that could answer with one."""
    return None


PROVIDER = Provider(
    slug="demo",
    label=_("Demo (built in)"),
    kind=Kind.OWN,
    model_types=(ModelType.REASONING, ModelType.EMBEDDING, ModelType.SPEECH_TO_TEXT),
    description=_("Answers locally with made-up texts: for trying things out, without key, network or cost."),
    credential_fields=(),
    operations={
        Operation.CHAT: chat,
        Operation.EMBEDDINGS: embed,
        Operation.TRANSCRIPTION: transcribe,
        Operation.TRANSLATION: transcribe,
    },
    errors=no_errors,
    check=check,
    list_models=list_models,
    guess_type=_TYPES.get,
    local=True,
)
