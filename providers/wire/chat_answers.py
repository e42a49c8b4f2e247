"""Read and complete chat answers in OpenAI's form: choices, sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Answer, Frame
from providers.failures.reasons import Reason
from providers.wire.repairs.answers import (
    complete_head,
    name_finish,
    repair_answer,
    repair_usage,
)
from providers.wire.usage import usage_in

# Repairs an answer or a chunk in place; returns whether anything changed.
Tidy = Callable[[dict[str, Any]], bool]


def choices_of(body: Any) -> list[dict[str, Any]]:
    choices = body.get("choices") if isinstance(body, dict) else None
    return (
        [choice for choice in choices if isinstance(choice, dict)]
        if isinstance(choices, list)
        else []
    )


def answer_of(body: dict[str, Any], tidy: Tidy | None = None) -> Answer:
    """Convert a whole chat answer.

    Raises:
        ProviderError: if the body is not a chat answer.
    """
    repair_answer(body)
    choices = body["choices"]
    if not choices:
        raise ProviderError(Failure.ERROR, Reason("no_choices"), status=200)
    complete_head(body, "chat.completion")
    if tidy is not None:
        tidy(body)
    name_finish(body)
    usage = usage_in(body)
    repair_usage(body)
    return Answer(body, usage, finish_reason=choices[0]["finish_reason"])


def characters_of(part: dict[str, Any]) -> int:
    """Count the characters of text, reasoning and tool arguments in a message or delta."""
    total = sum(
        len(value)
        for name in ("content", "reasoning_content", "reasoning", "refusal")
        if isinstance(value := part.get(name), str)
    )
    for call in part.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            total += len(function.get("arguments") or "") + len(function.get("name") or "")
    return total


def frames_of(body: dict[str, Any]) -> list[Frame]:
    """Convert a whole chat answer to a stream: one chunk with all of it, one with the usage."""
    complete_head(body, "chat.completion")
    head = {
        "id": body["id"],
        "object": "chat.completion.chunk",
        "created": body["created"],
        "model": body.get("model") or "",
    }
    choices = [
        {
            "index": choice.get("index", number),
            "delta": _delta_of(choice.get("message") or {}),
            "finish_reason": choice.get("finish_reason"),
        }
        for number, choice in enumerate(choices_of(body))
    ]
    frames = [Frame(orjson.dumps({**head, "choices": choices}), content=True)]
    if isinstance(body.get("usage"), dict):
        frames.append(
            Frame(orjson.dumps({**head, "choices": [], "usage": body["usage"]}), usage_only=True)
        )
    return frames


def _delta_of(message: dict[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    if not calls:
        return message
    return {
        **message,
        "tool_calls": [{"index": number, **call} for number, call in enumerate(calls)],
    }
