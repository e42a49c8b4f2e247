"""Any server that speaks OpenAI's format: vLLM, SGLang, Ollama, LM Studio, llama.cpp, Xinference, relays."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from providers.adapters._shared import base_url_field
from providers.adapters.openai import guess_type as guess_openai
from providers.spec import Access, Field, Kind, ModelFacts, ModelType, Operation, Provider
from providers.wire.audio import openai_audio
from providers.wire.chat_answers import choices_of
from providers.wire.completions import openai_completions
from providers.wire.embeddings import openai_embeddings
from providers.wire.http import bearer
from providers.wire.model_list import check_by_list, list_models
from providers.wire.moderation import openai_moderations
from providers.wire.openai_chat import openai_chat
from providers.wire.openai_errors import openai_errors
from providers.wire.rerank import rerank
from providers.wire.speech import openai_speech

auth = bearer("api_key")
# What names tell, in this order: a "bge-reranker" embeds nothing.
_HINTS: tuple[tuple[ModelType | None, tuple[str, ...]], ...] = (
    (ModelType.RERANK, ("rerank", "ranker")),
    (ModelType.EMBEDDING, ("embed", "bge-", "e5-", "gte-", "minilm")),
    (ModelType.SPEECH_TO_TEXT, ("whisper", "sensevoice", "asr", "transcribe")),
    (ModelType.TEXT_TO_SPEECH, ("tts", "kokoro", "cosyvoice", "parler", "fish-speech", "orpheus", "piper")),
    (ModelType.MODERATION, ("moderation",)),
    (None, ("dall-e", "stable-diffusion", "sdxl", "flux", "sora", "gpt-image")),
)


def guess_type(model: str) -> ModelType | None:
    name = model.lower()
    return next((kind for kind, words in _HINTS if any(word in name for word in words)), guess_openai(name) or ModelType.REASONING)


def choose_voice(body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts) -> None:
    """Voices bear other names on every server."""
    if not body.get("voice") and (voice := access.model_values.get("voice")):
        body["voice"] = voice


def tidy(body: dict[str, Any]) -> bool:
    """Newer vLLM calls the reasoning text `reasoning` where the others say `reasoning_content`."""
    changed = False
    for choice in choices_of(body):
        part = choice.get("delta") or choice.get("message")
        if isinstance(part, dict) and isinstance(part.get("reasoning"), str) and "reasoning_content" not in part:
            part["reasoning_content"] = part.pop("reasoning")
            changed = True
    return changed


PROVIDER = Provider(
    slug="openai_compatible",
    label=_("OpenAI-compatible server"),
    kind=Kind.HOSTING,
    model_types=tuple(ModelType),
    description=_("Any server that speaks OpenAI's format, such as vLLM, Ollama, LM Studio, llama.cpp or Xinference."),
    docs_url="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    credential_fields=(
        base_url_field(required=True, placeholder="https://models.example.com/v1", help_text=_("The address of the server's API.")),
        Field("api_key", _("API key"), secret=True, required=False, help_text=_("Leave empty where the server asks for none.")),
    ),
    model_fields=(
        Field(
            "api_key",
            _("API key of this model"),
            secret=True,
            required=False,
            advanced=True,
            help_text=_("Where it differs from the server's."),
        ),
        Field(
            "voice",
            _("Voice"),
            required=False,
            advanced=True,
            placeholder="alloy",
            help_text=_("For text to speech: the voice of calls that name none, and of the test."),
        ),
    ),
    operations={
        Operation.CHAT: openai_chat(auth=auth, tidy=tidy, think_tags=True),
        Operation.COMPLETION: openai_completions(auth=auth),
        Operation.EMBEDDINGS: openai_embeddings(auth=auth),
        Operation.TRANSCRIPTION: openai_audio(auth=auth, path="/audio/transcriptions"),
        Operation.TRANSLATION: openai_audio(auth=auth, path="/audio/translations"),
        Operation.SPEECH: openai_speech(auth=auth, adjust=choose_voice),
        Operation.RERANK: rerank(auth=auth),
        Operation.MODERATION: openai_moderations(auth=auth),
    },
    errors=openai_errors(),
    check=check_by_list(auth=auth),
    list_models=list_models(auth=auth, guess=guess_type),
    guess_type=guess_type,
    allow_unchecked=True,
)
