"""Repairs of what a message or a delta holds: role, texts, reasoning, the calls of tools. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from providers.wire.repairs import exact_json

FINISH_REASONS: Final = frozenset(
    {"stop", "length", "tool_calls", "content_filter", "function_call"}
)
# Words of other formats for OpenAI's finish reasons; any other word means "stop".
_FINISH: Final[Mapping[str, str]] = {
    "max_tokens": "length",
    "max_length": "length",
    "max_output": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "context_length": "length",
    "truncated": "length",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "tools": "tool_calls",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "refusal": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "spii": "content_filter",
}
_COMMON: Final = frozenset({"content", "refusal", "role"})
_OPTIONAL_TEXTS: Final = ("refusal", "reasoning_content")
_TEXT_FIELDS: Final = ("text", "thinking", "reasoning", "refusal", "summary", "content", "value")


def finish_reason_of(value: Any) -> str | None:
    """Return OpenAI's name of a finish reason; None if the answer goes on."""
    if not isinstance(value, str) or not value:
        return None
    return value if value in FINISH_REASONS else _FINISH.get(value.lower(), "stop")


def repair_finish_reason(choice: dict[str, Any]) -> bool:
    """Set OpenAI's name of a choice's finish reason; return whether that changed anything."""
    value = choice.get("finish_reason", "")
    choice["finish_reason"] = finish_reason_of(value)
    return bool(choice["finish_reason"] != value)


def repair_part(part: dict[str, Any]) -> bool:
    """Repair the texts of a message or delta in place; return whether anything changed."""
    content = part.get("content")
    plain = content is None or isinstance(content, str)
    if plain and part.keys() <= _COMMON and isinstance(part.get("refusal"), str | None):
        return False
    changed = rename_reasoning(part)
    if not plain:
        _set_content(part, content)
        changed = True
    for name in _OPTIONAL_TEXTS:
        value = part.get(name)
        if value is not None and not isinstance(value, str):
            part[name] = "".join(_texts_of(value)) or None
            changed = True
    call = part.get("function_call")
    if isinstance(call, dict) and not isinstance(call.get("arguments"), str | None):
        call["arguments"] = arguments_text(call["arguments"])
        changed = True
    return changed


def rename_reasoning(part: dict[str, Any]) -> bool:
    """Rename `reasoning`, the name in newer vLLM, to the common `reasoning_content`."""
    if not isinstance(part.get("reasoning"), str) or part.get("reasoning_content"):
        return False
    part["reasoning_content"] = part.pop("reasoning")
    return True


def _set_content(part: dict[str, Any], content: Any) -> None:
    """Replace a list of content parts by its text, its reasoning and its images."""
    items = content if isinstance(content, list) else [content]
    thoughts: list[str] = []
    texts: list[str] = []
    images: list[Any] = []
    for item in items:
        kind = item.get("type") if isinstance(item, dict) else None
        if kind in ("thinking", "reasoning"):
            thoughts += _texts_of(item)
        elif kind == "image_url":
            images.append(item)
        elif kind == "refusal":
            part["refusal"] = "".join(_texts_of(item)) or None
        else:
            texts += _texts_of(item)
    part["content"] = "".join(texts)
    if thoughts and not part.get("reasoning_content"):
        part["reasoning_content"] = "".join(thoughts)
    if images and not part.get("images"):
        part["images"] = images


def text_of(value: Any) -> str:
    """Return a text, also of a list of parts."""
    return value if isinstance(value, str) else "".join(_texts_of(value))


def _texts_of(value: Any, depth: int = 4) -> list[str]:
    """Return the texts of a part of content, which may itself hold parts."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and depth:
        return [text for item in value for text in _texts_of(item, depth - 1)]
    if isinstance(value, dict) and depth:
        inner = next((value[name] for name in _TEXT_FIELDS if value.get(name)), None)
        return _texts_of(inner, depth - 1)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [str(value)] if is_number else []


def arguments_text(value: Any) -> str:
    """Return a tool call's arguments as JSON text, as clients parse it."""
    if isinstance(value, str):
        return "{}" if value.strip() in ("", "null") else value
    return "{}" if value is None else exact_json.dumps(value).decode()


def new_call_id() -> str:
    """Make an id that no other call of the conversation has."""
    return f"call_{uuid.uuid4().hex[:24]}"


def function_of(call: dict[str, Any]) -> dict[str, Any]:
    """Return a call's function, also if its fields are beside it."""
    function = call.get("function")
    if not isinstance(function, dict):
        function = {name: call[name] for name in ("name", "arguments") if name in call}
    return function


def repair_message(message: dict[str, Any]) -> bool:
    """Repair a whole message in place; return whether anything changed."""
    changed = repair_part(message)
    if message.get("role") != "assistant":
        message["role"] = "assistant"
        changed = True
    message.setdefault("content", None)
    calls = message.get("tool_calls")
    if calls is None:
        return changed
    repaired = _whole_calls(calls if isinstance(calls, list) else [calls])
    if repaired == calls:
        return changed
    if repaired:
        message["tool_calls"] = repaired
    else:
        del message["tool_calls"]
    return True


def _whole_calls(calls: list[Any]) -> list[dict[str, Any]]:
    ids: set[str] = set()
    repaired = []
    for call in calls:
        if not isinstance(call, dict):
            continue
        call = {**call, "id": own_id(call.get("id"), ids)}
        if call.get("type") != "custom" or not isinstance(call.get("custom"), dict):
            function = function_of(call)
            name = function.get("name")
            call["type"] = "function"
            call["function"] = {
                **function,
                "name": name if isinstance(name, str) else "",
                "arguments": arguments_text(function.get("arguments")),
            }
        repaired.append(call)
    return repaired


def own_id(value: Any, taken: set[str]) -> str:
    """Return the id of a call, or a new one if it has none or another call's, and note it."""
    identity = str(value) if isinstance(value, str | int) and value != "" else ""
    if not identity or identity in taken:
        identity = new_call_id()
    taken.add(identity)
    return identity
