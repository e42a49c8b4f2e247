"""Azure OpenAI in Microsoft Foundry: deployments under the customer's own names.

See https://learn.microsoft.com/azure/ai-foundry/openai/
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from decimal import Decimal
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
from providers.declaration.storage import Storage, StorageRequest
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
from providers.wire.images.openai import openai_image_edits, openai_images, return_data
from providers.wire.openai.chat import openai_chat, without_fields
from providers.wire.openai.completions import openai_completions
from providers.wire.openai.embeddings import openai_embeddings
from providers.wire.openai.model_list import error_or, rows_of
from providers.wire.openai.responses.exchange import openai_responses
from providers.wire.openai.responses.native import native_responses
from providers.wire.openai.routes import chat_or_responses, needs_responses
from providers.wire.openai.storage import openai_storage

MAX_INPUTS = 2048
_OPENAI = re.compile(r"gpt-|o\d|codex")  # other makers' models keep max_tokens
_AZURE = (".azure.com", ".azure.us", ".azure.cn")


def deployed(make: MakeExchange) -> MakeExchange:
    """Make the same exchange for the customer's deployment."""

    def exchange(
        provider: Provider, request: Request, access: Access, facts: ModelFacts
    ) -> Exchange:
        return (
            yield from with_account(
                provider, access, request.model, lambda v1: make(provider, request, v1, facts)
            )
        )

    return exchange


def model_of(deployment: str, access: Access) -> str:
    """Return the model that a deployment runs, as far as it is known."""
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
    """Chat by the API that the deployment's base model, or the first reply, calls for."""
    model = model_of(request.model, access)
    make = chat_or_responses(
        chat=CHAT,
        responses=RESPONSES,
        needs=lambda request, _access, facts: needs_responses(model, request.body, facts),
    )
    return (yield from deployed(make)(provider, request, access, facts))


CHAT = openai_chat(auth=auth, adjust=fit, tidy=tidy, tidies_shape=True)
RESPONSES = openai_responses(auth=auth)


def fit_images(body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts) -> None:
    """Remove response_format, which all image models but DALL-E refuse.

    See https://learn.microsoft.com/azure/ai-foundry/openai/how-to/dall-e
    """
    if "dall-e" not in model_of(body["model"], access):
        return_data(body)


def of_resource(storage: Storage) -> Storage:
    """Keep files and batches in the customer's resource."""

    def exchange(provider: Provider, request: StorageRequest, access: Access) -> Exchange:
        return (
            yield from with_account(
                provider, access, "", lambda v1: storage.exchange(provider, request, v1)
            )
        )

    return replace(storage, exchange=exchange)


# https://learn.microsoft.com/azure/ai-foundry/openai/how-to/batch
STORAGE = openai_storage(
    auth=auth, paths=("/v1/chat/completions",), url="{below}", price=Decimal("0.5")
)


def check(provider: Provider, access: Access) -> CheckExchange:
    """List the resource's base models, which is free and proves endpoint and key.

    Deployments are tried when they are added.
    """

    def read_models(v1: Access) -> Generator[Call, Reply, Reply]:
        return (yield get(url_of(provider, v1, "/models"), auth(v1), accept=frozenset({404})))

    reply = yield from with_account(provider, access, "", read_models)
    if reply.status != 404:
        rows_of(reply)
    elif (urlsplit(endpoint_of(provider, access)).hostname or "").endswith(_AZURE):
        raise error_or(reply, provider)
    # A gateway in front of Azure may not offer the list.


BY_KEY, BY_ENTRA = _("With a resource key"), _("With Microsoft Entra ID")

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
        ModelType.IMAGE,
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
                "The resource's endpoint, from “Keys and Endpoint” in the Azure portal. You can "
                "also paste a deployment's URL."
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
            help_text=_("You find both IDs on the app registration's overview page."),
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
                "The secret's value, not its ID. The application needs the role Cognitive "
                "Services OpenAI User."
            ),
        ),
        Field(
            "api_version",
            _("API version"),
            required=False,
            advanced=True,
            placeholder="2024-10-21",
            env=("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"),
            help_text=_("Leave it empty for Azure's v1 API. With a date, calls use the older API."),
        ),
    ),
    model_label=_("Deployment name"),
    model_fields=(
        Field(
            "base_model",
            _("Base model"),
            required=False,
            placeholder="gpt-5.6-luna",
            help_text=_("The model that the deployment runs. It determines limits and features."),
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
        Operation.IMAGES: deployed(openai_images(auth=auth, adjust=fit_images)),
        Operation.IMAGE_EDITS: deployed(openai_image_edits(auth=auth, adjust=fit_images)),
    },
    dialects={"responses": deployed(native_responses(auth=auth))},
    storage=of_resource(STORAGE),
    errors=errors,
    check=check,
)
