"""OpenAI (https://platform.openai.com/docs/api-reference)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _

from providers.declaration.errors import CannotExpress, Failure
from providers.declaration.fields import base_url_field
from providers.declaration.spec import (
    Access,
    CheckExchange,
    Exchange,
    Field,
    Kind,
    ModelFacts,
    ModelType,
    Operation,
    Provider,
    Reply,
    Request,
)
from providers.wire.audio.speech import openai_speech
from providers.wire.audio.transcriptions import openai_audio
from providers.wire.http import bearer, get, is_host, post_json, url_of
from providers.wire.images.openai import openai_image_edits, openai_images, return_data
from providers.wire.openai.chat import openai_chat, without_fields
from providers.wire.openai.completions import openai_completions
from providers.wire.openai.embeddings import openai_embeddings
from providers.wire.openai.errors import openai_errors
from providers.wire.openai.model_list import error_or, list_models, rows_of
from providers.wire.openai.moderation import openai_moderations
from providers.wire.openai.responses.answers import RESPONSE_CODES
from providers.wire.openai.responses.exchange import openai_responses
from providers.wire.openai.responses.native import native_responses
from providers.wire.openai.routes import chat_or_responses, needs_responses
from providers.wire.openai.storage import openai_storage

KEY_URL = "https://platform.openai.com/api-keys"
# Per embeddings request: https://platform.openai.com/docs/api-reference/embeddings/create
MAX_INPUTS = 2048
# The cheapest model; called for a few tokens only if a restricted key cannot list models.
CHECK_MODEL = "gpt-6-luna"

# Of a batch: https://platform.openai.com/docs/guides/batch
BATCH_PATHS = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/moderations",
)
BATCH_PRICE = Decimal("0.5")

_TYPES: tuple[tuple[str, ModelType | None], ...] = (
    (r"realtime|-live\b|^sora|^computer-use", None),
    (r"^dall-e|^gpt-image|^chatgpt-image", ModelType.IMAGE),
    (r"embedding", ModelType.EMBEDDING),
    (r"^whisper|transcribe", ModelType.SPEECH_TO_TEXT),
    (r"^tts-|-tts\b", ModelType.TEXT_TO_SPEECH),
    (r"moderation", ModelType.MODERATION),
    (r"^(gpt-|o\d|chatgpt-|codex-|ft:|babbage|davinci|text-davinci)", ModelType.REASONING),
)


def guess_type(model: str) -> ModelType | None:
    """Guess a model's type from its name; the list contains no types.

    See https://platform.openai.com/docs/api-reference/models/list
    """
    return next((kind for pattern, kind in _TYPES if re.search(pattern, model)), None)


def auth(access: Access) -> dict[str, str]:
    headers = bearer("api_key")(access)
    for name, header in (("organization", "OpenAI-Organization"), ("project", "OpenAI-Project")):
        if value := access.values.get(name):
            headers[header] = value
    return headers


def fit(body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts) -> None:
    """Replace max_tokens, which is deprecated, and remove reasoning texts, which are another
    format's.
    """
    if "messages" in body:
        body["messages"] = without_fields(body["messages"], frozenset({"reasoning_content"}))
    if facts.features and "reasoning" not in facts.features:
        # Clients of a default model cannot know whether it reasons.
        body.pop("reasoning_effort", None)
    if "max_tokens" in body and (
        is_host(provider, access, "api.openai.com") or "reasoning" in facts.features
    ):
        limit = body.pop("max_tokens")
        body.setdefault("max_completion_tokens", limit)


def choose_voice(
    body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts
) -> None:
    """Set a default voice, which is required."""
    body.setdefault("voice", "alloy")


_RETURNS_DATA = re.compile(r"^(?:gpt|chatgpt)-image")


def fit_images(body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts) -> None:
    """Remove response_format, which models that always return data refuse.

    See https://platform.openai.com/docs/api-reference/images/create
    """
    if _RETURNS_DATA.search(str(body["model"])):
        return_data(body)


# Models that continue a text and do not accept messages.
_COMPLETION_ONLY = re.compile(r"-instruct\b|^(?:ft:)?(?:babbage|davinci|text-davinci)")


def is_completion_only(model: str, facts: ModelFacts) -> bool:
    return "completion_only" in facts.features or bool(_COMPLETION_ONLY.search(model))


def chat(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    if is_completion_only(request.model, facts):
        message = (
            f"{request.model} completes texts and does not chat. Send a prompt to /v1/completions."
        )
        raise CannotExpress(message, param="model")
    return CHAT(provider, request, access, facts)


def complete(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    if is_host(provider, access, "api.openai.com") and not is_completion_only(request.model, facts):
        message = (
            f"{request.model} chats and does not complete texts. "
            "Send messages to /v1/chat/completions."
        )
        raise CannotExpress(message, param="model")
    return (yield from COMPLETION(provider, request, access, facts))


CHAT = chat_or_responses(
    chat=openai_chat(auth=auth, adjust=fit),
    responses=openai_responses(auth=auth),
    needs=lambda request, _access, facts: needs_responses(request.model, request.body, facts),
)
COMPLETION = openai_completions(auth=auth)


def lacks_scope(reply: Reply) -> bool:
    return b"issing scopes" in reply.body or b"insufficient permissions" in reply.body.lower()


def check(provider: Provider, access: Access) -> CheckExchange:
    """List the models, which is free.

    If the key may chat but not list models, send a chat of a few tokens.
    """
    reply = yield get(url_of(provider, access, "/models"), auth(access), accept=frozenset({403}))
    if reply.status != 403:
        rows_of(reply)
    elif lacks_scope(reply):
        body = {
            "model": CHECK_MODEL,
            "messages": [{"role": "user", "content": "ping"}],
            "max_completion_tokens": 16,
            "reasoning_effort": "none",
        }
        yield post_json(url_of(provider, access, "/chat/completions"), auth(access), body)
    else:
        raise error_or(reply, provider)


PROVIDER = Provider(
    slug="openai",
    label="OpenAI",
    kind=Kind.OWN,
    order=1,
    model_types=(
        ModelType.REASONING,
        ModelType.EMBEDDING,
        ModelType.SPEECH_TO_TEXT,
        ModelType.TEXT_TO_SPEECH,
        ModelType.MODERATION,
        ModelType.IMAGE,
    ),
    description=_("GPT models, embeddings, transcription, speech, moderation and images."),
    key_url=KEY_URL,
    docs_url="https://platform.openai.com/docs",
    credential_fields=(
        Field(
            "api_key",
            _("API key"),
            secret=True,
            help_url=KEY_URL,
            placeholder="sk-...",
            prefix="sk-",
            env=("OPENAI_API_KEY", "OPENAI_KEY"),
        ),
        Field(
            "organization",
            _("Organization ID"),
            required=False,
            advanced=True,
            placeholder="org-...",
            env=("OPENAI_ORG_ID", "OPENAI_ORGANIZATION"),
        ),
        Field(
            "project",
            _("Project ID"),
            required=False,
            advanced=True,
            placeholder="proj_...",
            env=("OPENAI_PROJECT_ID", "OPENAI_PROJECT"),
        ),
        base_url_field(
            placeholder="https://eu.api.openai.com/v1", env=("OPENAI_BASE_URL", "OPENAI_API_BASE")
        ),
    ),
    default_base_url="https://api.openai.com/v1",
    operations={
        Operation.CHAT: chat,
        Operation.COMPLETION: complete,
        Operation.EMBEDDINGS: openai_embeddings(auth=auth, max_inputs=MAX_INPUTS),
        Operation.TRANSCRIPTION: openai_audio(auth=auth, path="/audio/transcriptions"),
        Operation.TRANSLATION: openai_audio(auth=auth, path="/audio/translations"),
        Operation.SPEECH: openai_speech(auth=auth, adjust=choose_voice),
        Operation.MODERATION: openai_moderations(auth=auth),
        Operation.IMAGES: openai_images(auth=auth, adjust=fit_images),
        Operation.IMAGE_EDITS: openai_image_edits(auth=auth, adjust=fit_images),
    },
    dialects={"responses": native_responses(auth=auth)},
    storage=openai_storage(auth=auth, paths=BATCH_PATHS, price=BATCH_PRICE),
    errors=openai_errors(
        {
            **RESPONSE_CODES,
            "invalid_organization": Failure.AUTH,
            "mismatched_organization": Failure.AUTH,
        }
    ),
    check=check,
    list_models=list_models(auth=auth, guess=guess_type),
    guess_type=guess_type,
)
