"""Hugging Face Hub: models of many providers through its router, and Inference Endpoints.

See https://huggingface.co/docs/inference-providers and
https://huggingface.co/docs/inference-endpoints
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import orjson
from django.utils.translation import gettext_lazy as _

from providers.declaration.errors import CannotExpress, Failure, ProviderError
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
    Request,
)
from providers.failures.reasons import Reason
from providers.wire.audio.transcriptions import openai_audio
from providers.wire.chat_answers import choices_of
from providers.wire.compatibility import use_max_tokens, use_system_role
from providers.wire.dialects.huggingface import (
    MAX_INPUTS,
    OPTIONS,
    hugging_face_errors,
    may_call,
    or_without_route,
    speech_call,
    transcript_of,
    vectors_of,
)
from providers.wire.http import (
    base_of,
    bearer,
    get,
    is_host,
    json_or_none,
    path_segments,
    post_json,
    unreadable,
    url_of,
)
from providers.wire.images.huggingface import text_to_image
from providers.wire.images.openai import openai_images
from providers.wire.openai.chat import openai_chat, without_fields
from providers.wire.openai.completions import openai_completions
from providers.wire.openai.embeddings import batches, joined, openai_embeddings, texts_of
from providers.wire.openai.model_list import rows_of
from providers.wire.preconditions import fixed_size
from providers.wire.rerank import Question, rerank

KEY_URL = "https://huggingface.co/settings/tokens"
WHO_AM_I = "https://huggingface.co/api/whoami-v2"
ROUTER = "https://router.huggingface.co"

_bearer = bearer("api_token")


def auth(access: Access) -> dict[str, str]:
    organization = access.values.get("bill_to", "")
    return {**_bearer(access), **({"X-HF-Bill-To": organization} if organization else {})}


def is_endpoint(provider: Provider, access: Access) -> bool:
    """Tell whether calls go to an Inference Endpoint.

    Raises:
        CannotExpress: if the endpoint has no base URL.
    """
    mode = access.model_values.get("mode") or (
        "endpoint" if is_host(provider, access, "endpoints.huggingface.cloud") else "router"
    )
    if mode == "endpoint" and is_host(provider, access, "router.huggingface.co"):
        raise CannotExpress("Enter the base URL of the Inference Endpoint.", param="base_url")
    return mode == "endpoint"


def at_root(provider: Provider, access: Access) -> Access:
    """Return the access with the server's root as its base URL, without OpenAI's /v1."""
    return replace(access, base_url=re.sub(r"/v1$", "", base_of(provider, access)))


def task_url(provider: Provider, access: Access, model: str, task: str = "") -> str:
    """Return a model's URL at hf-inference, the only provider with these tasks in their own format.

    Raises:
        CannotExpress: if the model's name selects another provider.
    """
    name, _colon, server = model.partition(":")
    if server not in ("", "hf-inference"):
        raise CannotExpress(
            "Through the router, models of this type are available only from hf-inference.",
            param="model",
        )
    return f"{at_root(provider, access).base_url}/hf-inference/models/{path_segments(name)}{task}"


# Chat


def fit(body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts) -> None:
    """Fit a request to the providers behind the router and the servers of endpoints."""
    is_endpoint(provider, access)
    use_max_tokens(body)
    use_system_role(body)
    if "messages" in body:
        body["messages"] = without_fields(body["messages"], frozenset({"reasoning_content"}))
    answer_format = body.get("response_format")
    if (
        str(body["model"]).endswith(":hf-inference")
        and isinstance(answer_format, dict)
        and answer_format.get("type") == "json_schema"
    ):
        body["response_format"] = {
            "type": "json_object",
            "value": (answer_format.get("json_schema") or {}).get("schema"),
        }


_FINISH = {"eos": "stop", "eos_token": "stop", "stop_sequence": "stop"}


def tidy(body: dict[str, Any]) -> bool:
    """Repair answers of the providers behind the router and of text-generation-inference."""
    changed = tidy_usage(body.get("usage"))
    for choice in choices_of(body):
        finish = choice.get("finish_reason")
        if finish in _FINISH or finish == "":
            # In a stream, every chunk has an empty reason.
            choice["finish_reason"] = _FINISH.get(finish) or (
                "stop" if "message" in choice else None
            )
            changed = True
        part = choice.get("delta") or choice.get("message")
        if isinstance(part, dict):
            changed = tidy_message(part) or changed
    return changed


def tidy_message(part: dict[str, Any]) -> bool:
    changed = False
    if isinstance(part.get("reasoning"), str) and not part.get("reasoning_content"):
        part["reasoning_content"] = part.pop("reasoning")
        changed = True
    for call in part.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), dict):
            function["arguments"] = orjson.dumps(function["arguments"]).decode()
            changed = True
    return changed


def tidy_usage(usage: Any) -> bool:
    """Move cached tokens to the details, as some providers report them next to the totals."""
    if (
        not isinstance(usage, dict)
        or not isinstance(usage.get("cached_tokens"), int)
        or usage.get("prompt_tokens_details")
    ):
        return False
    usage["prompt_tokens_details"] = {"cached_tokens": usage.pop("cached_tokens")}
    return True


_openai_completions = openai_completions(auth=auth, tidy=tidy)


def completions(
    provider: Provider, request: Request, access: Access, facts: ModelFacts
) -> Exchange:
    if not is_endpoint(provider, access):
        raise CannotExpress(
            "The router supports only chats. Text completions need an Inference Endpoint.",
            param="model",
        )
    return (yield from _openai_completions(provider, request, access, facts))


# Embeddings

_openai_embeddings = openai_embeddings(auth=auth, max_inputs=MAX_INPUTS)


def embeddings(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """Embed by feature extraction, or at endpoints by OpenAI's route if the server has it."""
    if not is_endpoint(provider, access):
        url = task_url(provider, access, request.model, "/pipeline/feature-extraction")
        return (yield from extract(url, request, access, facts))
    native = extract(f"{at_root(provider, access).base_url}/", request, access, facts)
    return (
        yield from or_without_route(_openai_embeddings(provider, request, access, facts), native)
    )


