"""What the vendors refuse, and a permissive fake would let pass.

See https://platform.openai.com/docs/api-reference/chat/create,
https://platform.claude.com/docs/en/build-with-claude/extended-thinking,
https://api-docs.deepseek.com/guides/thinking_mode and
https://help.aliyun.com/zh/model-studio/qwen-api-via-openai-chat-completions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from tests.fakes.scripted.responses import RESULTS, items_of
from tests.fakes.scripted.schemas import JsonObject

_ANTHROPIC_ID = re.compile(r"[a-zA-Z0-9_-]+")
_ROLES = {
    "openai": {"developer", "system", "user", "assistant", "tool"},
    "deepseek": {"system", "user", "assistant", "tool"},
    "tongyi": {"system", "user", "assistant", "tool"},
}
_LONGEST_ID = 40


def complaint(vendor: str, format: str, body: JsonObject) -> str:
    """Return why the vendor refuses a body; empty if it takes it."""
    checks = {"chat": _chat, "messages": _messages, "responses": _responses}
    return next(checks[format](vendor, body), "")


def _chat(vendor: str, body: JsonObject) -> Iterator[str]:
    for message in body["messages"]:
        if message["role"] not in _ROLES.get(vendor, _ROLES["openai"]):
            yield f"unknown role {message['role']}"
    yield from _unanswered(body["messages"])
    if vendor == "openai":
        yield from _foreign_fields(body)
    if vendor == "deepseek":
        yield from _deepseek(body)


def _unanswered(messages: list[JsonObject]) -> Iterator[str]:
    open_calls: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                yield "a tool's message must follow a message with its tool_calls"
            open_calls.discard(message.get("tool_call_id", ""))
        elif open_calls:
            yield f"tool_calls without results: {sorted(open_calls)}"
        open_calls |= {call["id"] for call in message.get("tool_calls") or ()}


def _foreign_fields(body: JsonObject) -> Iterator[str]:
    for message in body["messages"]:
        for name in ("reasoning_content", "provider_blocks", "thinking_blocks"):
            if name in message:
                yield f"Unrecognized request argument supplied: {name}"
        for call in message.get("tool_calls") or ():
            if len(call["id"]) > _LONGEST_ID:
                yield "tool_calls[].id: string too long, the maximum is 40"


def _deepseek(body: JsonObject) -> Iterator[str]:
    if (body.get("response_format") or {}).get("type") == "json_schema":
        yield "This response_format type is unavailable now"
    if (body.get("thinking") or {}).get("type") == "disabled":
        return
    for message in body["messages"]:
        if message.get("tool_calls") and "reasoning_content" not in message:
            yield "Missing `reasoning_content` field in the assistant message"


def _messages(vendor: str, body: JsonObject) -> Iterator[str]:
    if "max_tokens" not in body:
        yield "max_tokens: Field required"
    roles = [message["role"] for message in body["messages"]]
    if roles[0] != "user" or not set(roles) <= {"user", "assistant", "system"}:
        yield f"messages: unexpected roles {roles}"
    for before, message in pairwise([{"content": ""}, *body["messages"]]):
        called = {block["id"] for block in _blocks(before, "tool_use")}
        answered = {block["tool_use_id"] for block in _blocks(message, "tool_result")}
        if called != answered:
            yield f"`tool_use` ids {sorted(called)} have `tool_result` {sorted(answered)}"
        for block in _blocks(message, "tool_use"):
            if not _ANTHROPIC_ID.fullmatch(block["id"]):
                yield "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
        for block in _blocks(message, "text"):
            if not block["text"]:
                yield "messages: text content blocks must be non-empty"


def _blocks(message: JsonObject, kind: str) -> list[JsonObject]:
    content = message["content"]
    if isinstance(content, str):
        return []
    return [block for block in content if block["type"] == kind]


def _responses(vendor: str, body: JsonObject) -> Iterator[str]:
    items = items_of(body)
    called = {item.get("call_id") for item in items if str(item.get("type")).endswith("_call")}
    answered = {item["call_id"] for item in items if item.get("type") in RESULTS}
    if answered - called:
        yield f"No tool call found for function call output with call_id {answered - called}"
    if called - answered - {None}:
        yield f"No tool output found for function call {called - answered}"
    for item in items:
        if item.get("type") == "item_reference":
            yield f"Item with id '{item.get('id')}' not found."
