"""ChatGLM: self-hosted servers of four kinds under one name, and the vendor's hosted service (Zhipu, Z.ai)."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.utils.translation import gettext_lazy as _

from providers.adapters._shared import base_url_field
from providers.errors import CannotExpress, Failure, ProviderError
from providers.spec import (
    Access,
    Answer,
    Call,
    CheckExchange,
    Exchange,
    Field,
    Kind,
    ListExchange,
    ModelFacts,
    ModelType,
    Operation,
    Provider,
    Reply,
    Request,
)
from providers.wire import chatglm as old
from providers.wire.chat_answers import answer_of, choices_of
from providers.wire.embeddings import openai_embeddings
from providers.wire.http import base_of, bearer, get, post_json, read_object, url_of
from providers.wire.model_list import error_or, listed, rows_of
from providers.wire.openai_chat import ask_for_usage, neutral_body
from providers.wire.openai_errors import openai_errors
from providers.wire.openai_stream import ReadyAnswer, stream_of

KEY_URL = "https://bigmodel.cn/usercenter/proj-mgmt/apikeys"
NO_ROUTE = frozenset({404, 405})  # FastAPI's answers where api.py knows `POST /` only
auth = bearer("api_key")


def is_hosted(provider: Provider, access: Access) -> bool:
    """Both platforms serve below /api/paas/ or /api/coding/paas/, on whatever host a relay has."""
    return "/paas/" in urlsplit(base_of(provider, access)).path + "/"


def is_first_generation(model: str) -> bool:
    return model.startswith("chatglm")


def root_of(provider: Provider, access: Access) -> str:
    """Where api.py answers: the base URL, without the version someone may have typed."""
    return re.sub(r"/v1$", "", base_of(provider, access)) + "/"


def chat(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """OpenAI's route; where the server has none, api.py's."""
    hosted = is_hosted(provider, access)
    body = neutral_body(request, facts)
    if hosted:
        fit_hosted(body)
    elif is_first_generation(request.model):
        fit_first_generation(body)
    elif request.stream:
        ask_for_usage(body)  # GLM-4 and later, served by vLLM or SGLang: OpenAI's format as it is
    accept = NO_ROUTE if is_first_generation(request.model) and not hosted else frozenset()
    call = post_json(url_of(provider, access, "/chat/completions"), auth(access), body, stream=request.stream)
    call.accept = accept
    reply = yield call
    if reply.status in accept:
        return (yield from plain_chat(provider, request, access))
    if request.stream:
        return stream_of(reply, provider.errors, tidy)
    return answer_of(read_object(reply), tidy)


def plain_chat(provider: Provider, request: Request, access: Access) -> Generator[Call, Reply, Answer | ReadyAnswer]:
    reply = yield post_json(root_of(provider, access), auth(access), old.prompt_body(request))
    answer = old.prompt_answer(reply, request.model)
    assert answer.body is not None
    answer = answer_of(answer.body)
    return ReadyAnswer(answer) if request.stream else answer


def fit_first_generation(body: dict[str, Any]) -> None:
    """ChatGLM2's and ChatGLM3's own servers: they know neither stream_options nor the newer name of max_tokens."""
    body.pop("stream_options", None)
    if "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    if isinstance(body.get("messages"), list):
        old.with_functions(body)


_NOT_HOSTED = (
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "stream_options",
    "parallel_tool_calls",
)


def fit_hosted(body: dict[str, Any]) -> None:
    """https://docs.bigmodel.cn/api-reference: a subset of OpenAI's parameters."""
    for name in _NOT_HOSTED:
        body.pop(name, None)
    if "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    if body.get("temperature") == 0:
        del body["temperature"]
        body["do_sample"] = False
    if isinstance(user := body.pop("user", None), str) and 6 <= len(user) <= 128:
        body["user_id"] = user
    if body.get("reasoning_effort") == "none":
        del body["reasoning_effort"]
        body["thinking"] = {"type": "disabled"}
    choose_tools(body)
    downgrade_schema(body)


def choose_tools(body: dict[str, Any]) -> None:
    choice = body.pop("tool_choice", None)
    if choice == "none":
        body.pop("tools", None)
    elif choice not in (None, "auto"):
        raise CannotExpress("This provider chooses tools itself: tool_choice can be auto or none.", param="tool_choice")


def downgrade_schema(body: dict[str, Any]) -> None:
    """There is no json_schema: JSON is asked for, and the schema stands in a system message."""
    wanted = body.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return
    schema = (wanted.get("json_schema") or {}).get("schema") or {}
    text = f"Answer with one JSON object of this schema and nothing else: {orjson.dumps(schema).decode()}"
    body["response_format"] = {"type": "json_object"}
    body["messages"] = [{"role": "system", "content": text}, *(body.get("messages") or [])]


