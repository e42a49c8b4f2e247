"""Messages of a neutral chat as Anthropic's turns of content blocks.

See https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress
from providers.wire.repairs import exact_json

Block = dict[str, Any]

REPLAYED = ("thinking", "redacted_thinking")


def system_of(messages: list[Any], instruction: str) -> str | list[Block]:
    """Join all system and developer messages and an instruction of ours.

    Returns:
        Blocks if one is marked for caching, else a text.
    """
    blocks = [
        block
        for message in messages
        if isinstance(message, dict) and message.get("role") in ("system", "developer")
        for block in marked(content_blocks(message.get("content")), message)
    ]
    if any(block["type"] != "text" for block in blocks):
        raise CannotExpress("A system message can contain only text.", param="messages")
    blocks += content_blocks(instruction)
    if any("cache_control" in block for block in blocks):
        return blocks
    return "\n\n".join(block["text"] for block in blocks)


def marked(blocks: list[Block], message: Mapping[str, Any]) -> list[Block]:
    """Move a message's `cache_control` to its last block, where Anthropic expects it."""
    mark = message.get("cache_control")
    if isinstance(mark, dict) and blocks and blocks[-1]["type"] not in REPLAYED:
        return [*blocks[:-1], {**blocks[-1], "cache_control": mark}]
    return blocks


def turns_of(messages: list[Any]) -> list[Block]:
    """Convert messages to user and assistant turns: merge neighbours, put tool results first."""
    turns: list[Block] = []
    for message in messages:
        if not isinstance(message, dict):
            raise CannotExpress("Each message must be an object.", param="messages")
        role, blocks = blocks_of(message)
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns:
        raise CannotExpress(
            "The conversation needs at least one user message with text.", param="messages"
        )
    for turn in turns:
        if turn["role"] == "user":
            turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    if turns[-1]["role"] == "assistant":
        strip_end(turns[-1]["content"])
    return turns


def strip_end(blocks: list[Block]) -> None:
    """Strip trailing whitespace, which is refused in a text that the model continues."""
    if blocks[-1]["type"] == "text":
        blocks[-1] = {**blocks[-1], "text": blocks[-1]["text"].rstrip()}


def blocks_of(message: Mapping[str, Any]) -> tuple[str, list[Block]]:
    match message.get("role"):
        case "system" | "developer":
            return "system", []
        case "user":
            return "user", marked(content_blocks(message.get("content")), message)
        case "assistant":
            return "assistant", marked(assistant_blocks(message), message)
        case "tool":
            return "user", [tool_result(message)]
    raise CannotExpress("A message has a role this provider does not support.", param="messages")


def assistant_blocks(message: Mapping[str, Any]) -> list[Block]:
    """Return the reasoning to replay with its signature, then text, then tool calls."""
    blocks = [
        block
        for block in message.get("provider_blocks") or ()
        if isinstance(block, dict) and block.get("type") in REPLAYED
    ]
    blocks += content_blocks(message.get("content"))
    return blocks + [tool_use(call) for call in message.get("tool_calls") or ()]


def tool_use(call: Any) -> Block:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise CannotExpress(
            "This provider supports only tool calls of type function.", param="messages"
        )
    try:
        arguments = exact_json.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        raise CannotExpress("A tool call's arguments are not JSON.", param="messages") from None
    if not isinstance(arguments, dict):
        raise CannotExpress("A tool call's arguments must be a JSON object.", param="messages")
    return {
        "type": "tool_use",
        "id": tool_id(call.get("id")),
        "name": function.get("name"),
        "input": arguments,
    }


def tool_result(message: Mapping[str, Any]) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": tool_id(message.get("tool_call_id"))}
    content = message.get("content")
    if isinstance(content, str):
        block["content"] = content
    elif content:
        block["content"] = content_blocks(content)
    if isinstance(message.get("cache_control"), dict):
        block["cache_control"] = message["cache_control"]
    return block


def tool_id(value: Any) -> str:
    """Replace characters that are refused here and appear in other providers' ids."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", str(value or "")) or "call_0"


def with_own_ids(messages: list[Any]) -> list[Any]:
    """Copy the messages if ids of different calls become the same one here."""
    ids: dict[str, str] = {}
    for message in messages:
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        for call in calls if isinstance(calls, list) else ():
            identity = call.get("id") if isinstance(call, dict) else None
            if isinstance(identity, str) and identity not in ids:
                ids[identity] = tool_id(identity)
    if len(set(ids.values())) == len(ids):
        return messages
    taken: set[str] = set()
    for number, (identity, fit) in enumerate(ids.items()):
        if fit in taken:  # numbered: trying one name after another would take quadratic time
            fit = f"{fit}_{number}"
        while fit in taken:
            fit += "_"
        taken.add(fit)
        ids[identity] = fit
    return [_with_ids(message, ids) for message in messages]


def _with_ids(message: Any, ids: Mapping[str, str]) -> Any:
    if not isinstance(message, dict):
        return message
    if isinstance(identity := message.get("tool_call_id"), str):
        message = {**message, "tool_call_id": ids.get(identity, identity)}
    if isinstance(message.get("tool_calls"), list):
        calls = [
            {**call, "id": ids[call["id"]]}
            if isinstance(call, dict) and call.get("id") in ids
            else call
            for call in message["tool_calls"]
        ]
        message = {**message, "tool_calls": calls}
    return message


def content_blocks(content: Any) -> list[Block]:
    """Convert a message's content, and drop texts of only whitespace, which would be refused."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    if content is None:
        return []
    if not isinstance(content, list):
        raise CannotExpress(
            "A message's content must be a text or a list of parts.", param="messages"
        )
    return [block for part in content for block in part_blocks(part)]


def part_blocks(part: Any) -> Iterator[Block]:
    kind = part.get("type") if isinstance(part, dict) else None
    match kind:
        case "text" | "refusal":
            block = {"type": "text", "text": str(part.get(kind) or "")}
            if not block["text"].strip():
                return
        case "image_url":
            block = image_block(part.get("image_url"))
        case "file":
            block = document_block(part.get("file"))
        case _:
            raise CannotExpress(
                f"This provider does not support content of type {str(kind)[:40]!r}.",
                param="messages",
            )
    yield (
        {**block, "cache_control": part["cache_control"]}
        if isinstance(part.get("cache_control"), dict)
        else block
    )


_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+)*;base64,(.*)\Z", re.S)


def image_block(image: Any) -> Block:
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url:
        raise CannotExpress("An image has no url.", param="messages")
    if match := _DATA_URL.match(url):
        return {
            "type": "image",
            "source": {"type": "base64", "media_type": match[1], "data": match[2]},
        }
    if url.startswith("https://"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    raise CannotExpress("An image must be an https URL or a base64 data URL.", param="messages")


def document_block(file: Any) -> Block:
    """Convert a file: a text as text, anything else as it is.

    Raises:
        CannotExpress: if it is not a base64 data URL.
    """
    data = file.get("file_data") if isinstance(file, dict) else None
    match = _DATA_URL.match(data) if isinstance(data, str) else None
    if match is None:
        raise CannotExpress("A file needs file_data: a base64 data URL.", param="messages")
    block: Block = {
        "type": "document",
        "source": {"type": "base64", "media_type": match[1], "data": match[2]},
    }
    if match[1].startswith("text/"):
        block["source"] = {"type": "text", "media_type": "text/plain", "data": decoded(match[2])}
    if isinstance(file.get("filename"), str):
        block["title"] = file["filename"]
    return block


def decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except ValueError:
        raise CannotExpress(
            "A text file must be UTF-8 encoded as base64.", param="messages"
        ) from None
