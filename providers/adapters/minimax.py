"""MINIMAX (https://platform.minimax.io/docs, https://platform.minimaxi.com/docs in China)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from django.utils.translation import gettext_lazy as _

from providers.declaration.fields import base_url_field
from providers.declaration.spec import (
    Access,
    Answer,
    CheckExchange,
    Exchange,
    Field,
    Kind,
    ModelFacts,
    ModelType,
    Operation,
    Provider,
    Request,
)
from providers.wire.anthropic.native import anthropic_native
from providers.wire.audio.speech import AUDIO_TYPES, ReadySpeech, format_of
from providers.wire.chat_answers import answer_of
from providers.wire.dialects.minimax import (
    audio_of,
    embedding_body,
    errors,
    fit,
    speech_body,
    stream_of_chat,
    tidy,
    vectors_of,
)
from providers.wire.http import NO_ROUTE, bearer, get, post_json, read_object, url_of
from providers.wire.images.minimax import minimax_images
from providers.wire.native.in_part import beside, in_part
from providers.wire.openai.chat import neutral_body, request_usage, whole_answer
from providers.wire.openai.embeddings import batches, check_count, joined, texts_of
from providers.wire.openai.embeddings import embedding_body as checked_body
from providers.wire.openai.model_list import list_models, rows_of
from providers.wire.repairs.asking import asked
from providers.wire.usage import input_tokens_of

# https://platform.minimax.io/docs/api-reference/text-anthropic-api: no older models, nor others.
_MESSAGES = re.compile(r"minimax-m[2-9]", re.IGNORECASE)
KEY_URL = "https://platform.minimax.io/user-center/basic-information/interface-key"
BASES = {"intl": "https://api.minimax.io/v1", "cn": "https://api.minimaxi.com/v1"}
CHECK_MODEL = "MiniMax-M2.5"
MAX_TEXTS = 10  # in one embedding request

auth = bearer("api_key")


def base_url_of(values: Mapping[str, str]) -> str:
    """Return the base URL of the platform; keys work on one platform only."""
    region = values.get("region") or "intl"
    if region not in BASES:
        raise ValueError(_("Choose one of the two platforms."))
    return BASES[region] if region != "intl" else ""


def grouped(url: str, access: Access) -> str:
    """Add the group to a URL, which services older than the OpenAI-compatible one require."""
    group = access.values.get("group_id", "").strip()
    return f"{url}?GroupId={quote(group, safe='')}" if group else url


def chat(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    legacy = facts.values.get("route") == "legacy"
    body = neutral_body(request, facts)
    if request.stream:
        request_usage(body)
    fit(body, facts, legacy=legacy)
    url = url_of(provider, access, "/text/chatcompletion_v2" if legacy else "/chat/completions")
    reply = yield from asked(provider, url, auth(access), body, request)
    if request.stream:
        return stream_of_chat(request.model)
    return whole_answer(reply, provider.errors, tidy)


def speaks_messages(provider: Provider, request: Request, access: Access) -> bool:
    return bool(_MESSAGES.match(request.model))


def embeddings(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    checked_body(request, facts)  # refuses an unsupported size
    parts = []
    for texts in batches(texts_of(request), facts.max_inputs or MAX_TEXTS):
        call = post_json(
            grouped(url_of(provider, access, "/embeddings"), access),
            auth(access),
            embedding_body(request, texts),
        )
        body = read_object((yield call))
        vectors = vectors_of(body)
        check_count(len(vectors), texts)
        parts.append((vectors, input_tokens_of(body) or input_tokens_of(body.get("usage"))))
    return joined(parts, request)


def speech(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    call = post_json(
        grouped(url_of(provider, access, "/t2a_v2"), access), auth(access), speech_body(request)
    )
    audio = audio_of(read_object((yield call)))
    if request.stream:
        return ReadySpeech(audio)
    return Answer(None, content=audio, content_type=AUDIO_TYPES[format_of(request)])


def check(provider: Provider, access: Access) -> CheckExchange:
    """List the models, which is free; ask a relay without a list for one token."""
    reply = yield get(url_of(provider, access, "/models"), auth(access), accept=NO_ROUTE)
    if reply.status not in NO_ROUTE:
        rows_of(reply)
        return
    body = {
        "model": CHECK_MODEL,
        "messages": [{"role": "user", "content": "ping"}],
        "max_completion_tokens": 1,
    }
    answer_of(
        read_object(
            (yield post_json(url_of(provider, access, "/chat/completions"), auth(access), body))
        )
    )


def guess_type(model: str) -> ModelType | None:
    """Guess a model's type from its name; the list contains only chat models, without types."""
    name = model.lower()
    if name.startswith("image-"):
        return ModelType.IMAGE
    if re.search(r"hailuo|video|image|music|t2v|i2v", name):
        return None
    if name.startswith("embo"):
        return ModelType.EMBEDDING
    return ModelType.TEXT_TO_SPEECH if name.startswith("speech-") else ModelType.REASONING


PROVIDER = Provider(
    slug="minimax",
    label="MINIMAX",
    kind=Kind.OWN,
    order=9,
    replays_thoughts=True,
    model_types=(
        *(ModelType.REASONING, ModelType.EMBEDDING, ModelType.TEXT_TO_SPEECH),
        ModelType.IMAGE,
    ),
    description=_(
        "Models for conversations and code with long contexts, embeddings and spoken voices."
    ),
    key_url=KEY_URL,
    docs_url="https://platform.minimax.io/docs",
    credential_fields=(
        Field("api_key", _("API key"), secret=True, help_url=KEY_URL, env=("MINIMAX_API_KEY",)),
        Field(
            "region",
            _("Platform"),
            required=False,
            choices=(("intl", _("International (minimax.io)")), ("cn", _("China (minimaxi.com)"))),
            help_text=_(
                "A key works only on the platform that issued it. The default is the "
                "international one."
            ),
        ),
        Field(
            "group_id",
            _("Group ID"),
            required=False,
            advanced=True,
            env=("MINIMAX_GROUP_ID",),
            help_text=_(
                "Only for embeddings and older speech models. You find it next to the key on your "
                "account page."
            ),
        ),
        base_url_field(),
    ),
    default_base_url=BASES["intl"],
    base_url_of=base_url_of,
    operations={
        Operation.CHAT: chat,
        Operation.EMBEDDINGS: embeddings,
        Operation.SPEECH: speech,
        Operation.IMAGES: minimax_images(auth=auth),
    },
    dialects={
        "messages": in_part(
            beside(anthropic_native(auth=auth), "/anthropic/v1"), only=speaks_messages
        )
    },
    errors=errors,
    check=check,
    list_models=list_models(auth=auth, guess=guess_type),
    guess_type=guess_type,
)
