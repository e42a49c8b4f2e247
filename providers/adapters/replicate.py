"""Replicate: predictions by published models (https://replicate.com/docs/reference/http)."""

from __future__ import annotations

import base64
import re
from collections.abc import Generator, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.fields import base_url_field
from providers.declaration.spec import (
    Access,
    Answer,
    Call,
    CheckExchange,
    Decoder,
    Exchange,
    Field,
    Kind,
    ModelFacts,
    ModelType,
    Operation,
    Provider,
    Reply,
    Request,
    Upload,
)
from providers.failures.reasons import Reason
from providers.wire.audio.transcriptions import multipart
from providers.wire.http import bearer, get, path_segment, post_json, read_object, url_of
from providers.wire.images.answers import delivered, images_answer
from providers.wire.images.openai import image_urls
from providers.wire.openai.embeddings import check_count, joined, texts_of
from providers.wire.openai.model_list import error_or
from providers.wire.openai.stream import ReadyAnswer
from providers.wire.preconditions import fixed_size
from providers.wire.replicate.chat import chat_input, refuse_unsupported
from providers.wire.replicate.embeddings import embedding_inputs, vectors_of
from providers.wire.replicate.images import edited_input, image_input, images_of
from providers.wire.replicate.predictions import (
    ENDED,
    WAIT,
    Prediction,
    chat_answer,
    errors,
    finished,
    handle_of,
    raise_if_failed,
    usage_of,
)
from providers.wire.replicate.schema import Shape, check_fits, shape_from, shape_text
from providers.wire.replicate.stream import PredictionDecoder, stream_call
from providers.wire.replicate.transcription import audio_input, check_transcription, transcript
from providers.wire.tokens import fetched_token, forget_token

KEY_URL = "https://replicate.com/account/api-tokens"
KEY_FIELD = "replicate_api_token"
VERSION_FIELD = "model_version"
SHAPE_SECONDS = 3600.0  # a new latest version may go unnoticed this long
# A relay may not offer the model's description; then the prediction itself decides.
NO_DESCRIPTION = frozenset({403, 404, 405})
LARGEST_DATA_URI = 256 * 1024  # characters; larger inputs become files, which are kept for a day
NOT_FINISHED = 202  # the wait ended before the prediction did
REFUSED = frozenset({422, 503})  # never start a prediction again after these: it may be paid twice

auth = bearer(KEY_FIELD)


# Models


def name_and_version(model: str, access: Access) -> tuple[str, str]:
    """Split a model's name into `owner/name` and the version, from its own field or after a colon.

    Returns:
        The name, and the version, which is "" for the latest.

    Raises:
        CannotExpress: if the name does not have the form owner/name.
    """
    name, _colon, typed = model.partition(":")
    owner, _slash, rest = name.partition("/")
    if not owner or not rest or "/" in rest:
        raise CannotExpress("At Replicate, a model's name has the form owner/name.", param="model")
    version = access.model_values.get(VERSION_FIELD, "").strip() or typed
    return name, version.rpartition(":")[2]


def model_url(provider: Provider, access: Access, model: str) -> str:
    owner, _slash, name = name_and_version(model, access)[0].partition("/")
    return url_of(provider, access, f"/models/{path_segment(owner)}/{path_segment(name)}")


def description(
    provider: Provider, access: Access, model: str, *, accept: frozenset[int] = frozenset()
) -> Call:
    version = name_and_version(model, access)[1]
    url = model_url(provider, access, model)
    return get(
        f"{url}/versions/{path_segment(version)}" if version else url, auth(access), accept=accept
    )


def _shape_key(provider: Provider, access: Access, model: str) -> tuple[str, ...]:
    return (
        "replicate shape",
        url_of(provider, access, ""),
        *name_and_version(model, access),
        access.values.get(KEY_FIELD, ""),
    )


def shape_of(provider: Provider, access: Access, model: str) -> Generator[Call, Reply, Shape]:
    """Return the model's shape, fetched once an hour and cached like a token.

    The cache key includes the API token: the model may be private.
    """
    version = name_and_version(model, access)[1]

    def read(reply: Reply) -> tuple[str, float]:
        return shape_text(reply, version), SHAPE_SECONDS if reply.status < 300 else 0.0

    call = description(provider, access, model, accept=NO_DESCRIPTION)
    return shape_from((yield from fetched_token(_shape_key(provider, access, model), call, read)))


# Predictions


