"""TONGYI: the OpenAI-compatible API of Alibaba's DashScope / Model Studio.

See https://www.alibabacloud.com/help/en/model-studio
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _

from providers.declaration.errors import CannotExpress
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
from providers.wire.anthropic.native import anthropic_native
from providers.wire.audio.chat_audio import chat_transcriptions
from providers.wire.chat_answers import answer_of
from providers.wire.compatibility import (
    thinking_budget,
    use_json_object,
    use_max_tokens,
    use_system_role,
)
from providers.wire.dialects.dashscope import (
    asr_options,
    dashscope_errors,
    fit_audio_input,
    ranking_of_output,
    rerank_body,
    tidy,
)
from providers.wire.http import base_of, bearer, get, post_json, read_object, url_of
from providers.wire.images.dashscope import dashscope_images
from providers.wire.native.in_part import beside, in_part
from providers.wire.openai.chat import neutral_body, request_usage, whole_answer
from providers.wire.openai.embeddings import openai_embeddings
from providers.wire.openai.model_list import list_models, rows_of
from providers.wire.openai.storage import openai_storage
from providers.wire.openai.stream import stream_of
from providers.wire.repairs.asking import asked
from providers.wire.rerank import rerank
from providers.wire.stream_accumulation import collected_answer

KEY_URL = "https://bailian.console.aliyun.com/?apiKey=1"
COMPATIBLE = "/compatible-mode/v1"
# https://www.alibabacloud.com/help/en/model-studio/anthropic-api-messages
MESSAGES = "/apps/anthropic/v1"
CHECK_MODEL = "qwen-flash"  # called for one token only if a region has no model list
# Bytes, encoded: https://docs.qwencloud.com/api-reference/speech-recognition/qwen-asr/openai
MAX_AUDIO = 10 * 1024 * 1024
MAX_TEXTS = 10  # in one embedding request; facts may allow more
auth = bearer("api_key")

# Keys belong to one region. Regions not listed here have only workspace gateways.
_SHARED = {
    "cn-beijing": "dashscope.aliyuncs.com",
    "ap-southeast-1": "dashscope-intl.aliyuncs.com",
    "us-east-1": "dashscope-us.aliyuncs.com",
    "cn-hongkong": "cn-hongkong.dashscope.aliyuncs.com",
}
REGIONS = (
    ("cn-beijing", _("China (Beijing)")),
    ("ap-southeast-1", _("Singapore")),
    ("us-east-1", _("US (Virginia)")),
    ("cn-hongkong", _("China (Hong Kong)")),
    ("eu-central-1", _("Germany (Frankfurt)")),
    ("ap-northeast-1", _("Japan (Tokyo)")),
)
_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def base_url_of(values: Mapping[str, str]) -> str:
    """Return the gateway of a region, or of a workspace in it.

    Raises:
        ValueError: with a message for the form, if the fields do not fit together.
    """
    region, workspace = values.get("region") or "cn-beijing", values.get("workspace_id", "")
    if region not in dict(REGIONS):
        raise ValueError(_("Choose one of the listed regions."))
    if workspace and not _WORKSPACE.fullmatch(workspace):
        raise ValueError(
            _(
                "A workspace ID contains only letters, digits, hyphens and underscores, such as "
                "llm-0123456789abcdef."
            )
        )
    if not workspace and region not in _SHARED:
        raise ValueError(_("This region has no shared gateway. Enter your workspace ID."))
    host = f"{workspace.lower()}.{region}.maas.aliyuncs.com" if workspace else _SHARED[region]
    return f"https://{host}{COMPATIBLE}"


# For models without facts. Qwen3's open models think by default, and then only stream.
_NAMES = {
    "stream_only": re.compile(r"omni"),
    "always_thinking": re.compile(r"^qwq|^qvq|-thinking"),
    "thinking_by_default": re.compile(r"^qwen3-\d+(?:\.\d+)?b"),
    "thinking_stream_only": re.compile(r"^qwen3-\d+(?:\.\d+)?b"),
}
_TAKES_EFFORT = re.compile(r"^deepseek-v4")  # high and max: https://models.dev


def chat(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """Chat; a model that only streams, or that thinks, is streamed even if the client wants
    no stream.
    """
    body = neutral_body(request, facts)
    fit(body, facts)
    collect = not request.stream and needs_stream(body, facts)
    if collect:
        refuse_audio_output(body)
        body["stream"] = True
    if body.get("stream"):
        request_usage(body)
    url = url_of(provider, access, "/chat/completions", version=COMPATIBLE)
    reply = yield from asked(provider, url, auth(access), body, request)
    if request.stream:
        return stream_of(reply, provider.errors, tidy)
    return (
        collected_answer(reply, provider.errors, tidy)
        if collect
        else whole_answer(reply, provider.errors, tidy)
    )


def has_feature(feature: str, model: str, facts: ModelFacts) -> bool:
    return feature in facts.features if facts.features else bool(_NAMES[feature].search(model))


def needs_stream(body: dict[str, Any], facts: ModelFacts) -> bool:
    """Tell whether the model must be streamed, as most thinking models must."""
    model, thinking = str(body["model"]), body.get("enable_thinking")
    if (
        has_feature("stream_only", model, facts)
        or has_feature("always_thinking", model, facts)
        or thinking is True
    ):
        return True
    return (
        thinking is not False
        and has_feature("thinking_by_default", model, facts)
        and has_feature("thinking_stream_only", model, facts)
    )


def refuse_audio_output(body: dict[str, Any]) -> None:
    if "audio" in (body.get("modalities") or ()):
        raise CannotExpress(
            "This model generates audio only in streams. Set stream to true, or request only text.",
            param="modalities",
        )


def fit(body: dict[str, Any], facts: ModelFacts) -> None:
    """Fit a request to the service's limits.

    See https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-openai-chat-completions
    """
    use_max_tokens(body)
    use_system_role(body)
    body.pop("frequency_penalty", None)
    if body.get("temperature") == 2:
        body["temperature"] = 1.99  # the range ends before 2
    fit_thinking(body, facts)
    fit_tool_choice(body, facts)
    fit_audio_input(body)
    if "json_schema" not in facts.features:
        use_json_object(body)


def fit_thinking(body: dict[str, Any], facts: ModelFacts) -> None:
    """Convert `reasoning_effort` to enable_thinking and thinking_budget, unless the client
    set them.
    """
    effort = body.get("reasoning_effort")
    if not isinstance(effort, str) or "enable_thinking" in body:
        return
    model = str(body["model"])
    del body["reasoning_effort"]
    if facts.features and not facts.features & {"reasoning", "thinking", "always_thinking"}:
        return
    thinks = effort not in ("none", "minimal")
    if has_feature("always_thinking", model, facts):
        if not thinks:
            raise CannotExpress("This model always thinks.", param="reasoning_effort")
    else:
        body["enable_thinking"] = thinks
    if thinks and _TAKES_EFFORT.match(model):
        body["reasoning_effort"] = "max" if effort in ("xhigh", "max") else "high"
    elif thinks:
        body.setdefault("thinking_budget", thinking_budget(effort))


def fit_tool_choice(body: dict[str, Any], facts: ModelFacts) -> None:
    """Name the tool for `required` if there is only one, and disable thinking for a named tool.

    Raises:
        CannotExpress: if the model does not support the choice.
    """
    choice, model = body.get("tool_choice"), str(body["model"])
    if choice in (None, "auto", "none"):
        return
    if choice == "required":
        tools = body.get("tools") or []
        if len(tools) != 1:
            raise CannotExpress(
                'This provider does not support tool_choice "required". Name the tool, or use '
                '"auto".',
                param="tool_choice",
            )
        body["tool_choice"] = {
            "type": "function",
            "function": {"name": tools[0]["function"]["name"]},
        }
    if body.get("enable_thinking") is True or has_feature("always_thinking", model, facts):
        raise CannotExpress(
            "A thinking model chooses its tools itself: tool_choice must be auto or none.",
            param="tool_choice",
        )
    if has_feature("thinking_by_default", model, facts):
        body["enable_thinking"] = False


def fit_embedding(body: dict[str, Any]) -> None:
    body["encoding_format"] = "float"  # the only one supported


_chat_transcriptions = chat_transcriptions(
    auth=auth, version=COMPATIBLE, limit=MAX_AUDIO, options=asr_options
)


def transcriptions(
    provider: Provider, request: Request, access: Access, facts: ModelFacts
) -> Exchange:
    """Transcribe by chat; other models need a public URL of the file, or a WebSocket."""
    if guess_type(request.model) is not ModelType.SPEECH_TO_TEXT:
        raise CannotExpress(
            "At this provider, only qwen3-asr-flash transcribes uploaded files.", param="model"
        )
    return (yield from _chat_transcriptions(provider, request, access, facts))


_compatible_rerank = rerank(auth=auth, path="/compatible-api/v1/reranks", version="")
_native_rerank = rerank(
    auth=auth,
    path="/api/v1/services/rerank/text-rerank/text-rerank",
    version="",
    build=rerank_body,
    read=ranking_of_output,
)


def root_of(provider: Provider, access: Access) -> str:
    """Return the base URL without the compatible API's path."""
    return re.sub(r"/compatible-mode(?:/v1)?$|/v1$", "", base_of(provider, access))


