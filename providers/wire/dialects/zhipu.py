"""Requests to Zhipu's hosted service (bigmodel.cn, z.ai), and its error codes."""

from __future__ import annotations

import re
from typing import Any

from providers.declaration.errors import CannotExpress, Failure
from providers.declaration.spec import Access, ModelFacts, Provider
from providers.wire.compatibility import use_json_object, use_max_tokens, use_system_role

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


def fit_hosted(body: dict[str, Any], facts: ModelFacts) -> None:
    """Fit a request to the supported subset of OpenAI's parameters.

    See https://docs.bigmodel.cn/api-reference and https://docs.z.ai/api-reference
    """
    for name in _NOT_HOSTED:
        body.pop(name, None)
    use_max_tokens(body)
    use_system_role(body)
    if body.get("temperature") == 0:
        del body["temperature"]
        body["do_sample"] = False
    if isinstance(user := body.pop("user", None), str) and 6 <= len(user) <= 128:
        body["user_id"] = user
    fit_stop(body)
    fit_thinking(body, facts)
    choose_tools(body)
    use_json_object(body)


def fit_stop(body: dict[str, Any]) -> None:
    """Convert `stop` to a list of one.

    Raises:
        CannotExpress: if there is more than one.
    """
    stop = body.pop("stop", None)
    words = [stop] if isinstance(stop, str) else stop or []
    if len(words) > 1:
        raise CannotExpress("This provider accepts only one stop sequence.", param="stop")
    if words:
        body["stop"] = words


# For models without facts. Each generation kept the abilities of the one before.
_THINKS = re.compile(r"glm-(?:4\.[5-9]|[5-9]|z1)")
_ALWAYS_THINKS = re.compile(r"glm-5\.3(?!-flash)|glm-z1")
_TAKES_EFFORT = re.compile(r"glm-(?:5\.[2-9]|[6-9])")
_STREAMS_TOOLS = re.compile(r"glm-(?:4\.[6-9]|[5-9])")
EFFORTS = {"minimal": "low", "medium": "high", "xhigh": "max"}  # supported: low, high and max


def fit_thinking(body: dict[str, Any], facts: ModelFacts) -> None:
    """Convert `reasoning_effort`; a client's own `thinking` takes precedence.

    If earlier reasoning is sent back, tell the service to keep it.

    Raises:
        CannotExpress: if thinking should be off and the model always thinks.
    """
    model, effort = str(body["model"]), body.pop("reasoning_effort", None)
    thinking: dict[str, Any] = {"clear_thinking": False} if sends_thoughts(body) else {}
    if effort == "none" and thinks_always(model, facts):
        raise CannotExpress("This model always thinks.", param="reasoning_effort")
    if isinstance(effort, str) and (_THINKS.match(model) or "reasoning" in facts.features):
        thinking["type"] = "disabled" if effort == "none" else "enabled"
        if effort != "none" and _TAKES_EFFORT.match(model):
            body["reasoning_effort"] = EFFORTS.get(effort, effort)
    if thinking:
        body["thinking"] = {**thinking, **(body.get("thinking") or {})}


def thinks_always(model: str, facts: ModelFacts) -> bool:
    return "always_thinking" in facts.features or (
        not facts.features and bool(_ALWAYS_THINKS.match(model))
    )


def sends_thoughts(body: dict[str, Any]) -> bool:
    """Tell whether an earlier answer is sent back with its reasoning, as with tool results."""
    return any(
        isinstance(message, dict) and message.get("reasoning_content")
        for message in body.get("messages") or ()
    )


def choose_tools(body: dict[str, Any]) -> None:
    choice = body.pop("tool_choice", None)
    if choice == "none":
        body.pop("tools", None)
    elif choice not in (None, "auto"):
        raise CannotExpress(
            "This provider's models choose tools themselves: tool_choice must be auto or none.",
            param="tool_choice",
        )
    if body.get("tools") and body.get("stream") and _STREAMS_TOOLS.match(str(body["model"])):
        body.setdefault("tool_stream", True)  # stream the arguments


def hosted_transcription(body: dict[str, Any]) -> dict[str, Any]:
    """Keep the supported fields; the service detects the language and returns only text.

    See https://docs.z.ai/api-reference/audio/audio-transcriptions
    """
    if body.get("response_format") not in (None, "json", "text"):
        raise CannotExpress(
            "This model returns no timestamps: response_format must be json or text.",
            param="response_format",
        )
    supported = ("prompt", "hotwords", "request_id", "user_id")
    return {name: body[name] for name in supported if name in body}


def fit_hosted_images(
    body: dict[str, Any], provider: Provider, access: Access, facts: ModelFacts
) -> None:
    """Keep the supported fields; the service always returns the URL of one image.

    See https://docs.z.ai/api-reference/image/generate-image
    """
    for name in ("n", "response_format", "moderation"):
        body.pop(name, None)
    for name in ("size", "quality"):
        if body.get(name) == "auto":
            del body[name]
    user = body.pop("user", None)
    if isinstance(user, str) and 6 <= len(user) <= 128:
        body.setdefault("user_id", user)
