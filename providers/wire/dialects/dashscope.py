"""DashScope's own forms: errors without an `error` object, options of transcription, the native
rerank.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress, Failure, ProviderError
from providers.declaration.spec import ModelFacts, Reply
from providers.failures.reasons import Reason
from providers.wire.chat_answers import choices_of
from providers.wire.http import json_or_none
from providers.wire.openai.errors import openai_errors
from providers.wire.rerank import Question, Ranking, ranking_of

# https://www.alibabacloud.com/help/en/model-studio/error-code: native and compatible codes.
# insufficient_quota is a rate limit here (tokens per minute); Arrearage and FreeTierOnly mean
# missing funds, with any status.
CODES = {
    **dict.fromkeys(("InvalidApiKey", "invalid_api_key"), Failure.AUTH),
    **dict.fromkeys(
        (
            "AccessDenied",
            "access_denied",
            "AccessDenied.Unpurchased",
            "Model.AccessDenied",
            "Workspace.AccessDenied",
        ),
        Failure.PERMISSION,
    ),
    **dict.fromkeys(("Arrearage", "AllocationQuota.FreeTierOnly"), Failure.NO_FUNDS),
    **dict.fromkeys(
        (
            "Throttling",
            "Throttling.RateQuota",
            "Throttling.AllocationQuota",
            "Throttling.BurstRate",
            "insufficient_quota",
            "limit_burst_rate",
            "limit_requests",
        ),
        Failure.RATE_LIMIT,
    ),
    **dict.fromkeys(("DataInspectionFailed", "data_inspection_failed"), Failure.CONTENT_FILTER),
    **dict.fromkeys(("ModelNotFound", "model_not_found"), Failure.MODEL_NOT_FOUND),
    **dict.fromkeys(
        ("InvalidParameter", "invalid_parameter_error", "APIConnectionError", "InvalidURL"),
        Failure.BAD_REQUEST,
    ),
    **dict.fromkeys(("RequestTimeOut", "InternalError.Timeout"), Failure.TIMEOUT),
    **dict.fromkeys(("InternalError", "InternalError.Algo", "SystemError"), Failure.ERROR),
    **dict.fromkeys(("ModelUnavailable", "ModelServingError"), Failure.OVERLOADED),
}
_TOO_LONG = re.compile(r"range of input length", re.I)
_compatible = openai_errors(CODES)


def is_native_error(body: Any) -> bool:
    """Tell whether a body is `{"code", "message", "request_id"}` without an answer."""
    return (
        isinstance(body, dict)
        and isinstance(body.get("code"), str)
        and body["code"] != ""
        and not {"choices", "output", "data"} & body.keys()
    )


def dashscope_errors(reply: Reply) -> ProviderError | None:
    """Map errors of both forms, by code before status."""
    body = json_or_none(reply.body)
    error = _compatible(
        replace(reply, body=orjson.dumps({"error": body})) if is_native_error(body) else reply
    )
    if (
        error is not None
        and error.failure is Failure.BAD_REQUEST
        and _TOO_LONG.search(error.message)
    ):
        error.failure = Failure.CONTEXT_LENGTH
    return error


def tidy(body: dict[str, Any]) -> bool:
    """Remove the empty ids of continued tool calls.

    Raises:
        ProviderError: for an error of the native form in a stream.
    """
    if is_native_error(body):
        raise dashscope_errors(Reply(200, {}, orjson.dumps(body))) or ProviderError(
            Failure.ERROR, Reason("broken_off")
        )
    changed = False
    for choice in choices_of(body):
        for call in (choice.get("delta") or {}).get("tool_calls") or ():
            if call.get("id") == "":
                del call["id"]
                changed = True
    return changed


def rerank_body(question: Question, facts: ModelFacts) -> dict[str, Any]:
    """Build a rerank request in the native form."""
    parameters = dict(question.others)
    if question.top_n is not None:
        parameters["top_n"] = question.top_n
    return {
        "model": question.model,
        "input": {"query": question.query, "documents": question.documents},
        "parameters": parameters,
    }


def ranking_of_output(answer: Any) -> Ranking:
    """Read the native answer, with `output.results` and `request_id` instead of results and
    id.
    """
    output = answer.get("output") if isinstance(answer, dict) else None
    return ranking_of(
        {**output, "usage": answer.get("usage"), "id": answer.get("request_id")}
        if isinstance(output, dict)
        else {}
    )


def asr_options(body: dict[str, Any]) -> dict[str, Any]:
    """Convert the client's fields to asr_options.

    See https://docs.qwencloud.com/api-reference/speech-recognition/qwen-asr/openai
    """
    if body.get("prompt"):
        raise CannotExpress("This model does not accept a prompt with the audio.", param="prompt")
    language = {"language": body["language"]} if body.get("language") else {}
    return (
        {"asr_options": {**language, **(body.get("asr_options") or {})}}
        if language or body.get("asr_options")
        else {}
    )


def fit_audio_input(body: dict[str, Any]) -> None:
    """Convert encoded audio to data URLs."""
    if isinstance(messages := body.get("messages"), list):
        body["messages"] = [
            _with_data_urls(message) if isinstance(message, dict) else message
            for message in messages
        ]


def _with_data_urls(message: dict[str, Any]) -> dict[str, Any]:
    parts = message.get("content")
    if not isinstance(parts, list) or not any(
        isinstance(part, dict) and part.get("type") == "input_audio" for part in parts
    ):
        return message
    return {
        **message,
        "content": [
            _with_data_url(part) if part.get("type") == "input_audio" else part for part in parts
        ],
    }


def _with_data_url(part: dict[str, Any]) -> dict[str, Any]:
    audio = part["input_audio"]
    if audio["data"].startswith(("data:", "https://", "http://")):
        return part
    return {**part, "input_audio": {**audio, "data": f"data:;base64,{audio['data']}"}}
