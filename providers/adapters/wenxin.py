"""WENXINYIYAN (ERNIE) on Baidu Qianfan: the current API, and the first one for older keys.

See https://cloud.baidu.com/doc/qianfan-api
"""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext_lazy as _

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.fields import base_url_field
from providers.declaration.spec import (
    Access,
    Answer,
    CheckExchange,
    Exchange,
    Field,
    Kind,
    ListedModel,
    ListExchange,
    ModelFacts,
    ModelType,
    Operation,
    Provider,
    Reply,
    Request,
)
from providers.failures.reasons import Reason
from providers.wire.chat_answers import choices_of
from providers.wire.compatibility import use_system_role
from providers.wire.http import get, json_or_none, url_of
from providers.wire.openai.chat import neutral_body, request_usage, whole_answer
from providers.wire.openai.embeddings import openai_embeddings
from providers.wire.openai.errors import openai_errors
from providers.wire.openai.model_list import rows_of
from providers.wire.openai.stream import stream_of
from providers.wire.preconditions import refuse_several_choices
from providers.wire.repairs.asking import asked
from providers.wire.rerank import rerank
from providers.wire.wenxin import v1
from providers.wire.wenxin.v1_decoding import error_in

KEY_URL = "https://console.bce.baidu.com/iam/#/iam/apikey/list"
PREFIX = "bce-v3/"
VERSION = "/v2"
MAX_INPUTS = 16  # texts in one embedding request; facts may allow fewer
SMALLEST_LIMIT = 2  # tokens


# Credentials


def is_first_generation(access: Access) -> bool:
    """Tell whether these are an application's two keys, which only the first API accepts."""
    return bool(access.values.get("secret_key")) and not access.values.get(
        "api_key", ""
    ).startswith(PREFIX)


def auth(access: Access) -> dict[str, str]:
    headers = (
        {"Authorization": f"Bearer {access.values['api_key']}"}
        if access.values.get("api_key")
        else {}
    )
    return headers | ({"appid": access.values["app_id"]} if access.values.get("app_id") else {})


# Chat


