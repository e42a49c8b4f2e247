"""ChatGLM: four kinds of self-hosted servers, and the vendor's hosted service (Zhipu, Z.ai)."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.fields import base_url_field
from providers.declaration.spec import (
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
from providers.failures.reasons import Reason
from providers.wire.anthropic.native import anthropic_native
from providers.wire.audio.transcriptions import TEXT_TYPES, openai_audio
from providers.wire.chat_answers import answer_of, choices_of
from providers.wire.compatibility import use_max_tokens, use_system_role
from providers.wire.dialects import chatglm as old
from providers.wire.dialects.zhipu import (
    CODES,
    fit_hosted,
    fit_hosted_images,
    hosted_transcription,
)
from providers.wire.http import NO_ROUTE, base_of, bearer, get, post_json, url_of
from providers.wire.images.openai import openai_images
from providers.wire.images.requests import refuse_unsupported
from providers.wire.native.in_part import beside, in_part
from providers.wire.openai.chat import neutral_body, request_usage, whole_answer
from providers.wire.openai.embeddings import openai_embeddings
from providers.wire.openai.errors import openai_errors
from providers.wire.openai.model_list import error_or, listed, rows_of
from providers.wire.openai.storage import openai_storage
from providers.wire.openai.stream import ReadyAnswer, stream_of
from providers.wire.repairs.asking import asked
from providers.wire.rerank import rerank

# https://docs.bigmodel.cn/cn/guide/develop/claude, https://docs.z.ai/devpack/tool/claude
MESSAGES = "/anthropic/v1"
KEY_URL = "https://bigmodel.cn/usercenter/proj-mgmt/apikeys"
auth = bearer("api_key")


def is_hosted(provider: Provider, access: Access) -> bool:
    """Both platforms serve below /api/paas/ or /api/coding/paas/, on whatever host a relay has."""
    return "/paas/" in urlsplit(base_of(provider, access)).path + "/"


def speaks_messages(provider: Provider, request: Request, access: Access) -> bool:
    return is_hosted(provider, access)


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
        fit_hosted(body, facts)
    elif is_first_generation(request.model):
        fit_first_generation(body)
    else:
        fit_served(body)
    accept = NO_ROUTE if is_first_generation(request.model) and not hosted else frozenset()
    url = url_of(provider, access, "/chat/completions")
    reply = yield from asked(provider, url, auth(access), body, request, accept=accept)
    if reply.status in accept:
        return (yield from plain_chat(provider, request, access))
    if request.stream:
        return stream_of(reply, provider.errors, tidy)
    return whole_answer(reply, provider.errors, tidy)


def plain_chat(
    provider: Provider, request: Request, access: Access
) -> Generator[Call, Reply, Answer | ReadyAnswer]:
    reply = yield post_json(root_of(provider, access), auth(access), old.prompt_body(request))
    answer = old.prompt_answer(reply, request.model)
    assert answer.body is not None
    answer = answer_of(answer.body)
    return ReadyAnswer(answer) if request.stream else answer


def fit_first_generation(body: dict[str, Any]) -> None:
    """Fit a request to ChatGLM2's and ChatGLM3's servers, without stream_options and newer
    names.
    """
    body.pop("stream_options", None)
    use_max_tokens(body)
    use_system_role(body)
    if isinstance(body.get("messages"), list):
        old.with_functions(body)


def fit_served(body: dict[str, Any]) -> None:
    """Fit a request to GLM-4 and later on vLLM or SGLang; the model's template disables
    thinking.
    """
    if body.get("stream"):
        request_usage(body)
    if body.get("reasoning_effort") == "none":
        del body["reasoning_effort"]
        body["chat_template_kwargs"] = {
            "enable_thinking": False,
            **(body.get("chat_template_kwargs") or {}),
        }


_FINISH = {"sensitive": "content_filter", "model_context_window_exceeded": "length"}


def tidy(body: dict[str, Any]) -> bool:
    changed = old.tidy_function_calls(body)
    for choice in choices_of(body):
        finish = choice.get("finish_reason")
        if finish == "network_error":
            raise ProviderError(
                Failure.ERROR, Reason("network_error"), status=200, provider_code=finish
            )
        if finish in _FINISH:
            choice["finish_reason"] = _FINISH[finish]
            changed = True
        part = choice.get("message") or choice.get("delta")
        if (
            isinstance(part, dict)
            and isinstance(part.get("reasoning"), str)
            and "reasoning_content" not in part
        ):
            part["reasoning_content"] = part.pop("reasoning")
            changed = True
    return changed


_served_embeddings = openai_embeddings(auth=auth)
_hosted_embeddings = openai_embeddings(
    auth=auth, adjust=lambda body: body.pop("encoding_format", None), max_inputs=64
)
_transcriptions = openai_audio(auth=auth, path="/audio/transcriptions")


def embeddings(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    exchange = _hosted_embeddings if is_hosted(provider, access) else _served_embeddings
    return (yield from exchange(provider, request, access, facts))


def transcriptions(
    provider: Provider, request: Request, access: Access, facts: ModelFacts
) -> Exchange:
    """Transcribe in OpenAI's form; the hosted service supports few fields and always returns
    JSON.
    """
    if not is_hosted(provider, access):
        return (yield from _transcriptions(provider, request, access, facts))
    answer = yield from _transcriptions(
        provider, replace(request, body=hosted_transcription(request.body)), access, facts
    )
    if (
        isinstance(answer, Answer)
        and answer.body is not None
        and request.body.get("response_format") == "text"
    ):
        return Answer(
            None,
            answer.usage,
            content=str(answer.body.get("text") or "").encode(),
            content_type=TEXT_TYPES["text"],
        )
    return answer


_served_images = openai_images(auth=auth)
_hosted_images = openai_images(auth=auth, adjust=fit_hosted_images)


def images(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """Generate in OpenAI's form; the hosted service has few of its fields."""
    if not is_hosted(provider, access):
        return (yield from _served_images(provider, request, access, facts))
    refuse_unsupported(request, most=1, takes=("quality",))
    return (yield from _hosted_images(provider, request, access, facts))


