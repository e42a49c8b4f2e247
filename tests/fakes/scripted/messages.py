"""A scripted model behind Anthropic's /messages."""

from __future__ import annotations

import uuid
from typing import Any

from tests.fakes.provider import Reply, compact
from tests.fakes.scripted.chat import pieces, text_of, words
from tests.fakes.scripted.plan import Conversation, Tool, Turn
from tests.fakes.scripted.schemas import JsonObject

_CHOICES = {"any": "required", "none": "none"}


def read(body: JsonObject) -> Conversation:
    conversation = Conversation(
        thinks=(body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    )
    for message in body["messages"]:
        _read_message(message, conversation)
    for tool in body.get("tools") or ():
        conversation.tools[tool["name"]] = Tool(tool["name"], tool.get("input_schema") or {})
    choice = body.get("tool_choice") or {}
    conversation.choice = choice.get("name") or _CHOICES.get(choice.get("type"), "")
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    conversation.schema = wanted.get("schema")
    return conversation


def _read_message(message: JsonObject, conversation: Conversation) -> None:
    content = message["content"]
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [block for block in blocks if block["type"] == "text"]
    if message["role"] == "user" and texts:
        conversation.say(text_of(texts))
    for block in blocks:
        if block["type"] == "tool_result":
            conversation.results.append(text_of(block.get("content")).strip())
        if block["type"] == "thinking":
            conversation.thoughts.append(block["signature"])


def write(turn: Turn, body: JsonObject) -> Reply:
    message: JsonObject = {
        "id": f"msg_{uuid.uuid4().hex[:16]}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
    }
    stop = "tool_use" if turn.call else "end_turn"
    usage = {"input_tokens": 8, "cache_read_input_tokens": 3, "output_tokens": 5}
    blocks = _blocks(turn)
    if not body.get("stream"):
        end = {"stop_reason": stop, "stop_sequence": None, "usage": usage}
        return Reply(body=compact({**message, "content": blocks, **end}))
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    events: list[JsonObject] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(blocks):
        events += _block_events(index, block, turn)
    delta = {"stop_reason": stop, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}})
    events.append({"type": "message_stop"})
    return Reply(content_type="text/event-stream", frames=[as_event(event) for event in events])


def as_event(event: JsonObject) -> bytes:
    return b"event: %b\ndata: %b" % (event["type"].encode(), compact(event))


def _blocks(turn: Turn) -> list[JsonObject]:
    blocks: list[JsonObject] = []
    if turn.thought:
        blocks.append({"type": "thinking", "thinking": "I think.", "signature": turn.thought})
    if turn.call is None:
        return [*blocks, {"type": "text", "text": turn.text}]
    call = {"id": f"toolu_{uuid.uuid4().hex[:20]}", "name": turn.call.tool.name}
    return [*blocks, {"type": "tool_use", **call, "input": turn.call.arguments}]


def _block_events(index: int, block: JsonObject, turn: Turn) -> list[JsonObject]:
    match block["type"]:
        case "text":
            empty: JsonObject = {"type": "text", "text": ""}
            deltas: list[Any] = [{"type": "text_delta", "text": word} for word in words(turn.text)]
        case "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        case _:
            empty = {**block, "input": {}}
            text = turn.call.text if turn.call else ""
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(text)]
    return [
        {"type": "content_block_start", "index": index, "content_block": empty},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]
