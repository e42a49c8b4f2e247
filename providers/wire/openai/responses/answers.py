"""OpenAI's Responses as neutral chat answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Answer, Usage
from providers.failures.reasons import Reason
from providers.wire import usage
from providers.wire.repairs.answers import new_id

Item = dict[str, Any]

# Codes of failed responses, in addition to those of all errors. Image errors are the client's.
RESPONSE_CODES: dict[str, Failure] = {
    "bio_policy": Failure.CONTENT_FILTER,
    "misalignment_policy_violation": Failure.CONTENT_FILTER,
    "image_content_policy_violation": Failure.CONTENT_FILTER,
    "data_residency_mismatch": Failure.PERMISSION,
    "vector_store_timeout": Failure.TIMEOUT,
    "invalid_encrypted_content": Failure.BAD_REQUEST,
    **dict.fromkeys(
        (
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "invalid_image_mode",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
            "image_file_not_found",
        ),
        Failure.BAD_REQUEST,
    ),
}
ENDED = ("completed", "incomplete")
ANSWER_FIELDS = ("content", "reasoning_content", "refusal", "tool_calls")
# Type of a call item -> its type in chat completions, and the field that contains its text.
CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}


def finish_of(response: Item, has_calls: bool) -> str:
    if response.get("status") == "incomplete":
        return (
            "content_filter"
            if part_in(response, "incomplete_details").get("reason") == "content_filter"
            else "length"
        )
    return "tool_calls" if has_calls else "stop"


def usage_of(response: Item) -> tuple[Usage | None, Item | None]:
    """Return neutral usage for the ledger and, if the counts are known, for the client."""
    neutral = usage.usage_in(response)
    reported = part_in(response, "usage")
    shown = usage.usage_object(neutral)
    if shown is None:
        return neutral, None
    if details := part_in(reported, "input_tokens_details"):
        shown["prompt_tokens_details"] = details
    if details := part_in(reported, "output_tokens_details"):
        shown["completion_tokens_details"] = details
    return neutral, shown


def answer_of(body: Item) -> Answer:
    """Convert a whole answer.

    Raises:
        ProviderError: if the body is not a response that has ended.
    """
    output = body.get("output")
    if body.get("status") not in ENDED or not isinstance(output, list):
        raise ProviderError(Failure.ERROR, Reason("no_response"), status=200)
    items = [item for item in output if isinstance(item, dict)]
    message, logprobs = message_of(items)
    finish = finish_of(body, "tool_calls" in message)
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
        "finish_reason": finish,
    }
    neutral, shown = usage_of(body)
    answer = {**head_of(body, "chat.completion"), "choices": [choice]} | (
        {"usage": shown} if shown else {}
    )
    return Answer(answer, neutral, finish_reason=finish)


def head_of(response: Item, kind: str) -> Item:
    created = response.get("created_at")
    head = {
        "id": response.get("id") or new_id(),
        "object": kind,
        "created": int(created) if isinstance(created, int | float) else int(time.time()),
        "model": response.get("model") or "",
    }
    if isinstance(response.get("service_tier"), str):
        head["service_tier"] = response["service_tier"]
    return head


def message_of(items: Sequence[Item]) -> tuple[Item, list[Item]]:
    """Return the assistant's message, and the log probabilities of its tokens."""
    parts = [
        part
        for item in items
        if item.get("type") == "message"
        for part in parts_in(item, "content")
    ]
    texts = [part for part in parts if part.get("type") == "output_text"]
    refusals = "".join(
        string_in(part, "refusal") for part in parts if part.get("type") == "refusal"
    )
    calls = [call_of(item) for item in items if item.get("type") in CALLS]
    message: Item = {
        "role": "assistant",
        "content": "".join(string_in(part, "text") for part in texts),
        "refusal": refusals or None,
    }
    if not texts and (calls or refusals):
        message["content"] = None
    thoughts = [
        string_in(part, "text")
        for item in items
        if item.get("type") == "reasoning"
        for part in thoughts_of(item)
    ]
    if thought := "\n\n".join(filter(None, thoughts)):
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    if annotations := [
        annotation_of(note) for part in texts for note in parts_in(part, "annotations")
    ]:
        message["annotations"] = annotations
    if blocks := blocks_of(items):
        message["provider_blocks"] = blocks
    return message, [logprob_of(entry) for part in texts for entry in parts_in(part, "logprobs")]


def thoughts_of(item: Item) -> list[Item]:
    return [*parts_in(item, "summary"), *parts_in(item, "content")]


def call_of(item: Item) -> Item:
    identity = string_in(item, "call_id") or string_in(item, "id") or "call_0"
    kind, text = CALLS[item["type"]]
    return {
        "id": identity,
        "type": kind,
        kind: {"name": string_in(item, "name"), text: string_in(item, text)},
    }


def annotation_of(note: Item) -> Item:
    """Nest a citation's fields under its type, as chat completions does."""
    kind = str(note.get("type"))
    return {"type": kind, kind: {name: value for name, value in note.items() if name != "type"}}


def logprob_of(entry: Item) -> Item:
    return {"bytes": None, "top_logprobs": [], **entry}


def blocks_of(items: Sequence[Item]) -> list[Item]:
    """Return what the next turn needs: the reasoning as it came, and the order of texts and calls.

    Returns:
        [] if the answer contains no reasoning and no phase.
    """
    blocks: list[Item] = []
    for item in items:
        kind = item.get("type")
        if kind == "reasoning" and isinstance(item.get("encrypted_content"), str):
            blocks.append(item)
        elif kind == "message":
            blocks.append(
                {"type": "message", "phase": item["phase"]}
                if isinstance(item.get("phase"), str)
                else {"type": "message"}
            )
        elif kind in CALLS:
            blocks.append({"type": "call", "call_id": call_of(item)["id"]})
    return (
        blocks if any(block["type"] == "reasoning" or "phase" in block for block in blocks) else []
    )


def string_in(holder: Item, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def part_in(holder: Item, name: str) -> Item:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def parts_in(holder: Item, name: str) -> list[Item]:
    value = holder.get(name)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