images = dashscope_images(auth=auth, root_of=root_of)


def ranked(provider: Provider, request: Request, access: Access, facts: ModelFacts) -> Exchange:
    """Rerank natively, except qwen3-rerank, which has a compatible API outside
    /compatible-mode.
    """
    root = root_of(provider, access)
    exchange = _compatible_rerank if request.model == "qwen3-rerank" else _native_rerank
    return (yield from exchange(provider, request, replace(access, base_url=root), facts))


def check(provider: Provider, access: Access) -> CheckExchange:
    """List the models, which is free; in a region without a list, ask for one token."""
    reply = yield get(
        url_of(provider, access, "/models", version=COMPATIBLE),
        auth(access),
        accept=frozenset({404}),
    )
    if reply.status != 404:
        rows_of(reply)
        return
    body = {
        "model": CHECK_MODEL,
        "messages": [{"role": "user", "content": "ping"}],
        "max_tokens": 1,
        "enable_thinking": False,
    }
    reply = yield post_json(
        url_of(provider, access, "/chat/completions", version=COMPATIBLE), auth(access), body
    )
    answer_of(read_object(reply))


# The model list contains no types. Speech recognition that is not a chat (asynchronous files,
# realtime) is left out.
_TYPES: tuple[tuple[str, ModelType | None], ...] = (
    (r"rerank", ModelType.RERANK),
    (r"multimodal-embedding|vl-embedding|vision", None),
    (r"embedding", ModelType.EMBEDDING),
    (r"realtime|livetranslate|filetrans", None),
    (r"^qwen3-asr-flash(?!.*-us$)", ModelType.SPEECH_TO_TEXT),
    (r"asr|paraformer|sensevoice|gummy", None),
    (r"tts|cosyvoice|sambert|voice", None),
    (r"video|i2v|r2v|s2v|kf2v|vace|animate|^emo|^liveportrait", None),
    (r"^qwen-image|^z-image|^wan\d.*(?:image|t2i)|^wanx?\d.*t2i", ModelType.IMAGE),
    (r"^wan|image|^z-|^flux|^stable-diffusion", None),
    (r"", ModelType.REASONING),
)