def start(
    provider: Provider,
    access: Access,
    model: str,
    shape: Shape,
    inputs: Mapping[str, Any],
    *,
    stream: bool = False,
) -> Generator[Call, Reply, tuple[Prediction, bool]]:
    """Create a prediction, and tell whether the reply came after it was over.

    Each prediction is paid for, so it is repeated only if it was throttled.
    """
    body: dict[str, Any] = {"input": inputs}
    url = f"{model_url(provider, access, model)}/predictions"
    if shape.version:
        url, body = url_of(provider, access, "/predictions"), {"version": shape.version, **body}
    if stream:
        body["stream"] = True
    call = post_json(url, {**auth(access), **({} if stream else {"Prefer": WAIT})}, body)
    call.accept = REFUSED
    reply = yield call
    if reply.status in REFUSED:
        # The model's inputs may have changed.
        forget_token(_shape_key(provider, access, model))
        raise error_or(reply, provider)
    return read_object(reply), not stream and reply.status != NOT_FINISHED


def run(
    provider: Provider, access: Access, model: str, shape: Shape, inputs: Mapping[str, Any]
) -> Generator[Call, Reply, Prediction]:
    """Run a prediction from start to end.

    Raises:
        ProviderError: if it failed.
    """
    prediction, waited = yield from start(provider, access, model, shape, inputs)
    if prediction.get("status") in ENDED:
        raise_if_failed(prediction)
        return prediction
    handle = handle_of(prediction, url_of(provider, access, "/predictions"), auth(access))
    return (yield from finished(handle, prediction, waited=waited))


