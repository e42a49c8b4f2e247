"""iFLYTEK Spark over HTTP (https://www.xfyun.cn/doc/spark/HTTP调用文档.html)."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext_lazy as _

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.fields import base_url_field
from providers.declaration.spec import (
    Access,
    Call,
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
from providers.failures.reasons import Reason
from providers.wire.compatibility import use_json_object, use_system_role
from providers.wire.dialects.spark import (
    NOT_OPENED,
    SparkDecoder,
    embedding_body,
    error_in,
    signed,
    spark_answer,
    spark_errors,
    vector_in,
)
from providers.wire.http import base_of, is_host, post_json, read_object, url_of
from providers.wire.openai.chat import neutral_body
from providers.wire.openai.embeddings import joined, texts_of
from providers.wire.preconditions import fixed_size, refuse_several_choices
from providers.wire.repairs.bodies import is_event_stream
from providers.wire.stream_accumulation import collected

KEY_URL = "https://console.xfyun.cn/services/cbm"
VENDOR = "xf-yun.com"
EMBEDDING_URL = "https://emb-cn-huabei-1.xf-yun.com/"
SMALLEST_TEMPERATURE = 0.01  # 0 is outside the range

# For models without facts: the X models are only available under /v2, and X2.5 uses
# max_completion_tokens.
_V2 = re.compile(r"(spark-)?x\d?\b")
_X2_5 = re.compile(r"spark-x2\.5\b")


# Credentials


def bearer_of(access: Access) -> str:
    """Return the model's own key, or the credential's: APIPassword or `APIKey:APISecret`,
    else "".
    """
    for values in (access.model_values, access.values):
        if values.get("api_password"):
            return values["api_password"]
        if values.get("api_key") and values.get("api_secret"):
            return f"{values['api_key']}:{values['api_secret']}"
    return ""


def auth(access: Access) -> dict[str, str]:
    key = bearer_of(access)
    return {"Authorization": f"Bearer {key}"} if key else {}


def complete(values: Mapping[str, str]) -> str:
    """Return what is missing, as a message for the form, or ""."""
    if bool(values.get("api_key")) != bool(values.get("api_secret")):
        return str(_("APIKey and APISecret go together: fill in both, or the APIPassword alone."))
    if not values.get("api_password") and not values.get("api_key"):
        return str(_("Fill in the APIPassword, or APIKey and APISecret."))
    return ""


# Chat


def chat(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    url = url_of(provider, access, "/chat/completions", version=version_of(request.model, facts))
    body = neutral_body(replace(request, body=fitted(request.body, request.model, facts)), facts)
    body.pop("stream_options", None)  # usage is always sent
    reply = yield post_json(url, auth(access), body, stream=request.stream)
    if request.stream:
        return SparkDecoder(request.model)
    if is_event_stream(reply.body):
        return collected(SparkDecoder(request.model), reply.body)
    return spark_answer(read_object(reply), request.model)


def version_of(model: str, facts: ModelFacts) -> str:
    return "/" + (facts.values.get("version") or ("v2" if _V2.match(model) else "v1"))


_UNSUPPORTED = ("seed", "logprobs", "top_logprobs", "logit_bias", "parallel_tool_calls")


def fitted(chat: Mapping[str, Any], model: str, facts: ModelFacts) -> dict[str, Any]:
    """Fit a request to the vendor's API.

    Raises:
        CannotExpress: if the vendor does not support the request.
    """
    body = {name: value for name, value in chat.items() if name not in _UNSUPPORTED}
    refuse_several_choices(body)
    body.pop("n", None)
    rename_limit(body, model, facts)
    if body.get("temperature") == 0:
        body["temperature"] = SMALLEST_TEMPERATURE
    effort = body.pop("reasoning_effort", None)
    if "thinking" in facts.features and effort is not None and "thinking" not in body:
        body["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
    use_json_object(body)
    use_system_role(body)
    if isinstance(body.get("messages"), list):
        body["messages"] = [plain_text(message) for message in body["messages"]]
        if "no_system" in facts.features:
            body["messages"] = without_system(body["messages"])
    return body


def rename_limit(body: dict[str, Any], model: str, facts: ModelFacts) -> None:
    """Use max_completion_tokens for X2.5 and max_tokens for older models."""
    is_new = facts.parameters.get("max_tokens", {}).get("supported") is False or bool(
        _X2_5.match(model)
    )
    names = ("max_tokens", "max_completion_tokens")
    other, supported = names if is_new else reversed(names)
    if other in body:
        limit = body.pop(other)
        body.setdefault(supported, limit)


def plain_text(message: Any) -> Any:
    """Join the message's text parts.

    Raises:
        CannotExpress: if it contains images, audio or files.
    """
    if not isinstance(message, dict):
        return message
    parts = message.get("content")
    if not isinstance(parts, list):
        return message
    if any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise CannotExpress("This provider accepts only text.", param="messages")
    return {**message, "content": "\n".join(part.get("text") or "" for part in parts)}


def without_system(messages: list[Any]) -> list[Any]:
    """Move the system text before the first question: Lite and Pro accept no system message."""
    system = [message["content"] for message in messages if message.get("role") == "system"]
    rest = [dict(message) for message in messages if message.get("role") != "system"]
    first = next((message for message in rest if message.get("role") == "user"), None)
    if first is not None:
        first["content"] = "\n".join([*system, first["content"]])
    elif system:
        rest.insert(0, {"role": "user", "content": "\n".join(system)})
    return rest


# Embeddings

TRIES = 5  # for one text, if the account's two calls per second are used up
PAUSE = 1.0  # seconds between them


def embeddings(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """Embed one text per call, in sequence: by default, an account may make two calls per
    second.
    """
    if "dimensions" in request.body:
        raise fixed_size()
    domain = "query" if request.body.get("input_type") in ("query", "search_query") else "para"
    vectors: list[tuple[list[str], int | None]] = []
    for text in texts_of(request):
        vectors.append(([(yield from embed_text(provider, access, text, domain))], None))
    return joined(vectors, request)


def embed_text(
    provider: Provider, access: Access, text: str, domain: str
) -> Generator[Call, Reply, str]:
    tries = 0
    while True:
        call = embedding_call(provider, access, text, domain)
        call.delay = PAUSE if tries else 0.0
        reply = yield call
        error = error_in(read_object(reply), reply.status)
        if error is None:
            return vector_in(reply)
        tries += 1
        if error.failure is not Failure.RATE_LIMIT or tries == TRIES:
            raise error


def embedding_call(provider: Provider, access: Access, text: str, domain: str) -> Call:
    """Build a signed call.

    Raises:
        ProviderError: if the credential has no key that can sign.
    """
    app_id, key, secret = (
        access.values.get(name, "") for name in ("app_id", "api_key", "api_secret")
    )
    if not (app_id and key and secret):
        raise ProviderError(Failure.PERMISSION, Reason("three_keys_needed"), sent=False)
    # The vendor has a separate host for embeddings; a relay has not.
    url = EMBEDDING_URL if is_host(provider, access, VENDOR) else base_of(provider, access) + "/"
    call = post_json(
        signed(url, key, secret, time.time()), {}, embedding_body(text, app_id, domain)
    )
    call.accept = frozenset({200})  # failures have this status too; some are retried
    return call


# Checks

# The free one first. An APIPassword belongs to one version, so a refusal of another one says
# nothing about the key.
VERSIONS = (
    "lite",
    "spark-x",
    "spark-x2.5",
    "4.0Ultra",
    "generalv3.5",
    "generalv3",
    "max-32k",
    "pro-128k",
)
ANSWERS = frozenset({200, 400, 401, 403, 404, 500})


def check(provider: Provider, access: Access) -> CheckExchange:
    """Ask for one token of the first version that the key may use.

    A key that may use none is valid if it can embed, or at another base URL, where custom models
    have other names.
    """
    first: ProviderError | None = None
    for model in VERSIONS if bearer_of(access) else ():
        request = Request(
            Operation.CHAT,
            model,
            {"messages": [{"role": "user", "content": "ping"}], "max_tokens": 1},
        )
        exchange = chat(provider, request, access, ModelFacts())
        call = next(exchange)
        call.accept = ANSWERS
        reply = yield call
        error = spark_errors(reply)
        if error is None:
            read_object(reply)
            return
        if error.provider_code != NOT_OPENED and error.failure is not Failure.MODEL_NOT_FOUND:
            raise error
        first = first or error
        if not is_host(provider, access, f"spark-api-open.{VENDOR}"):
            return
    if access.values.get("app_id") and access.values.get("api_key"):
        yield from embed_text(provider, access, "ping", "para")
    elif first is not None:
        raise first


BY_PASSWORD, BY_PAIR = _("With an APIPassword"), _("With APIKey and APISecret")

PROVIDER = Provider(
    slug="spark",
    label="iFLYTEK SPARK",
    kind=Kind.OWN,
    order=6,
    model_types=(ModelType.REASONING, ModelType.EMBEDDING),
    description=_("Spark models of iFLYTEK, and models served by its MaaS platform."),
    key_url=KEY_URL,
    docs_url="https://www.xfyun.cn/doc/spark/",
    credential_fields=(
        Field(
            "api_password",
            _("APIPassword"),
            secret=True,
            required=False,
            help_url=KEY_URL,
            group=BY_PASSWORD,
            env=("SPARK_API_PASSWORD", "SPARKAI_API_PASSWORD", "XFYUN_API_PASSWORD"),
            help_text=_(
                "Shown on each version's page under “HTTP”. It works for that version; APIKey and "
                "APISecret work for all versions of an app."
            ),
        ),
        Field(
            "api_key",
            _("APIKey"),
            secret=True,
            required=False,
            group=BY_PAIR,
            env=("SPARK_API_KEY", "SPARKAI_API_KEY", "XFYUN_API_KEY"),
            help_url=KEY_URL,
            help_text=_("Together with APISecret."),
        ),
        Field(
            "api_secret",
            _("APISecret"),
            secret=True,
            required=False,
            group=BY_PAIR,
            env=("SPARK_API_SECRET", "SPARKAI_API_SECRET", "XFYUN_API_SECRET"),
        ),
        Field(
            "app_id",
            _("APPID"),
            required=False,
            env=("SPARK_APP_ID", "SPARKAI_APP_ID", "XFYUN_APP_ID"),
            help_text=_("For embeddings."),
        ),
        base_url_field(
            placeholder="https://spark-api-open.xf-yun.com",
            help_text=_("Leave empty for the provider's own address."),
        ),
    ),
    model_fields=(
        Field(
            "api_password",
            _("APIPassword of this model"),
            secret=True,
            required=False,
            advanced=True,
            help_text=_("Where it differs from the credential's."),
        ),
        base_url_field(
            placeholder="https://maas-api.cn-huabei-1.xf-yun.com/v2",
            help_text=_(
                "For a model on MaaS: the URL on its page. Use the service ID as the model's name."
            ),
        ),
    ),
    complete=complete,
    operations={Operation.CHAT: chat, Operation.EMBEDDINGS: embeddings},
    errors=spark_errors,
    default_base_url="https://spark-api-open.xf-yun.com",
    check=check,
    check_is_billed=True,
)
