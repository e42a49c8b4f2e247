"""OpenAI (https://platform.openai.com/docs/api-reference)."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext_lazy as _

from providers.adapters._shared import base_url_field
from providers.errors import Failure
from providers.spec import Access, CheckExchange, Field, Kind, ModelFacts, ModelType, Operation, Provider, Reply
from providers.wire.audio import openai_audio
from providers.wire.embeddings import openai_embeddings
from providers.wire.http import bearer, get, is_host, post_json, url_of
from providers.wire.model_list import error_or, list_models, rows_of
from providers.wire.openai_chat import openai_chat, refuse_tools_beside_reasoning, without_fields
from providers.wire.openai_errors import openai_errors

KEY_URL = "https://platform.openai.com/api-keys"
CHECK_MODEL = "gpt-6-luna"  # the cheapest; asked for a few tokens only where a restricted key cannot read the list

_TYPES: tuple[tuple[str, ModelType | None], ...] = (
    (r"realtime|-live\b|^sora|^dall-e|image|^computer-use|codex|deep-research", None),
    (r"embedding", ModelType.EMBEDDING),
    (r"^whisper|transcribe", ModelType.SPEECH_TO_TEXT),
    (r"^tts-|-tts\b", ModelType.TEXT_TO_SPEECH),
    (r"moderation", ModelType.MODERATION),
    (r"^(gpt-|o\d|chatgpt-|ft:|babbage|davinci|text-davinci)", ModelType.REASONING),
)


def guess_type(model: str) -> ModelType | None:
    """The list says nothing of types: https://platform.openai.com/docs/api-reference/models/list."""
    return next((kind for pattern, kind in _TYPES if re.search(pattern, model)), None)


def auth(access: Access) -> dict[str, str]:
    headers = bearer("api_key")(access)
    for name, header in (("organization", "OpenAI-Organization"), ("project", "OpenAI-Project")):
        if value := access.values.get(name):
            headers[header] = value
    return headers


def fit(body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts) -> None:
    """max_tokens is refused by reasoning models and deprecated for the others; reasoning texts are another format's."""
    refuse_tools_beside_reasoning(body, facts)
    if "messages" in body:
        body["messages"] = without_fields(body["messages"], frozenset({"reasoning_content"}))
    if "max_tokens" in body and (is_host(provider, access, "api.openai.com") or "reasoning" in facts.features):
        limit = body.pop("max_tokens")
        body.setdefault("max_completion_tokens", limit)


def lacks_scope(reply: Reply) -> bool:
    return b"issing scopes" in reply.body or b"insufficient permissions" in reply.body.lower()


def check(provider: Provider, access: Access) -> CheckExchange:
    """Free: reads the list of models. A key that may chat but not read the list is tried with a chat of a few tokens."""
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
    model_types=(ModelType.REASONING, ModelType.EMBEDDING, ModelType.SPEECH_TO_TEXT),
    description=_("GPT models, embeddings and transcription."),
    key_url=KEY_URL,
    docs_url="https://platform.openai.com/docs",
    credential_fields=(
        Field("api_key", _("API key"), secret=True, help_url=KEY_URL, placeholder="sk-...", prefix="sk-"),
        Field("organization", _("Organization ID"), required=False, advanced=True, placeholder="org-..."),
        Field("project", _("Project ID"), required=False, advanced=True, placeholder="proj_..."),
        base_url_field(placeholder="https://eu.api.openai.com/v1"),
    ),
    default_base_url="https://api.openai.com/v1",
    operations={
        Operation.CHAT: openai_chat(auth=auth, adjust=fit),
        Operation.EMBEDDINGS: openai_embeddings(auth=auth),
        Operation.TRANSCRIPTION: openai_audio(auth=auth, path="/audio/transcriptions"),
        Operation.TRANSLATION: openai_audio(auth=auth, path="/audio/translations"),
    },
    errors=openai_errors({"invalid_organization": Failure.AUTH, "mismatched_organization": Failure.AUTH}),
    check=check,
    list_models=list_models(auth=auth, guess=guess_type),
    guess_type=guess_type,
)