def check(provider: Provider, access: Access) -> CheckExchange:
    """List the models, which is free; api.py has no list, so ask it one short question."""
    reply = yield get(url_of(provider, access, "/models"), auth(access), accept=NO_ROUTE)
    if reply.status not in NO_ROUTE:
        rows_of(reply)
    elif is_hosted(provider, access):
        raise error_or(reply, provider)
    else:
        reply = yield post_json(
            root_of(provider, access), auth(access), {"prompt": "ping", "history": []}
        )
        old.prompt_answer(reply, "")


def list_models(provider: Provider, access: Access) -> ListExchange:
    """List the server's models; api.py has no list, so the shipped models remain."""
    reply = yield get(url_of(provider, access, "/models"), auth(access), accept=NO_ROUTE)
    if reply.status in NO_ROUTE:
        return []
    rows = [
        {**row, "id": "chatglm2-6b"} if row["id"] == "gpt-3.5-turbo" else row
        for row in rows_of(reply)
    ]
    models = (listed(row, guess_type) for row in rows)
    return [model for model in models if model is not None]


def guess_type(model: str) -> ModelType | None:
    name = model.lower()
    kinds = (
        (r"rerank", ModelType.RERANK),
        (r"embedding|bge-|m3e", ModelType.EMBEDDING),
        (r"asr|whisper", ModelType.SPEECH_TO_TEXT),
        (r"^cogview|^glm-image", ModelType.IMAGE),
    )
    kind = next((kind for pattern, kind in kinds if re.search(pattern, name)), None)
    return kind or (
        None
        if re.search(r"cogview|cogvideo|image|tts|vidu|voice|realtime|ocr", name)
        else ModelType.REASONING
    )


PROVIDER = Provider(
    slug="chatglm",
    label="ChatGLM",
    kind=Kind.OWN,
    order=10,
    replays_thoughts=True,
    model_types=(
        ModelType.REASONING,
        ModelType.EMBEDDING,
        ModelType.SPEECH_TO_TEXT,
        ModelType.RERANK,
        ModelType.IMAGE,
    ),
    description=_(
        "ChatGLM and GLM models on your own server, or hosted by Zhipu (bigmodel.cn) or Z.ai."
    ),
    key_url=KEY_URL,
    docs_url="https://github.com/THUDM/ChatGLM3",
    credential_fields=(
        base_url_field(
            required=True,
            placeholder="http://127.0.0.1:8000",
            env=("ZHIPUAI_BASE_URL", "ZAI_BASE_URL", "CHATGLM_BASE_URL", "GLM_BASE_URL"),
            help_text=_(
                "The URL of your server. For the hosted service: "
                "https://open.bigmodel.cn/api/paas/v4 or https://api.z.ai/api/paas/v4."
            ),
        ),
        Field(
            "api_key",
            _("API key"),
            secret=True,
            required=False,
            help_url=KEY_URL,
            env=("ZHIPUAI_API_KEY", "ZAI_API_KEY", "CHATGLM_API_KEY", "GLM_API_KEY"),
            help_text=_("For the hosted service, or if your server requires one."),
        ),
    ),
    operations={
        Operation.CHAT: chat,
        Operation.EMBEDDINGS: embeddings,
        Operation.TRANSCRIPTION: transcriptions,
        Operation.RERANK: rerank(auth=auth),
        Operation.IMAGES: images,
    },
    dialects={
        "messages": in_part(
            beside(anthropic_native(auth=auth), MESSAGES, api="(?:/coding)?/paas"),
            only=speaks_messages,
        )
    },
    # Of the hosted service: https://docs.bigmodel.cn/cn/guide/tools/batch
    storage=openai_storage(
        auth=auth,
        paths=("/v1/chat/completions", "/v1/embeddings"),
        url="/v4{below}",
        price=Decimal("0.5"),
    ),
    errors=openai_errors(CODES),
    check=check,
    list_models=list_models,
    guess_type=guess_type,
    allow_unchecked=True,
)
