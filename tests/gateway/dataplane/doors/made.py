"""Answers that are made up in the neutral form, whole and in pieces, to be read at every door."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import strategies as st

from providers.declaration.spec import Frame

Made = dict[str, Any]
words = st.text(max_size=12)
numbers = st.integers(-(2**70), 2**70)
calls = st.lists(st.tuples(words, st.dictionaries(words, numbers | words, max_size=2)), max_size=3)
# counts: tokens that are fresh, cached, reasoning, and the answer.
answers = st.fixed_dictionaries(
    {
        "thought": words,
        "text": words,
        "refusal": words,
        "calls": calls,
        "finish": st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
        "counts": st.tuples(*[st.integers(0, 9)] * 4),
        "interleaved": st.booleans(),
    }
)


def written(made: Made) -> list[tuple[str, str, str]]:
    """The calls: ID, name, arguments."""
    return [
        (f"call_{number}", name, json.dumps(values))
        for number, (name, values) in enumerate(made["calls"])
    ]


def usage_of(made: Made) -> dict[str, Any]:
    fresh, cached, reasoning, answer = made["counts"]
    return {
        "prompt_tokens": fresh + cached,
        "completion_tokens": reasoning + answer,
        "total_tokens": sum(made["counts"]),
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def whole(made: Made) -> dict[str, Any]:
    message = {
        "role": "assistant",
        "content": made["text"] or None,
        "refusal": made["refusal"] or None,
        "reasoning_content": made["thought"],
    }
    if made["calls"]:
        message["tool_calls"] = [_call(*call) for call in written(made)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": made["finish"]}
    head = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": [choice], "usage": usage_of(made)}


def frames(made: Made) -> list[Frame]:
    """A stream of it; calls come one after the other, or piece by piece side by side."""
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in _deltas(made)]
    choices.append({"index": 0, "delta": {}, "finish_reason": made["finish"]})
    chunks = [{**head, "choices": [choice]} for choice in choices]
    usage = {**head, "choices": [], "usage": usage_of(made)}
    return [*(Frame(orjson.dumps(chunk)) for chunk in chunks), Frame(orjson.dumps(usage))]


def _deltas(made: Made) -> list[dict[str, Any]]:
    fields = {"reasoning_content": "thought", "content": "text", "refusal": "refusal"}
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    deltas += [{name: letter} for name, source in fields.items() for letter in made[source]]
    parts = [_pieces(number, *call) for number, call in enumerate(written(made))]
    if made["interleaved"]:
        longest = max(map(len, parts), default=0)
        parts = [[part[at] for part in parts if at < len(part)] for at in range(longest)]
    return deltas + [{"tool_calls": [piece]} for part in parts for piece in part]


def _pieces(number: int, identity: str, name: str, arguments: str) -> list[dict[str, Any]]:
    more = [
        {"index": number, "function": {"arguments": arguments[at : at + 3]}}
        for at in range(0, len(arguments), 3)
    ]
    return [{"index": number, **_call(identity, name, "")}, *more]


def _call(identity: str, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": identity, "type": "function", "function": function}