def chat(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    if is_first_generation(access):
        return (yield from v1.chat(provider, request, access, facts))
    body = neutral_body(request, facts)
    if request.stream:
        request_usage(body)
    fit(body, facts)
    url = url_of(provider, access, "/chat/completions", version=VERSION)
    reply = yield from asked(provider, url, auth(access), body, request)
    if request.stream:
        return stream_of(reply, provider.errors, Tidy())
    return whole_answer(reply, provider.errors, Tidy())


def fit(body: dict[str, Any], facts: ModelFacts) -> None:
    """Fit a request to the service's ranges.

    See https://cloud.baidu.com/doc/qianfan-api/s/3m7of64lb

    Raises:
        CannotExpress: if the service does not support the request.
    """
    use_system_role(body)
    refuse_several_choices(body)
    body.pop("n", None)
    if body.get("temperature") == 0:
        body["temperature"] = facts.parameters.get("temperature", {}).get("min", 0)
    for name in ("max_tokens", "max_completion_tokens"):
        if body.get(name) == 1:
            body[name] = SMALLEST_LIMIT
    if "thinking" in facts.features and body.get("reasoning_effort") is not None:
        body.setdefault("enable_thinking", body["reasoning_effort"] != "none")
    if body.get("reasoning_effort") == "none":
        del body["reasoning_effort"]
    if body.pop("web_search_options", None) is not None:
        body.setdefault("web_search", {"enable": True})


class Tidy:
    """Convert the finish reasons of one answer or stream; a `flag` comes from the safety
    check.
    """

    def __init__(self) -> None:
        self._flagged = False

    def __call__(self, body: dict[str, Any]) -> bool:
        changed = False
        for choice in choices_of(body):
            self._flagged = self._flagged or choice.get("flag") not in (None, 0)
            reason = choice.get("finish_reason")
            neutral = "content_filter" if self._flagged and reason else _FINISH.get(reason, reason)
            if neutral != reason:
                choice["finish_reason"] = neutral
                changed = True
        return changed


_FINISH: dict[Any, str | None] = {"normal": "stop", "function_call": "tool_calls", "": None}


# Embeddings and rerank


def as_list(body: dict[str, Any]) -> None:
    """Put a single text into a list, and request vectors as numbers."""
    if isinstance(body.get("input"), str):
        body["input"] = [body["input"]]
    body.pop("encoding_format", None)


embeddings_v2 = openai_embeddings(auth=auth, version=VERSION, adjust=as_list, max_inputs=MAX_INPUTS)
rerank_v2 = rerank(auth=auth, path="/rerankers", version=VERSION)


def embeddings(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    if is_first_generation(access):
        return (yield from v1.embeddings(provider, request, access, facts, max_inputs=MAX_INPUTS))
    answer = yield from embeddings_v2(provider, request, access, facts)
    if isinstance(answer, Answer) and answer.body is not None:
        answer.body["object"] = "list"  # instead of embedding_list
    return answer


def reranked(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    make = v1.rerank if is_first_generation(access) else rerank_v2
    return (yield from make(provider, request, access, facts))


# Check and import


def check(provider: Provider, access: Access) -> CheckExchange:
    """List the models, or fetch a token with two keys, which is free."""
    if is_first_generation(access):
        v1.token_in((yield v1.token_call(access)))
        return
    rows_of((yield get(url_of(provider, access, "/models", version=VERSION), auth(access))))


def list_models(provider: Provider, access: Access) -> ListExchange:
    """List names and types; the list's sizes contradict the vendor's documentation and are
    ignored.
    """
    if is_first_generation(access):
        raise ProviderError(Failure.BAD_REQUEST, Reason("cannot_list"), sent=False)
    reply = yield get(url_of(provider, access, "/models", version=VERSION), auth(access))
    types = {row["id"]: guess_type(row["id"]) for row in rows_of(reply)}
    return [ListedModel(name, kind) for name, kind in types.items() if kind is not None]


_NEITHER = re.compile(
    r"image|irag|flux|stable-diffusion|video|musesteamer|wan-?\d|ocr|asr|tts|speech|audio", re.I
)


def guess_type(model: str) -> ModelType | None:
    name = model.lower()
    if "rerank" in name:
        return ModelType.RERANK
    if re.search(r"embedding|^bge-|^tao-8k", name):
        return ModelType.EMBEDDING
    return None if _NEITHER.search(name) else ModelType.REASONING


# Errors

# https://cloud.baidu.com/doc/qianfan-api/s/rmwbl43x7; an unknown model has status 401, an empty
# account 403.
CODES = {
    "invalid_iam_token": Failure.AUTH,
    "account_overdue": Failure.NO_FUNDS,
    "invalid_model": Failure.MODEL_NOT_FOUND,
    **dict.fromkeys(("access_denied", "coding_plan_api_key_not_allowed"), Failure.PERMISSION),
    **dict.fromkeys(("characters_too_long", "tokens_too_long"), Failure.CONTEXT_LENGTH),
    "unsafe_request": Failure.CONTENT_FILTER,
    **dict.fromkeys(("rpm_rate_limit_exceeded", "tpm_rate_limit_exceeded"), Failure.RATE_LIMIT),
    "internal_error": Failure.ERROR,
}
_current_errors = openai_errors(CODES)


def errors(reply: Reply) -> ProviderError | None:
    """Map errors of both generations, recognized by the body."""
    return error_in(json_or_none(reply.body), reply.status) or _current_errors(reply)


PROVIDER = Provider(
    slug="wenxin",
    label="WENXINYIYAN",
    kind=Kind.OWN,
    order=7,
    model_types=(ModelType.REASONING, ModelType.EMBEDDING, ModelType.RERANK),
    description=_("ERNIE and other models on Baidu Qianfan."),
    key_url=KEY_URL,
    docs_url="https://cloud.baidu.com/doc/qianfan-api",
    credential_fields=(
        Field(
            "api_key",
            _("API key"),
            secret=True,
            help_url=KEY_URL,
            env=("QIANFAN_API_KEY", "QIANFAN_BEARER_TOKEN", "WENXIN_API_KEY", "QIANFAN_AK"),
            placeholder="bce-v3/ALTAK-...",
            help_text=_(
                "A Qianfan key, starting with bce-v3/, or an older application's key, together "
                "with its Secret Key."
            ),
        ),
        Field(
            "secret_key",
            _("Secret Key"),
            secret=True,
            env=("QIANFAN_SECRET_KEY", "WENXIN_SECRET_KEY", "QIANFAN_SK"),
            required=False,
            advanced=True,
            help_url="https://console.bce.baidu.com/qianfan/ais/console/applicationConsole/application",
            help_text=_("Only for an older application's API Key."),
        ),
        Field(
            "app_id",
            _("Application ID"),
            required=False,
            advanced=True,
            placeholder="app-...",
            help_text=_("Sent with each call."),
        ),
        base_url_field(),
    ),
    default_base_url="https://qianfan.baidubce.com/v2",
    operations={Operation.CHAT: chat, Operation.EMBEDDINGS: embeddings, Operation.RERANK: reranked},
    errors=errors,
    check=check,
    list_models=list_models,
    guess_type=guess_type,
)
