"""Demo: answers locally without key or network, so that everything can be tried at once."""

from __future__ import annotations

import uuid

from django.utils.translation import gettext_lazy as _

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Answer,
    CheckExchange,
    Exchange,
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
from providers.failures.reasons import Reason
from providers.wire.audio.speech import AUDIO_TYPES, ReadySpeech
from providers.wire.dialects import demo
from providers.wire.openai.embeddings import joined
from providers.wire.preconditions import upload_of
from providers.wire.rerank import Ranking, question_of, rerank_answer

CHAT, EMBEDDING, TRANSCRIBE = "demo-chat", "demo-embedding", "demo-transcribe"
SPEECH, RERANK, MODERATION = "demo-speech", "demo-rerank", "demo-moderation"
_TYPES = {
    CHAT: ModelType.REASONING,
    EMBEDDING: ModelType.EMBEDDING,
    TRANSCRIBE: ModelType.SPEECH_TO_TEXT,
    SPEECH: ModelType.TEXT_TO_SPEECH,
    RERANK: ModelType.RERANK,
    MODERATION: ModelType.MODERATION,
}


def require_model(request: Request, model: str) -> None:
    if request.model != model:
        raise ProviderError(
            Failure.MODEL_NOT_FOUND,
            Reason("no_demo_model", model=repr(request.model)),
            status=404,
            sent=False,
        )


def chat(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    require_model(request, CHAT)
    yield from ()
    if request.stream:
        return demo.EchoDecoder(request)
    text, usage, finish = demo.reply_to(request)
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    body = {
        **demo.head_of(request, "chat.completion"),
        "choices": [choice],
        "usage": demo.usage_json(usage),
    }
    return Answer(body, usage, finish_reason=finish)


def complete(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    require_model(request, CHAT)
    yield from ()
    if request.stream:
        return demo.EchoDecoder(request)
    echoes, usage = demo.completed(request)
    choices = [
        {"text": text, "index": number, "logprobs": None, "finish_reason": end}
        for number, (text, end) in enumerate(echoes)
    ]
    body = {
        **demo.head_of(request, "text_completion"),
        "choices": choices,
        "usage": demo.usage_json(usage),
    }
    return Answer(body, usage, finish_reason=echoes[0][1])


def embed(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    require_model(request, EMBEDDING)
    yield from ()
    texts = demo.texts_in(request, "input")
    size = request.body.get("dimensions")
    dimensions = size if type(size) is int and 1 <= size <= demo.DIMENSIONS else demo.DIMENSIONS
    return joined(
        [([demo.vector_of(text, dimensions) for text in texts], sum(map(demo.tokens_in, texts)))],
        request,
    )


def transcribe(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    require_model(request, TRANSCRIBE)
    yield from ()
    if not upload_of(request).data:
        raise CannotExpress("The audio file is empty.", param="file")
    if request.body.get("response_format") == "text":
        return Answer(
            None, content=f"{demo.TRANSCRIPT}\n".encode(), content_type="text/plain; charset=utf-8"
        )
    return Answer({"text": demo.TRANSCRIPT})


def speak(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """Generate a tone as long as the text, as WAV by default: the demo does not compress."""
    require_model(request, SPEECH)
    yield from ()
    audio_format = request.body.get("response_format") or "wav"
    if audio_format not in ("wav", "pcm"):
        raise CannotExpress("The demo generates only wav and pcm.", param="response_format")
    text, speed = request.body.get("input"), request.body.get("speed")
    if not isinstance(text, str):
        raise CannotExpress("input must be the text to speak.", param="input")
    samples = demo.tone_of(text, min(4.0, max(0.25, float(speed or 1.0))))
    audio = samples if audio_format == "pcm" else demo.wav_of(samples)
    return (
        ReadySpeech(audio)
        if request.stream
        else Answer(None, content=audio, content_type=AUDIO_TYPES[audio_format])
    )


def order(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    require_model(request, RERANK)
    yield from ()
    question = question_of(request)
    scores = [
        (number, demo.overlap(question.query, text))
        for number, text in enumerate(question.documents)
    ]
    answer = rerank_answer(
        question, Ranking(scores, sum(map(demo.tokens_in, (question.query, *question.documents))))
    )
    assert answer.body is not None
    answer.body["note"] = demo.RANK_NOTE
    return answer


def judge(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    require_model(request, MODERATION)
    yield from ()
    value = request.body.get("input")
    # Each text of a list is judged on its own; a list of parts (text, image) is one input.
    texts = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    texts = texts or [demo.text_in(value)]
    results = [demo.judgement() for _text in texts]
    body = {
        "id": f"modr-demo-{uuid.uuid4().hex}",
        "model": request.model,
        "results": results,
        "note": demo.JUDGE_NOTE,
    }
    return Answer(body, Usage(sum(map(demo.tokens_in, texts))))


def check(provider: Provider, access: Access) -> CheckExchange:
    yield from ()


def list_models(provider: Provider, access: Access) -> ListExchange:
    yield from ()
    return [ListedModel(name, kind) for name, kind in _TYPES.items()]


def no_errors(reply: Reply) -> ProviderError | None:
    """Map no errors: there is no server."""
    return None


PROVIDER = Provider(
    slug="demo",
    label=_("Demo (built in)"),
    kind=Kind.OWN,
    order=1000,
    model_types=tuple(_TYPES.values()),
    description=_(
        "Answers locally with made-up text, to try things out without a key, network or cost."
    ),
    credential_fields=(),
    operations={
        Operation.CHAT: chat,
        Operation.COMPLETION: complete,
        Operation.EMBEDDINGS: embed,
        Operation.TRANSCRIPTION: transcribe,
        Operation.TRANSLATION: transcribe,
        Operation.SPEECH: speak,
        Operation.RERANK: order,
        Operation.MODERATION: judge,
    },
    errors=no_errors,
    check=check,
    list_models=list_models,
    guess_type=_TYPES.get,
    local=True,
)