def extract(url: str, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    if request.body.get("dimensions") is not None:
        raise fixed_size()
    options = {name: request.body[name] for name in OPTIONS if name in request.body}
    parts = []
    for texts in batches(texts_of(request), facts.max_inputs or MAX_INPUTS):
        reply = yield post_json(url, auth(access), {"inputs": texts, **options})
        answer = json_or_none(reply.body)
        if not isinstance(answer, dict | list):
            raise unreadable(reply)
        parts.append((vectors_of(answer, len(texts)), None))
    return joined(parts, request)


# Images, speech and rerank

_openai_images = openai_images(auth=auth)


def images(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """Generate an image by the text-to-image task, or at endpoints by OpenAI's route if the server
    has it.
    """
    if not is_endpoint(provider, access):
        url = task_url(provider, access, request.model)
        return (yield from text_to_image(url, auth(access), request))
    native = text_to_image(f"{at_root(provider, access).base_url}/", auth(access), request)
    exchange = _openai_images(provider, request, access, facts)
    return (yield from or_without_route(exchange, native))


_openai_transcriptions = openai_audio(auth=auth, path="/audio/transcriptions")


def transcriptions(
    provider: Provider, request: Request, access: Access, facts: ModelFacts
) -> Exchange:
    """Transcribe raw audio, or at endpoints by OpenAI's route if the server has it."""
    if not is_endpoint(provider, access):
        return (yield from transcribe(task_url(provider, access, request.model), request, access))
    native = transcribe(f"{at_root(provider, access).base_url}/", request, access)
    return (
        yield from or_without_route(
            _openai_transcriptions(provider, request, access, facts), native
        )
    )


def transcribe(url: str, request: Request, access: Access) -> Exchange:
    reply = yield speech_call(url, auth(access), request)
    return transcript_of(reply, request)


def ranked_texts(question: Question, facts: ModelFacts) -> dict[str, Any]:
    return {"query": question.query, "texts": question.documents, **question.others}


_rerank = rerank(auth=auth, path="/rerank", version="", build=ranked_texts)


def ranking(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """Rerank by text-embeddings-inference
    (https://huggingface.github.io/text-embeddings-inference).
    """
    if not is_endpoint(provider, access):
        raise CannotExpress(
            "The router does not support rerank. Add the model as an Inference Endpoint.",
            param="model",
        )
    return (yield from _rerank(provider, request, at_root(provider, access), facts))


# Checks


def check(provider: Provider, access: Access) -> CheckExchange:
    """Read the token's account and permissions, which is free; list the models of a relay."""
    if base_of(provider, access) != ROUTER:
        rows_of((yield get(url_of(provider, access, "/models"), auth(access))))
        return
    reply = yield get(WHO_AM_I, _bearer(access))
    if not may_call(reply):
        raise ProviderError(
            Failure.PERMISSION,
            Reason("may_not_call"),
            status=403,
        )


PROVIDER = Provider(
    slug="huggingface_hub",
    label="Hugging Face Hub",
    kind=Kind.HOSTING,
    order=4,
    model_types=(
        ModelType.REASONING,
        ModelType.EMBEDDING,
        ModelType.SPEECH_TO_TEXT,
        ModelType.RERANK,
        ModelType.IMAGE,
    ),
    description=_("Open models through Inference Providers, and Inference Endpoints of your own."),
    key_url=KEY_URL,
    docs_url="https://huggingface.co/docs/inference-providers",
    credential_fields=(
        Field(
            "api_token",
            _("Access token"),
            secret=True,
            help_text=_(
                "A fine-grained token with the permission “Make calls to Inference Providers”."
            ),
            help_url=KEY_URL,
            placeholder="hf_...",
            prefix="hf_",
            env=(
                "HF_TOKEN",
                "HUGGINGFACEHUB_API_TOKEN",
                "HUGGING_FACE_HUB_TOKEN",
                "HUGGINGFACE_API_KEY",
            ),
        ),
        Field(
            "bill_to",
            _("Organization to bill"),
            required=False,
            advanced=True,
            help_text=_("The organization that pays for the calls instead of the token's owner."),
        ),
        base_url_field(),
    ),
    model_fields=(
        Field(
            "mode",
            _("Served by"),
            required=False,
            choices=(("router", _("Inference Providers")), ("endpoint", _("Inference Endpoint"))),
            help_text=_(
                "Inference Providers if left empty. An endpoint needs its base URL and a token."
            ),
        ),
        base_url_field(
            help_text=_("URL of the Inference Endpoint."),
            placeholder="https://name.us-east-1.aws.endpoints.huggingface.cloud",
        ),
        Field(
            "api_token",
            _("Access token of the endpoint"),
            secret=True,
            required=False,
            advanced=True,
            help_text=_(
                "The credential's token is not sent to other hosts. Enter a token here unless the "
                "endpoint is public."
            ),
            placeholder="hf_...",
            prefix="hf_",
        ),
        Field(
            "base_model",
            _("Base model"),
            required=False,
            advanced=True,
            placeholder="openai/gpt-oss-120b",
            help_text=_("The model that the endpoint runs. It determines limits and features."),
        ),
    ),
    operations={
        Operation.CHAT: openai_chat(
            auth=auth, adjust=fit, tidy=tidy, tidies_shape=True, think_tags=True
        ),
        Operation.COMPLETION: completions,
        Operation.EMBEDDINGS: embeddings,
        Operation.TRANSCRIPTION: transcriptions,
        Operation.RERANK: ranking,
        Operation.IMAGES: images,
    },
    errors=hugging_face_errors,
    default_base_url=ROUTER,
    check=check,
    allow_unchecked=True,
)