_FINISH = {"sensitive": "content_filter", "model_context_window_exceeded": "length"}


def tidy(body: dict[str, Any]) -> bool:
    changed = old.tidy_function_calls(body)
    for choice in choices_of(body):
        finish = choice.get("finish_reason")
        if finish == "network_error":
            raise ProviderError(Failure.ERROR, "The provider broke off the answer (network_error).", status=200, provider_code=finish)
        if finish in _FINISH:
            choice["finish_reason"] = _FINISH[finish]
            changed = True
        part = choice.get("message") or choice.get("delta")
        if isinstance(part, dict) and isinstance(part.get("reasoning"), str) and "reasoning_content" not in part:
            part["reasoning_content"] = part.pop("reasoning")
            changed = True
    return changed


def check(provider: Provider, access: Access) -> CheckExchange:
    """Free where the server lists its models; api.py is asked one short question."""
    reply = yield get(url_of(provider, access, "/models"), auth(access), accept=NO_ROUTE)
    if reply.status not in NO_ROUTE:
        rows_of(reply)
    elif is_hosted(provider, access):
        raise error_or(reply, provider)
    else:
        reply = yield post_json(root_of(provider, access), auth(access), {"prompt": "ping", "history": []})
        old.prompt_answer(reply, "")


def list_models(provider: Provider, access: Access) -> ListExchange:
    """The server's own list; api.py has none, then the shipped models stay."""
    reply = yield get(url_of(provider, access, "/models"), auth(access), accept=NO_ROUTE)
    if reply.status in NO_ROUTE:
        return []
    rows = [{**row, "id": "chatglm2-6b"} if row["id"] == "gpt-3.5-turbo" else row for row in rows_of(reply)]
    models = (listed(row, guess_type) for row in rows)
    return [model for model in models if model is not None]


def guess_type(model: str) -> ModelType | None:
    name = model.lower()
    if re.search(r"embedding|bge-|m3e", name):
        return ModelType.EMBEDDING
    return None if re.search(r"rerank|cogview|cogvideo|image|asr|tts|vidu", name) else ModelType.REASONING


# https://docs.bigmodel.cn/cn/faq/api-code; 1113 comes with status 429 and means money.
CODES = {
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004", "1100"), Failure.AUTH),
    **dict.fromkeys(("1110", "1111", "1112", "1121", "1220", "1311"), Failure.PERMISSION),
    **dict.fromkeys(("1113", "1304", "1308", "1309", "1310"), Failure.NO_FUNDS),
    **dict.fromkeys(("1120", "1230", "1234", "500"), Failure.ERROR),
    **dict.fromkeys(("1210", "1213", "1214", "1215", "1231"), Failure.BAD_REQUEST),
    **dict.fromkeys(("1211", "1212", "1221", "1222"), Failure.MODEL_NOT_FOUND),
    "1261": Failure.CONTEXT_LENGTH,
    **dict.fromkeys(("1300", "1301"), Failure.CONTENT_FILTER),
    **dict.fromkeys(("1302", "1303", "1313"), Failure.RATE_LIMIT),
    **dict.fromkeys(("1305", "1312"), Failure.OVERLOADED),
}

PROVIDER = Provider(
    slug="chatglm",
    label="ChatGLM",
    kind=Kind.OWN,
    model_types=(ModelType.REASONING, ModelType.EMBEDDING),
    description=_("ChatGLM and GLM models on your own server, or hosted by Zhipu (bigmodel.cn) or Z.ai."),
    key_url=KEY_URL,
    docs_url="https://github.com/THUDM/ChatGLM3",
    credential_fields=(
        base_url_field(
            required=True,
            placeholder="http://127.0.0.1:8000",
            help_text=_(
                "The address of your server. For the hosted service: https://open.bigmodel.cn/api/paas/v4 or https://api.z.ai/api/paas/v4."
            ),
        ),
        Field(
            "api_key",
            _("API key"),
            secret=True,
            required=False,
            help_url=KEY_URL,
            help_text=_("For the hosted service, or where your server asks for one."),
        ),
    ),
    operations={Operation.CHAT: chat, Operation.EMBEDDINGS: openai_embeddings(auth=auth)},
    errors=openai_errors(CODES),
    check=check,
    list_models=list_models,
    guess_type=guess_type,
    allow_unchecked=True,
)