def chat(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    refuse_unsupported(request.body)
    shape = yield from shape_of(provider, access, request.model)
    inputs = chat_input(request, shape)
    yield from replace_large(provider, access, inputs)
    if request.stream:
        return (yield from start_stream(provider, request, access, shape, inputs))
    prediction = yield from run(provider, access, request.model, shape, inputs)
    return chat_answer(prediction, request.model)


def start_stream(
    provider: Provider, request: Request, access: Access, shape: Shape, inputs: Mapping[str, Any]
) -> Generator[Call, Reply, Answer | Decoder]:
    """Stream a prediction from its event stream, or by polling if there is none that may be
    opened.
    """
    prediction, _waited = yield from start(
        provider, access, request.model, shape, inputs, stream=True
    )
    raise_if_failed(prediction)
    if prediction.get("status") == "succeeded":
        return ReadyAnswer(chat_answer(prediction, request.model))
    handle = handle_of(prediction, url_of(provider, access, "/predictions"), auth(access))
    call = stream_call(prediction, handle)
    is_open = False
    if call is not None:
        is_open = (yield call).open
    return PredictionDecoder(prediction, handle, request.model, is_open=is_open)


def embeddings(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    texts = texts_of(request)
    shape = yield from shape_of(provider, access, request.model)
    extra = {}
    if request.body.get("dimensions") is not None:
        if not shape.takes("dimensions"):
            raise fixed_size()
        extra["dimensions"] = request.body["dimensions"]
    parts = []
    for batch, inputs in embedding_inputs(texts, shape, facts.max_inputs):
        prediction = yield from run(provider, access, request.model, shape, {**inputs, **extra})
        vectors, usage = vectors_of(prediction.get("output")), usage_of(prediction)
        check_count(len(vectors), batch)
        parts.append((vectors, usage.prompt_tokens if usage else None))
    return joined(parts, request)


def transcribe(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    check_transcription(request)
    assert request.upload is not None
    shape = yield from shape_of(provider, access, request.model)
    inputs = audio_input(request, shape, "")
    name = next(iter(inputs))
    inputs[name] = yield from input_url(provider, access, request.upload)
    prediction = yield from run(provider, access, request.model, shape, inputs)
    return transcript(prediction.get("output"), request)


def images(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """Generate images, or edit those of the request."""
    shape = yield from shape_of(provider, access, request.model)
    inputs = image_input(request, shape)
    if request.operation is Operation.IMAGE_EDITS:
        inputs |= edited_input(shape, image_urls(request))
    yield from replace_large(provider, access, inputs)
    prediction = yield from run(provider, access, request.model, shape, inputs)
    made = yield from delivered(images_of(prediction.get("output")), request)
    return images_answer(made, request)


# Files


def input_url(provider: Provider, access: Access, upload: Upload) -> Generator[Call, Reply, str]:
    """Return the URL of a model's input: a data URI, or the URL of a file stored first.

    See https://replicate.com/docs/topics/predictions/input-files
    """
    kind = upload.content_type.split(";", 1)[0].strip() or "application/octet-stream"
    if len(upload.data) * 4 / 3 + len(kind) + 16 <= LARGEST_DATA_URI:
        return f"data:{kind};base64,{base64.b64encode(upload.data).decode()}"
    content_type, body = multipart({}, ("content", upload))
    headers = {**auth(access), "Content-Type": content_type, "Accept": "application/json"}
    stored = read_object((yield Call("POST", url_of(provider, access, "/files"), headers, body)))
    urls = stored.get("urls")
    url = urls.get("get") if isinstance(urls, dict) else None
    if not isinstance(url, str):
        raise ProviderError(Failure.ERROR, Reason("no_file"), status=200)
    return url


_DATA_URI = re.compile(r"data:([\w.+/-]+);base64,")


def replace_large(
    provider: Provider, access: Access, inputs: dict[str, Any]
) -> Generator[Call, Reply, None]:
    """Store images that are too large for a data URI, and put their URLs in place."""
    for name, value in inputs.items():
        items = value if isinstance(value, list) else [value]
        if any(map(_is_large, items)):
            urls = []
            for item in items:
                if _is_large(item):
                    item = yield from input_url(provider, access, _decoded(item))
                urls.append(item)
            inputs[name] = urls if isinstance(value, list) else urls[0]


def _is_large(value: Any) -> bool:
    return (
        isinstance(value, str)
        and len(value) > LARGEST_DATA_URI
        and _DATA_URI.match(value) is not None
    )


def _decoded(uri: str) -> Upload:
    match = _DATA_URI.match(uri)
    assert match is not None
    try:
        return Upload(
            f"image.{match[1].rpartition('/')[2]}",
            match[1],
            base64.b64decode(uri[match.end() :], validate=True),
        )
    except ValueError:
        raise CannotExpress("An image's data URI is not valid base64.", param="messages") from None


# Checks


def check(provider: Provider, access: Access) -> CheckExchange:
    """Read the token's account, which is free."""
    account = read_object((yield get(url_of(provider, access, "/account"), auth(access))))
    if not isinstance(account.get("username"), str):
        raise ProviderError(Failure.NOT_AN_API, Reason("not_replicate"), status=200)


def check_model(provider: Provider, access: Access, model: str, kind: ModelType) -> CheckExchange:
    """Check that the model exists and its schema fits the type, which is free.

    A prediction would cost money, and may take minutes to boot.
    """
    version = name_and_version(model, access)[1]
    reply = yield description(provider, access, model)
    read_object(reply)
    check_fits(shape_from(shape_text(reply, version)), kind)


_DRAWS = re.compile(
    r"flux|sdxl|stable-diffusion|imagen|ideogram|recraft|seedream|-image\b|photon|nano-banana"
)


def guess_type(model: str) -> ModelType | None:
    name = model.lower()
    if re.search(r"embed|mpnet|\bbge-|[-/]e5-|\bgte-", name):
        return ModelType.EMBEDDING
    if re.search(r"whisper|transcri|speech-to-text", name):
        return ModelType.SPEECH_TO_TEXT
    return ModelType.IMAGE if _DRAWS.search(name) else ModelType.REASONING


PROVIDER = Provider(
    slug="replicate",
    label="Replicate",
    kind=Kind.HOSTING,
    order=5,
    model_types=(
        *(ModelType.REASONING, ModelType.EMBEDDING, ModelType.SPEECH_TO_TEXT),
        ModelType.IMAGE,
    ),
    description=_("Models published by others, billed by the second or by the token."),
    key_url=KEY_URL,
    model_label=_("Model (owner/name)"),
    docs_url="https://replicate.com/docs/reference/http",
    credential_fields=(
        Field(
            KEY_FIELD,
            _("API token"),
            secret=True,
            help_url=KEY_URL,
            placeholder="r8_...",
            prefix="r8_",
            env=("REPLICATE_API_TOKEN", "REPLICATE_API_KEY"),
        ),
        base_url_field(),
    ),
    model_fields=(
        Field(
            VERSION_FIELD,
            _("Version"),
            required=False,
            help_text=_(
                "64 characters, from the model's page. Leave it empty for the latest version and "
                "for official models."
            ),
        ),
    ),
    default_base_url="https://api.replicate.com/v1",
    operations={
        Operation.CHAT: chat,
        Operation.EMBEDDINGS: embeddings,
        Operation.TRANSCRIPTION: transcribe,
        Operation.TRANSLATION: transcribe,
        Operation.IMAGES: images,
        Operation.IMAGE_EDITS: images,
    },
    errors=errors,
    check=check,
    check_model=check_model,
    guess_type=guess_type,
)
