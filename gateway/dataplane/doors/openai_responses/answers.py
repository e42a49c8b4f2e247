"""Neutral chat answers in OpenAI's Responses format."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.dataplane.doors.interface import Asked
from gateway.dataplane.doors.openai_responses import kept
from gateway.dataplane.doors.openai_responses.namespaces import Names
from gateway.dataplane.doors.openai_responses.tools import names_of
from providers.wire.repairs.requests import object_text
from providers.wire.usage import usage_of

Item = dict[str, Any]
ENCRYPTED: Final = "reasoning.encrypted_content"
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_CITATION: Final = {
    "type": "url_citation",
    "url": "",
    "title": "",
    "start_index": 0,
    "end_index": 0,
}
# Fields of a response that repeat the request, with what OpenAI answers if they were not sent.
_REPEATED: Final[Mapping[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}


def response_of(body: Mapping[str, Any], measured: Mapping[str, Any], asked: Asked) -> Item:
    """Convert a whole answer.

    Args:
        measured: The usage fields of the call's record, for answers that report none.
    """
    choice = body["choices"][0]
    output = list(items_of(choice["message"], choice.get("logprobs"), asked))
    if keeps_ids(asked):
        output = [kept.with_sealed_id(item, asked.seal) for item in output]
    response = head_of(asked, str(body.get("model") or ""))
    return ended(response, output, choice.get("finish_reason"), body.get("usage"), measured)


def head_of(asked: Asked, model: str) -> Item:
    """Return a response that has just begun."""
    return {
        "id": response_id(asked.unique_id),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "previous_response_id": asked.previous,
        "service_tier": "default",
        "store": asked.keeps,
        "usage": None,
        **{name: _or_default(asked.body.get(name), name) for name in _REPEATED},
    }


def ended(
    response: Item, output: list[Item], finish: Any, reported: Any, measured: Mapping[str, Any]
) -> Item:
    """Return a response with its output, status and usage."""
    reason = _INCOMPLETE.get(finish)
    return {
        **response,
        "status": "incomplete" if reason else "completed",
        "completed_at": None if reason else int(time.time()),
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": usage_object(reported, measured),
    }


def response_id(unique_id: str) -> str:
    return f"resp_{unique_id}"


def item_id(kind: str, unique_id: str, number: int) -> str:
    return f"{kind}_{unique_id}_{number}"


def keeps_ids(asked: Asked) -> bool:
    """Tell whether the client may send back ids instead of items."""
    return asked.body.get("store") is not False


def items_of(message: Mapping[str, Any], logprobs: Any, asked: Asked) -> Iterator[Item]:
    """Yield the output of a whole answer: reasoning, message, calls of tools."""
    number = 0
    thought, blocks = thought_in(message), message.get("provider_blocks")
    if thought or blocks:
        yield reasoning_item(item_id("rs", asked.unique_id, 0), thought, blocks, asked)
        number = 1
    content = []
    if text := message.get("content"):
        content.append(text_part(text, probabilities_in(logprobs), notes_in(message)))
    if refusal := message.get("refusal"):
        content.append({"type": "refusal", "refusal": refusal})
    calls = message.get("tool_calls") or ()
    if content or not calls:
        yield message_item(item_id("msg", asked.unique_id, number), content)
        number += 1
    names = names_of(asked.body if calls else {})
    for place, call in enumerate(calls, number):
        yield call_item(item_id("fc", asked.unique_id, place), call, names)


def thought_in(message: Mapping[str, Any]) -> str:
    """Return a piece of reasoning, also if its server names it otherwise."""
    thought = message.get("reasoning_content") or message.get("reasoning")
    return thought if isinstance(thought, str) else ""


def notes_in(message: Mapping[str, Any]) -> list[Item]:
    """Return citations as they are written here: their fields beside their type, all of them."""
    return [
        {**_CITATION, **note["url_citation"]}
        for note in message.get("annotations") or ()
        if isinstance(note, dict) and isinstance(note.get("url_citation"), dict)
    ]


def probabilities_in(logprobs: Any) -> list[Item]:
    """Return log probabilities; here, they always have the bytes of their tokens."""
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    return [_probability(entry) for entry in entries or ()]


def _probability(entry: Item) -> Item:
    found = {**entry, "bytes": entry.get("bytes") or list(str(entry.get("token")).encode())}
    if likely := entry.get("top_logprobs"):
        found["top_logprobs"] = [_probability(other) for other in likely]
    return found


def reasoning_item(identity: str, thought: str, blocks: Any, asked: Asked) -> Item:
    """Return reasoning, as a summary if the client asked for one, else as it is."""
    item: Item = {"type": "reasoning", "id": identity, "summary": []}
    if thought and wants_summary(asked):
        item["summary"] = [{"type": "summary_text", "text": thought}]
    elif thought:
        item["content"] = [{"type": "reasoning_text", "text": thought}]
    if encrypts(asked):
        value = {"thought": thought, "blocks": blocks or []}
        item["encrypted_content"] = kept.sealed(value, asked.seal)
    return item


def encrypts(asked: Asked) -> bool:
    """Tell whether reasoning goes to the client sealed."""
    include = asked.body.get("include")
    return keeps_ids(asked) or (isinstance(include, list) and ENCRYPTED in include)


def wants_summary(asked: Asked) -> bool:
    reasoning = asked.body.get("reasoning")
    return isinstance(reasoning, dict) and bool(
        reasoning.get("summary") or reasoning.get("generate_summary")
    )


def text_part(text: str, logprobs: Any = None, notes: list[Item] | None = None) -> Item:
    return {
        "type": "output_text",
        "text": text,
        "annotations": notes or [],
        "logprobs": logprobs or [],
    }


def message_item(identity: str, content: list[Item], status: str = "completed") -> Item:
    return {
        "type": "message",
        "id": identity,
        "status": status,
        "role": "assistant",
        "content": content,
    }


def call_item(
    identity: str, call: Mapping[str, Any], names: Names, status: str = "completed"
) -> Item:
    """Return the call of a tool."""
    if call.get("type") == "custom":
        called, kind, field = call["custom"], "custom_tool_call", "input"
        text = called.get("input") or ""
    else:
        called, kind, field = call["function"], "function_call", "arguments"
        text = object_text(called.get("arguments"))
    item = {"type": kind, "id": identity, "call_id": call.get("id") or identity}
    return {**item, **names.parted(called.get("name") or ""), field: text, "status": status}


def usage_object(reported: Any, measured: Mapping[str, Any]) -> Item:
    usage = usage_of(reported)
    prompt = usage.prompt_tokens if usage else None
    completion = usage.completion_tokens if usage else None
    prompt = (measured.get("prompt_tokens") or 0) if prompt is None else prompt
    completion = (measured.get("completion_tokens") or 0) if completion is None else completion
    return {
        "input_tokens": prompt,
        "input_tokens_details": {
            "cached_tokens": (usage and usage.cached_tokens) or 0,
            "cache_write_tokens": (usage and usage.cache_write_tokens) or 0,
        },
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": (usage and usage.reasoning_tokens) or 0},
        "total_tokens": prompt + completion,
    }


def _or_default(value: Any, name: str) -> Any:
    return _REPEATED[name] if value is None else value
