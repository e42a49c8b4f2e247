"""Neutral chat answers in Anthropic's format."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from providers.declaration.spec import Usage
from providers.wire.anthropic.blocks import REPLAYED, tool_id
from providers.wire.anthropic.signatures import OWN_SIGNATURE
from providers.wire.repairs import exact_json
from providers.wire.repairs.requests import object_text
from providers.wire.usage import usage_of

Block = dict[str, Any]
_STOPS: Final = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def message_of(body: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a whole answer.

    Args:
        measured: The usage fields of the call's record, for answers that report none.
    """
    choice = body["choices"][0]
    return {
        **head_of(body),
        "content": content_of(choice["message"]),
        "stop_reason": stop_reason_of(choice.get("finish_reason")),
        "stop_sequence": None,
        "usage": usage_object(usage_of(body.get("usage")), measured),
    }


def head_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a message that are known when an answer begins."""
    identity = str(body.get("id") or uuid.uuid4().hex)
    return {
        "id": identity if identity.startswith("msg_") else f"msg_{tool_id(identity)}",
        "type": "message",
        "role": "assistant",
        "model": str(body.get("model") or ""),
    }


def content_of(message: Mapping[str, Any]) -> list[Block]:
    """Return the blocks of a message: thoughts, text, calls of tools."""
    blocks = [
        block
        for block in message.get("provider_blocks") or ()
        if isinstance(block, dict) and block.get("type") in REPLAYED
    ]
    if not blocks and (thought := message.get("reasoning_content")):
        blocks.append({"type": "thinking", "thinking": thought, "signature": OWN_SIGNATURE})
    for name in ("content", "refusal"):
        if isinstance(text := message.get(name), str) and text:
            blocks.append({"type": "text", "text": text})
    return blocks + [_tool_use(call) for call in message.get("tool_calls") or ()]


def _tool_use(call: Mapping[str, Any]) -> Block:
    function = call.get("function") or {}
    return {
        "type": "tool_use",
        "id": tool_id(call.get("id")),
        "name": function.get("name") or "",
        "input": exact_json.loads(object_text(function.get("arguments"))),
    }


def stop_reason_of(finish_reason: Any) -> str:
    return _STOPS.get(finish_reason, "end_turn")


def usage_object(usage: Usage | None, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return usage in Anthropic's form, whose input_tokens exclude what a cache was used for."""
    usage = usage or Usage()
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    prompt = (measured.get("prompt_tokens") or 0) if prompt is None else prompt
    completion = (measured.get("completion_tokens") or 0) if completion is None else completion
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    return {
        "input_tokens": max(prompt - cached - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": completion,
    }
