"""A scripted model behind OpenAI's /chat/completions."""

from __future__ import annotations

import re
import uuid
from typing import Any

from tests.fakes.provider import Reply, compact
from tests.fakes.scripted.plan import Call, Conversation, Tool, Turn
from tests.fakes.scripted.schemas import JsonObject

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 5,
    "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 3},
}


def text_of(content: Any) -> str:
    """Join the texts of a message's content, in any of the formats."""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def read(body: JsonObject) -> Conversation:
    conversation = Conversation(thinks=_thinks(body))
    for message in body["messages"]:
        match message["role"]:
            case "user":
                conversation.say(text_of(message.get("content")))
            case "tool":
                conversation.results.append(text_of(message.get("content")).strip())
            case "assistant":
                conversation.thoughts.append(message.get("reasoning_content") or "")
    for tool in body.get("tools") or ():
        function = tool["function"]
        conversation.tools[function["name"]] = Tool(
            function["name"], function.get("parameters") or {}
        )
    conversation.choice = _choice(body.get("tool_choice"))
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        conversation.schema = wanted["json_schema"].get("schema") or {}
    conversation.json_object = wanted.get("type") == "json_object"
    return conversation


def _thinks(body: JsonObject) -> bool:
    """DeepSeek's models think unless told not to, TONGYI's if they are told to."""
    if re.search(r"^deepseek", body["model"]):
        return bool((body.get("thinking") or {}).get("type") != "disabled")
    return bool(body.get("enable_thinking"))


def _choice(choice: Any) -> str:
    if isinstance(choice, dict):
        return str(choice.get("function", {}).get("name", ""))
    return choice or ""


def write(turn: Turn, body: JsonObject) -> Reply:
    head = {"id": f"chatcmpl-{uuid.uuid4().hex[:12]}", "created": 1790000000}
    head["model"] = body["model"]
    finish = "tool_calls" if turn.call else "stop"
    if not body.get("stream"):
        choice = {"index": 0, "message": _message(turn), "finish_reason": finish}
        answer = {**head, "object": "chat.completion", "choices": [choice], "usage": USAGE}
        return Reply(body=compact(answer))
    head["object"] = "chat.completion.chunk"
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in _deltas(turn)
    ]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**head, "choices": [], "usage": USAGE})
    frames = [b"data: " + compact(chunk) for chunk in chunks] + [b"data: [DONE]"]
    return Reply(content_type="text/event-stream", frames=frames)


def _message(turn: Turn) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": turn.text or None}
    if turn.thought:
        message["reasoning_content"] = turn.thought
    if turn.call:
        message["tool_calls"] = [_tool_call(turn.call, turn.call.text)]
    return message


def _tool_call(call: Call, arguments: str) -> JsonObject:
    return {
        "id": f"call_{uuid.uuid4().hex[:16]}",
        "type": "function",
        "function": {"name": call.tool.name, "arguments": arguments},
    }


def _deltas(turn: Turn) -> list[JsonObject]:
    deltas: list[JsonObject] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in pieces(turn.thought)]
    if turn.call is None:
        return deltas + [{"content": word} for word in words(turn.text)]
    deltas.append({"tool_calls": [{"index": 0, **_tool_call(turn.call, "")}]})
    deltas += [
        {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        for piece in pieces(turn.call.text)
    ]
    return deltas


def pieces(text: str, size: int = 40) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def words(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*", text)
