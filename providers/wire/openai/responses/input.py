"""Neutral messages as input items of OpenAI's Responses format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from providers.declaration.errors import CannotExpress

Item = dict[str, Any]


def input_of(messages: list[Any]) -> list[Item]:
    """Convert messages to input items: texts, tool calls and tool results side by side, reasoning
    in place.

    Raises:
        CannotExpress: if a message cannot be converted.
    """
    items: list[Item] = []
    custom: set[str] = set()  # ids of custom tool calls, whose results are of another type
    for message in messages:
        if not isinstance(message, dict):
            raise CannotExpress("Each message must be an object.", param="messages")
        match message.get("role"):
            case "system" | "developer" | "user" as role:
                items.append({"role": role, "content": content_of(message.get("content"))})
            case "assistant":
                replayed = list(assistant_items(message))
                custom.update(
                    item["call_id"] for item in replayed if item.get("type") == "custom_tool_call"
                )
                items += replayed
            case "tool":
                items.append(tool_result(message, custom))
            case _:
                raise CannotExpress(
                    "A message has a role this model does not support.", param="messages"
                )
    return items


def assistant_items(message: Mapping[str, Any]) -> Iterator[Item]:
    """Yield the model's earlier output, in the order of its provider_blocks if Responses created
    it.
    """
    calls = [tool_call(call) for call in message.get("tool_calls") or ()]
    text = text_item(message)
    for block in message.get("provider_blocks") or ():
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "reasoning" and isinstance(block.get("encrypted_content"), str):
            yield block
        elif kind == "message" and text:
            yield {**text, "phase": block["phase"]} if block.get("phase") else text
            text = {}
        elif kind == "call":
            matches = [call for call in calls if call["call_id"] == block.get("call_id")]
            if matches:
                calls.remove(matches[0])
                yield matches[0]
    if text:
        yield text
    yield from calls


def text_item(message: Mapping[str, Any]) -> Item:
    """Return the assistant's text as one item, or {} if there is none."""
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    if not isinstance(parts, list):
        raise _invalid_content()
    if message.get("refusal"):
        parts = [*parts, {"type": "refusal", "refusal": message["refusal"]}]
    blocks = [block for part in parts if (block := output_part(part))]
    return {"role": "assistant", "content": blocks} if blocks else {}


def output_part(part: Any) -> Item:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "output_text", "text": text} if text else {}
        case {"type": "refusal", "refusal": str(text)}:
            return {"type": "refusal", "refusal": text}
    raise CannotExpress(
        "An assistant message can contain only texts and refusals.", param="messages"
    )


def tool_call(call: Any) -> Item:
    match call:
        case {
            "id": str(identity),
            "type": "custom",
            "custom": {"name": str(name), "input": str(text)},
        }:
            return {"type": "custom_tool_call", "call_id": identity, "name": name, "input": text}
        case {"id": str(identity), "function": {"name": str(name), "arguments": str(arguments)}}:
            return {
                "type": "function_call",
                "call_id": identity,
                "name": name,
                "arguments": arguments,
            }
    raise CannotExpress(
        "A tool call needs an id, and a function with a name and arguments.", param="messages"
    )


def tool_result(message: Mapping[str, Any], custom: set[str]) -> Item:
    identity = message.get("tool_call_id")
    if not isinstance(identity, str):
        raise CannotExpress("A tool message needs a tool_call_id.", param="messages")
    kind = "custom_tool_call_output" if identity in custom else "function_call_output"
    return {"type": kind, "call_id": identity, "output": content_of(message.get("content"))}


def content_of(content: Any) -> str | list[Item]:
    """Return a text, or a list of parts."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise _invalid_content()
    return [input_part(part) for part in content]


def _invalid_content() -> CannotExpress:
    return CannotExpress("A message's content must be a text or a list of parts.", param="messages")


def input_part(part: Any) -> Item:
    match part:
        case {"type": "text", "text": str(text)}:
            item: Item = {"type": "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            item = {
                "type": "input_image",
                "image_url": url,
                "detail": image.get("detail") or "auto",
            }
        case {"type": "image_url", "image_url": str(url)}:
            item = {"type": "input_image", "image_url": url, "detail": "auto"}
        case {"type": "file", "file": dict(file)}:
            item = {
                "type": "input_file",
                **{
                    name: file[name]
                    for name in ("file_id", "file_data", "filename")
                    if file.get(name)
                },
            }
        case _:
            kind = part.get("type") if isinstance(part, dict) else part
            raise CannotExpress(
                f"This model does not support content of type {str(kind)[:40]!r}.",
                param="messages",
            )
    if isinstance(part.get("prompt_cache_breakpoint"), dict):
        item["prompt_cache_breakpoint"] = part["prompt_cache_breakpoint"]
    return item
