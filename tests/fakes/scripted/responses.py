"""A scripted model behind OpenAI's /responses."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from tests.fakes.provider import Reply, compact
from tests.fakes.scripted.chat import pieces, text_of, words
from tests.fakes.scripted.messages import as_event
from tests.fakes.scripted.plan import Conversation, Tool, Turn
from tests.fakes.scripted.schemas import JsonObject

RESULTS = ("function_call_output", "custom_tool_call_output")


def items_of(body: JsonObject) -> list[JsonObject]:
    given = body.get("input") or ""
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


def read(body: JsonObject) -> Conversation:
    conversation = Conversation(thinks=bool(body.get("reasoning")))
    offered = list(body.get("tools") or ())
    for item in items_of(body):
        kind = item.get("type", "message")
        if kind == "message" and item["role"] == "user":
            conversation.say(text_of(item.get("content")))
        elif kind in RESULTS:
            conversation.results.append(text_of(item.get("output")).strip())
        elif kind == "reasoning":
            conversation.thoughts.append(item.get("encrypted_content") or "")
        elif kind == "additional_tools":  # Codex sends its tools so to the newest models
            offered += item["tools"]
    for tool in _tools(offered):
        conversation.tools.setdefault(tool.name, tool)
    conversation.choice = _choice(body.get("tool_choice"))
    wanted = (body.get("text") or {}).get("format") or {}
    conversation.schema = wanted.get("schema")
    conversation.json_object = wanted.get("type") == "json_object"
    return conversation


def _tools(offered: Iterable[JsonObject], namespace: str = "") -> Iterator[Tool]:
    for tool in offered:
        match tool["type"]:
            case "namespace":
                yield from _tools(tool["tools"], tool["name"])
            case "function":
                yield Tool(tool["name"], tool.get("parameters") or {}, namespace)
            case "custom":
                yield Tool(tool["name"], None, namespace)


def _choice(choice: Any) -> str:
    return str(choice.get("name", "")) if isinstance(choice, dict) else choice or ""


def write(turn: Turn, body: JsonObject) -> Reply:
    items = _items(turn, "reasoning.encrypted_content" in (body.get("include") or ()))
    response = {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": 1790000000,
        "model": body["model"],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
    }
    done = {**response, "status": "completed", "output": items, "usage": USAGE}
    if not body.get("stream"):
        return Reply(body=compact(done))
    start = {**response, "status": "in_progress", "output": [], "usage": None}
    events: list[JsonObject] = [
        {"type": "response.created", "response": start},
        {"type": "response.in_progress", "response": start},
    ]
    for index, item in enumerate(items):
        events += _item_events(index, item)
    events.append({"type": "response.completed", "response": done})
    frames = [as_event({**event, "sequence_number": n}) for n, event in enumerate(events)]
    return Reply(content_type="text/event-stream", frames=frames)


USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 16,
}


def _items(turn: Turn, encrypted: bool) -> list[JsonObject]:
    mark = uuid.uuid4().hex
    items: list[JsonObject] = []
    if turn.thought:
        thought = {"encrypted_content": turn.thought} if encrypted else {}
        items.append({"type": "reasoning", "id": f"rs_{mark}", "summary": [], **thought})
    if turn.call is None:
        part = {"type": "output_text", "text": turn.text, "annotations": []}
        message = {"type": "message", "id": f"msg_{mark}", "status": "completed"}
        return [*items, {**message, "role": "assistant", "content": [part]}]
    tool = turn.call.tool
    call: JsonObject = {"call_id": f"call_{mark[:24]}", "name": tool.name, "status": "completed"}
    if tool.namespace:
        call["namespace"] = tool.namespace
    if tool.schema is None:
        call |= {"type": "custom_tool_call", "id": f"ctc_{mark}", "input": turn.call.input}
    else:
        call |= {"type": "function_call", "id": f"fc_{mark}", "arguments": turn.call.text}
    return [*items, call]


def _item_events(index: int, item: JsonObject) -> Iterator[JsonObject]:
    place = {"item_id": item["id"], "output_index": index}
    begun = {**item, "status": "in_progress"} if "status" in item else dict(item)
    match item["type"]:
        case "message":
            begun["content"] = []
            body = _text_events(place, item["content"][0])
        case "function_call":
            begun["arguments"] = ""
            body = _input_events(place, "function_call_arguments", "arguments", item["arguments"])
        case "custom_tool_call":
            begun["input"] = ""
            body = _input_events(place, "custom_tool_call_input", "input", item["input"])
        case _:
            body = iter(())
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    yield from body
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _text_events(place: JsonObject, part: JsonObject) -> Iterator[JsonObject]:
    place = {**place, "content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    for word in words(part["text"]):
        yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def _input_events(place: JsonObject, name: str, key: str, text: str) -> Iterator[JsonObject]:
    for piece in pieces(text):
        yield {"type": f"response.{name}.delta", **place, "delta": piece}
    yield {"type": f"response.{name}.done", **place, key: text}
