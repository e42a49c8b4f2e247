"""Azure OpenAI in Microsoft Foundry (https://learn.microsoft.com/azure/ai-foundry/openai/):
deployments, under names of the customer's.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from providers.adapters.openai import choose_voice
from providers.declaration.fields import base_url_field
from providers.declaration.spec import (
    Access,
    Call,
    CheckExchange,
    Exchange,
    Field,
    Kind,
    MakeExchange,
    ModelFacts,
    ModelType,
    Operation,
    Provider,
    Reply,
    Request,
)
from providers.wire.audio.speech import openai_speech
from providers.wire.audio.transcriptions import openai_audio
from providers.wire.dialects.azure_openai import (
    USAGE_SINCE,
    auth,
    endpoint_of,
    errors,
    is_before,
    read_base_url,
    tidy,
    with_account,
)
from providers.wire.http import get, url_of
from providers.wire.openai.chat import openai_chat, without_fields
from providers.wire.openai.completions import openai_completions
from providers.wire.openai.embeddings import openai_embeddings
from providers.wire.openai.model_list import error_or, rows_of
from providers.wire.openai.responses import openai_responses
from providers.wire.openai.routes import chat_or_responses, needs_responses

MAX_INPUTS = 2048
_OPENAI = re.compile(r"gpt-|o\d|codex")  # other makers' models keep max_tokens
_AZURE = (".azure.com", ".azure.us", ".azure.cn")


def deployed(ask: MakeExchange) -> MakeExchange:
    """The same exchange with the customer's deployment."""

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        return (
            yield from with_account(
                provider, access, request.model, lambda there: ask(provider, request, there, facts)
            )
        )

    return exchange


def model_of(deployment: str, access: Access) -> str:
    """What a deployment runs, as far as anyone said."""
    return access.model_values.get("base_model") or deployment


def fit(body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts) -> None:
    if "messages" in body:
        body["messages"] = without_fields(body["messages"], frozenset({"reasoning_content"}))
    if (
        "reasoning" in facts.features
        and "max_tokens" in body
        and _OPENAI.match(model_of(body["model"], access))
    ):
        limit = body.pop("max_tokens")
        body.setdefault("max_completion_tokens", limit)
    elif facts.features and "reasoning" not in facts.features:
        body.pop("reasoning_effort", None)
    fit_version(body, provider, access, facts)


def fit_version(
    body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts
) -> None:
    if is_before(access.values.get("api_version", ""), USAGE_SINCE):
        body.pop("stream_options", None)


def chat(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """The name of a deployment says nothing: its base model does, and what the first answer
    says.
    """
    model = model_of(request.model, access)
    ask = chat_or_responses(
        chat=CHAT,
        responses=RESPONSES,
        needs=lambda one, _access, known: needs_responses(model, one.body, known),
    )
    return (yield from deployed(ask)(provider, request, access, facts))


CHAT = openai_chat(auth=auth, adjust=fit, tidy=tidy)
RESPONSES = openai_responses(auth=auth)


def check(provider: Provider, access: Access) -> CheckExchange:
    """Free: reads the resource's base models, which proves endpoint and key. Deployments are tried
    as they are added.
    """

    def ask(there: Access) -> Generator[Call, Reply, Reply]:
        return (yield get(url_of(provider, there, "/models"), auth(there), accept=frozenset({404})))

    reply = yield from with_account(provider, access, "", ask)
    if reply.status != 404:
        rows_of(reply)
    elif (urlsplit(endpoint_of(provider, access)).hostname or "").endswith(_AZURE):
        raise error_or(reply, provider)
    # A gateway in front of Azure need not pass the list on.


BY_KEY, BY_ENTRA = _("With a key of the resource"), _("With Microsoft Entra ID")

PROVIDER = Provider(
    slug="azure_openai",
    label="Azure OpenAI Service",
    kind=Kind.HOSTING,
    order=2,
    model_types=(
        ModelType.REASONING,
        ModelType.EMBEDDING,
        ModelType.SPEECH_TO_TEXT,
        ModelType.TEXT_TO_SPEECH,
    ),
    description=_(
        "Models deployed in your own Azure resource, added by the name of their deployment."
    ),
    key_url="https://portal.azure.com/#view/HubsExtension/BrowseResource/resourceType/Microsoft.CognitiveServices%2Faccounts",
    docs_url="https://learn.microsoft.com/azure/ai-foundry/openai/",
    credential_fields=(
        base_url_field(
            required=True,
            placeholder="https://my-resource.openai.azure.com",
            env=("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL"),
            help_text=_(
                "The resource's endpoint, from “Keys and Endpoint” in the Azure portal. A pasted "
                "address of a deployment is fine."
            ),
        ),
        Field(
            "api_key",
            _("API key"),
            secret=True,
            required=False,
            group=BY_KEY,
            env=("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_KEY"),
            help_text=_("One of the resource's two keys."),
        ),
        Field(
            "tenant_id",
            _("Directory (tenant) ID"),
            required=False,
            group=BY_ENTRA,
            env=("AZURE_TENANT_ID",),
            help_text=_("Both IDs stand on the overview page of the app registration."),
        ),
        Field(
            "client_id",
            _("Application (client) ID"),
            required=False,
            group=BY_ENTRA,
            env=("AZURE_CLIENT_ID",),
        ),
        Field(
            "client_secret",
            _("Client secret"),
            secret=True,
            required=False,
            group=BY_ENTRA,
            env=("AZURE_CLIENT_SECRET",),
            help_text=_(
                "Its value, not its ID. The application needs the role Cognitive Services OpenAI "
                "User."
            ),
        ),
        Field(
            "api_version",
            _("API version"),
            required=False,
            advanced=True,
            placeholder="2024-10-21",
            env=("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"),
            help_text=_(
                "Leave empty for Azure's v1 API. A date asks the older route of each deployment."
            ),
        ),
    ),
    model_label=_("Name of the deployment"),
    model_fields=(
        Field(
            "base_model",
            _("Base model"),
            required=False,
            placeholder="gpt-5.6-luna",
            help_text=_(
                "Which model the deployment runs: its name does not say. Limits and features "
                "follow from it."
            ),
        ),
        Field(
            "api_version", _("API version"), required=False, advanced=True, placeholder="2024-10-21"
        ),
    ),
    read_base_url=read_base_url,
    operations={
        Operation.CHAT: chat,
        Operation.COMPLETION: deployed(
            openai_completions(auth=auth, adjust=fit_version, tidy=tidy)
        ),
        Operation.EMBEDDINGS: deployed(openai_embeddings(auth=auth, max_inputs=MAX_INPUTS)),
        Operation.TRANSCRIPTION: deployed(openai_audio(auth=auth, path="/audio/transcriptions")),
        Operation.TRANSLATION: deployed(openai_audio(auth=auth, path="/audio/translations")),
        Operation.SPEECH: deployed(openai_speech(auth=auth, adjust=choose_voice)),
    },
    errors=errors,
    check=check,
)
