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
from providers.wire.audio.speech import AUDIO_TYPES, ReadySpeech, format_of
from providers.wire.demo.chat import EchoDecoder, choices_for, completed, head_of, usage_json
from providers.wire.demo.images import drawing, sketches
from providers.wire.demo.moderation import JUDGE_NOTE, judgement
from providers.wire.demo.speech import FILES, tone_of
from providers.wire.demo.texts import (
    DIMENSIONS,
    overlap,
    text_in,
    texts_in,
    tokens_in,
    vector_of,
)
from providers.wire.demo.transcripts import TranscriptStream, transcript_in
from providers.wire.images.answers import refuse_url
from providers.wire.images.stream import ReadyImages
from providers.wire.openai.embeddings import joined
from providers.wire.preconditions import upload_of
from providers.wire.rerank import Ranking, question_of, rerank_answer

CHAT, EMBEDDING, TRANSCRIBE = "demo-chat", "demo-embedding", "demo-transcribe"
SPEECH, RERANK, MODERATION = "demo-speech", "demo-rerank", "demo-moderation"
IMAGE = "demo-image"
_TYPES = {
    CHAT: ModelType.REASONING,
    EMBEDDING: ModelType.EMBEDDING,
    TRANSCRIBE: ModelType.SPEECH_TO_TEXT,
    SPEECH: ModelType.TEXT_TO_SPEECH,
    RERANK: ModelType.RERANK,
    MODERATION: ModelType.MODERATION,
    IMAGE: ModelType.IMAGE,
}
RANK_NOTE = "Demonstration: ordered by shared words, no model was called."


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
        return EchoDecoder(request)
    choices, usage = choices_for(request)
    body = {
        **head_of(request, "chat.completion"),
        "choices": [choice.of_chat(number) for number, choice in enumerate(choices)],
        "usage": usage_json(usage),
    }
    return Answer(body, usage, finish_reason=choices[0].finish)


def complete(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    require_model(request, CHAT)
    yield from ()
    if request.stream:
        return EchoDecoder(request)
    choices, usage = completed(request)
    body = {
        **head_of(request, "text_completion"),
        "choices": [choice.of_completion(number) for number, choice in enumerate(choices)],
        "usage": usage_json(usage),
    }
    return Answer(body, usage, finish_reason=choices[0].finish)


def embed(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    require_model(request, EMBEDDING)
    yield from ()
    texts = texts_in(request, "input")
    size = request.body.get("dimensions")
    dimensions = size if type(size) is int and 1 <= size <= DIMENSIONS else DIMENSIONS
    return joined(
        [([vector_of(text, dimensions) for text in texts], sum(map(tokens_in, texts)))],
        request,
    )


def transcribe(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    require_model(request, TRANSCRIBE)
    yield from ()
    if not upload_of(request).data:
        raise CannotExpress("The audio file is empty.", param="file")
    return TranscriptStream() if request.stream else transcript_in(request.body)


def speak(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """Generate a tone as long as the text, as MP3 by default."""
    require_model(request, SPEECH)
    yield from ()
    audio_format = format_of(request)
    if audio_format not in FILES:
        formats = "mp3, wav and pcm"
        raise CannotExpress(f"The demo generates only {formats}.", param="response_format")
    text, speed = request.body.get("input"), request.body.get("speed")
    if not isinstance(text, str):
        raise CannotExpress("input must be the text to speak.", param="input")
    samples = tone_of(text, min(4.0, max(0.25, float(speed or 1.0))))
    sound = FILES[audio_format](samples)
    return (
        ReadySpeech(sound)
        if request.stream
        else Answer(None, content=sound, content_type=AUDIO_TYPES[audio_format])
    )


def order(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    require_model(request, RERANK)
    yield from ()
    question = question_of(request)
    scores = [
        (number, overlap(question.query, text)) for number, text in enumerate(question.documents)
    ]
    answer = rerank_answer(
        question, Ranking(scores, sum(map(tokens_in, (question.query, *question.documents))))
    )
    assert answer.body is not None
    answer.body["note"] = RANK_NOTE
    return answer


def judge(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    require_model(request, MODERATION)
    yield from ()
    value = request.body.get("input")
    # Each text of a list is judged on its own; a list of parts (text, image) is one input.
    texts = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    texts = texts or [text_in(value)]
    results = [judgement() for _text in texts]
    body = {
        "id": f"modr-demo-{uuid.uuid4().hex}",
        "model": request.model,
        "results": results,
        "note": JUDGE_NOTE,
    }
    return Answer(body, Usage(sum(map(tokens_in, texts))))


def draw(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """Draw a pattern that depends on the prompt, and on the images to edit."""
    require_model(request, IMAGE)
    yield from ()
    refuse_url(request.body)
    answer = drawing(request)
    if not request.stream:
        return answer
    assert answer.body is not None
    return ReadyImages(answer.body, answer.usage, request.operation, sketches(request))


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
        Operation.IMAGES: draw,
        Operation.IMAGE_EDITS: draw,
    },
    errors=no_errors,
    check=check,
    list_models=list_models,
    guess_type=_TYPES.get,
    local=True,
)