def guess_type(model: str) -> ModelType | None:
    return next(kind for pattern, kind in _TYPES if re.search(pattern, model.lower()))


PROVIDER = Provider(
    slug="tongyi",
    label="TONGYI",
    kind=Kind.OWN,
    order=8,
    replays_thoughts=True,
    model_types=(
        ModelType.REASONING,
        ModelType.EMBEDDING,
        ModelType.SPEECH_TO_TEXT,
        ModelType.RERANK,
        ModelType.IMAGE,
    ),
    description=_("Qwen and other models of Alibaba Cloud Model Studio (DashScope)."),
    key_url=KEY_URL,
    docs_url="https://www.alibabacloud.com/help/en/model-studio",
    credential_fields=(
        Field(
            "api_key",
            _("API key"),
            secret=True,
            help_url=KEY_URL,
            placeholder="sk-...",
            prefix="sk-",
            env=("DASHSCOPE_API_KEY", "TONGYI_API_KEY", "QWEN_API_KEY"),
        ),
        Field(
            "region",
            _("Region"),
            required=False,
            choices=REGIONS,
            help_text=_("A key works only in the region that issued it. The default is Beijing."),
        ),
        Field(
            "workspace_id",
            _("Workspace ID"),
            required=False,
            advanced=True,
            placeholder="llm-...",
            help_text=_("Sends calls to the workspace's own URL, which some regions require."),
        ),
        base_url_field(placeholder="https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
    ),
    default_base_url=f"https://{_SHARED['cn-beijing']}{COMPATIBLE}",
    base_url_of=base_url_of,
    operations={
        Operation.CHAT: chat,
        Operation.EMBEDDINGS: openai_embeddings(
            auth=auth, version=COMPATIBLE, adjust=fit_embedding, max_inputs=MAX_TEXTS
        ),
        Operation.TRANSCRIPTION: transcriptions,
        Operation.RERANK: ranked,
        Operation.IMAGES: images,
        Operation.IMAGE_EDITS: images,
    },
    dialects={
        "messages": in_part(beside(anthropic_native(auth=auth), MESSAGES, api="/compatible-mode"))
    },
    # https://www.alibabacloud.com/help/en/model-studio/batch-interfaces-compatible-with-openai
    storage=openai_storage(
        auth=auth,
        version=COMPATIBLE,
        paths=("/v1/chat/completions", "/v1/embeddings"),
        price=Decimal("0.5"),
    ),
    errors=dashscope_errors,
    check=check,
    list_models=list_models(auth=auth, guess=guess_type, version=COMPATIBLE),
    guess_type=guess_type,
)
