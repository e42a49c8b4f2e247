"""Chat completions translated to Responses and back, with inputs nobody would write down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from providers.declaration import registry
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Access, ModelFacts, Operation, Reply, Request
from providers.wire.openai.responses.stream import ResponseDecoder
from providers.wire.repairs.requests import object_text
from tests.providers.driving import Outcome, run

OPENAI = registry.get("openai")
ACCESS = Access({"api_key": "sk-test-0123456789"})
FACTS = ModelFacts(features=frozenset({"reasoning", "tools", "responses_only"}))
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}

# Well-formed answers: any order of reasoning, words and calls.

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
words = texts.filter(bool)
reasonings = st.builds(
    lambda parts, secret: {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": part} for part in parts],
        "encrypted_content": secret,
        "unknown": {"kept": True},
    },
    st.lists(words, max_size=2),
    words,
)
messages = st.builds(
    lambda parts, phase: {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": part, "annotations": []} for part in parts],
        **({"phase": phase} if phase else {}),
    },
    st.lists(words, min_size=1, max_size=2),
    st.sampled_from(["", "commentary", "final_answer"]),
)
calls = st.builds(
    lambda name, arguments: {"type": "function_call", "name": name, "arguments": arguments},
    words,
    st.one_of(texts, st.just('{"a":1}')),
)
noise = st.just({"type": "web_search_call", "status": "completed"})


def numbered(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **item,
            "id": f"item_{number}",
            **({"call_id": f"call_{number}"} if "call" in item["type"] else {}),
        }
        for number, item in enumerate(items)
    ]


outputs = st.lists(st.one_of(reasonings, messages, calls, noise), max_size=6).map(numbered)
counts = st.integers(0, 10**6)
usages = st.one_of(
    st.none(),
    st.builds(
        lambda read, cached, put, thought: {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": put,
            "output_tokens_details": {"reasoning_tokens": thought},
        },
        *[counts] * 4,
    ),
)
responses = st.builds(
    lambda output, usage, cut: {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": cut} if cut else None,
        "error": None,
        "output": output,
        "usage": usage,
    },
    outputs,
    usages,
    st.sampled_from(["", "", "max_output_tokens", "content_filter"]),
)


def pieces(text: str) -> list[str]:
    return [text[start : start + 3] for start in range(0, len(text), 3)]


def told(response: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events in which a server would tell a response."""
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "output": [], "usage": None}}
    ]
    for place, item in enumerate(response["output"]):
        begun = {**item, "status": "in_progress"}
        begun |= {"arguments": ""} if item["type"] == "function_call" else {}
        events.append({"type": "response.output_item.added", "output_index": place, "item": begun})
        for number, part in enumerate(item.get("summary", ())):
            kind, where = (
                "response.reasoning_summary_text.delta",
                {"output_index": place, "summary_index": number},
            )
            events += [{"type": kind, **where, "delta": piece} for piece in pieces(part["text"])]
        for number, part in enumerate(item.get("content", ())):
            where = {"output_index": place, "content_index": number}
            events += [
                {"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []}
                for piece in pieces(part["text"])
            ]
        for piece in pieces(item.get("arguments", "")):
            events.append(
                {
                    "type": "response.function_call_arguments.delta",
                    "output_index": place,
                    "delta": piece,
                }
            )
        events.append({"type": "response.output_item.done", "output_index": place, "item": item})
    events.append({"type": f"response.{response['status']}", "response": response})
    return events


def stream(events: Sequence[Any]) -> bytes:
    return b"".join(b"event: x\ndata: " + orjson.dumps(event) + b"\n\n" for event in events)


def ask(body: Mapping[str, Any], reply: Reply, *, streamed: bool = False) -> Outcome:
    return run(OPENAI, Request(Operation.CHAT, "m", dict(body), streamed), ACCESS, FACTS, [reply])


def whole(response: Mapping[str, Any]) -> Outcome:
    return ask(
        {"messages": [{"role": "user", "content": "Hi"}]}, Reply(200, JSON, orjson.dumps(response))
    )


def streamed(response: Mapping[str, Any]) -> Outcome:
    return ask(
        {"messages": [{"role": "user", "content": "Hi"}]},
        Reply(200, EVENTS, stream(told(response))),
        streamed=True,
    )


def sent(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is sent for a chat request."""
    done = {
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "ok"}]}],
    }
    return orjson.loads(ask(body, Reply(200, JSON, orjson.dumps(done))).calls[0].body or b"")  # type: ignore[no-any-return]


def seen(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message without what only one of the two ways of telling it spells out."""
    found = {
        name: message.get(name) or None
        for name in ("content", "reasoning_content", "provider_blocks")
    }
    return found | {
        "calls": [(call["id"], call["function"]) for call in message.get("tool_calls") or ()]
    }


@given(responses)
def test_a_stream_tells_what_a_whole_answer_tells(response: dict[str, Any]) -> None:
    one, other = whole(response), streamed(response)
    assert seen(one.message) == seen(other.message)
    assert (one.usage, one.finish_reason) == (other.usage, other.finish_reason)


@given(responses)
def test_every_frame_is_a_chunk_in_order(response: dict[str, Any]) -> None:
    outcome = streamed(response)
    chunks = [ChatCompletionChunk.model_validate(chunk, strict=True) for chunk in outcome.chunks]
    assert {chunk.id for chunk in chunks} == {"resp_1"}
    assert [frame.usage_only for frame in outcome.frames] == [not chunk.choices for chunk in chunks]
    assert chunks[0].choices[0].delta.role == "assistant"
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == [
        outcome.finish_reason
    ]
    assert choices[-1].finish_reason
    known = -1
    for call in [call for choice in choices for call in choice.delta.tool_calls or ()]:
        if call.index > known:
            known += 1
            assert call.index == known
            assert call.id
            assert call.type == "function"
            assert call.function is not None
            assert call.function.name
        else:
            assert call.index == known
            assert call.id is None


@given(responses)
def test_a_whole_answer_is_a_chat_completion(response: dict[str, Any]) -> None:
    outcome = whole(response)
    assert outcome.answer is not None
    ChatCompletion.model_validate(outcome.answer.body, strict=False)


@given(outputs)
def test_what_came_goes_back_as_it_came(output: list[dict[str, Any]]) -> None:
    """Reasoning byte by byte; words and calls with the same texts at the same places."""
    message = streamed({"id": "r", "status": "completed", "output": output}).message
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", **message}]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "done"}
        for call in message.get("tool_calls") or ()
    ]
    items = sent({"messages": messages + results})["input"][1:]
    came = [item for item in output if item["type"] == "reasoning"]
    assert [item for item in items if item.get("type") == "reasoning"] == came
    assert [item["call_id"] for item in items if item.get("type") == "function_call_output"] == [
        result["tool_call_id"] for result in results
    ]
    if came:
        order = [item["type"] for item in output if item["type"] in ("reasoning", "function_call")]
        assert [
            item["type"] for item in items if item.get("type") in ("reasoning", "function_call")
        ] == order
    back = [
        (item["call_id"], item["name"], item["arguments"])
        for item in items
        if item.get("type") == "function_call"
    ]
    assert back == [
        (item["call_id"], item["name"], object_text(item["arguments"]))
        for item in output
        if item["type"] == "function_call"
    ]
    said = "".join(part["text"] for item in output for part in item.get("content", ()))
    assert (
        "".join(
            part["text"]
            for item in items
            if item.get("role") == "assistant"
            for part in item["content"]
        )
        == said
    )


# Ill-formed ones.


def outcome_or_error(attempt: Callable[[], Outcome]) -> Outcome | ProviderError:
    try:
        return attempt()
    except ProviderError as error:
        return error


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", ""])
parts = st.dictionaries(
    st.sampled_from(
        ["type", "text", "image_url", "file", "refusal", "url", "prompt_cache_breakpoint"]
    ),
    st.one_of(anything, st.sampled_from(["text", "image_url", "file", "refusal"])),
    max_size=4,
)
blocks = st.dictionaries(
    st.sampled_from(["type", "encrypted_content", "call_id", "phase"]),
    st.one_of(anything, st.sampled_from(["reasoning", "message", "call"])),
    max_size=4,
)
hostile_messages = st.lists(
    st.one_of(
        anything,
        st.fixed_dictionaries(
            {},
            optional={
                "role": st.one_of(roles, anything),
                "content": st.one_of(anything, st.lists(parts, max_size=2)),
                "refusal": anything,
                "tool_call_id": anything,
                "tool_calls": st.one_of(anything, st.lists(anything, max_size=2)),
                "provider_blocks": st.one_of(anything, st.lists(blocks, max_size=2)),
            },
        ),
    ),
    max_size=3,
)
FIELDS = (
    *(
        "tools",
        "tool_choice",
        "response_format",
        "reasoning",
        "reasoning_effort",
        "verbosity",
        "max_tokens",
        "max_completion_tokens",
    ),
    *(
        "stop",
        "n",
        "logprobs",
        "modalities",
        "web_search_options",
        "stream_options",
        "functions",
        "metadata",
        "logit_bias",
        "audio",
    ),
)


@settings(max_examples=300)
@given(
    hostile_messages, st.dictionaries(st.sampled_from(FIELDS), anything, max_size=3), st.booleans()
)
def test_no_request_breaks_the_translation(
    messages: list[Any], fields: dict[str, Any], is_stream: bool
) -> None:
    reply = (
        Reply(200, EVENTS, stream(told({"status": "completed", "output": []})))
        if is_stream
        else None
    )
    reply = reply or Reply(200, JSON, b'{"status":"completed","output":[]}')
    outcome = outcome_or_error(
        lambda: ask({"messages": messages, **fields}, reply, streamed=is_stream)
    )
    if isinstance(outcome, ProviderError):
        assert outcome.message
        assert outcome.sent is False
    else:
        assert orjson.loads(outcome.calls[0].body or b"")["store"] is False


KINDS = (
    *(
        "response.created",
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.output_item.added",
    ),
    *(
        "response.output_item.done",
        "response.reasoning_summary_text.delta",
        "response.refusal.delta",
        "response.completed",
    ),
    *(
        "response.output_text.annotation.added",
        "response.failed",
        "response.incomplete",
        "error",
        "response.never.heard.of",
    ),
)
items = st.dictionaries(
    st.sampled_from(
        [
            "type",
            "id",
            "call_id",
            "name",
            "arguments",
            "content",
            "summary",
            "encrypted_content",
            "phase",
            "input",
        ]
    ),
    st.one_of(
        anything, st.sampled_from(["function_call", "custom_tool_call", "message", "reasoning"])
    ),
    max_size=6,
)
hostile_events = st.one_of(
    anything,
    st.fixed_dictionaries(
        {"type": st.sampled_from(KINDS)},
        optional={
            "delta": anything,
            "output_index": st.one_of(st.integers(0, 2), anything),
            "summary_index": anything,
            "item": st.one_of(items, anything),
            "annotation": anything,
            "logprobs": anything,
            "error": anything,
            "message": anything,
            "response": st.one_of(
                anything,
                st.fixed_dictionaries(
                    {},
                    optional={
                        "id": anything,
                        "created_at": anything,
                        "model": anything,
                        "output": st.one_of(anything, st.lists(items, max_size=2)),
                        "usage": st.one_of(usages, anything),
                        "error": anything,
                        "incomplete_details": anything,
                        "status": anything,
                    },
                ),
            ),
        },
    ),
)


@settings(max_examples=300)
@given(st.lists(hostile_events, max_size=5))
@example(
    [{"type": "response.output_item.added", "output_index": {}, "item": {"type": "function_call"}}]
)
@example([{"type": "response.completed"}, {"type": "error"}])
def test_no_stream_breaks_the_decoder(events: list[Any]) -> None:
    reply = Reply(200, EVENTS, stream(events))
    outcome = outcome_or_error(
        lambda: ask({"messages": [{"role": "user", "content": "Hi"}]}, reply, streamed=True)
    )
    if isinstance(outcome, ProviderError):
        assert outcome.message
    else:
        assert outcome.finish_reason
        for frame in outcome.frames:
            assert isinstance(json.loads(frame.data)["choices"], list)


@settings(max_examples=200)
@given(
    st.one_of(
        anything,
        st.dictionaries(
            st.sampled_from(["status", "output", "usage", "id", "error"]),
            st.one_of(anything, st.lists(items)),
        ),
    )
)
def test_no_answer_breaks_the_translation(body: Any) -> None:
    outcome = outcome_or_error(
        lambda: whole(body | {"status": "completed"} if isinstance(body, dict) else body)
    )
    if isinstance(outcome, ProviderError):
        assert outcome.message
    else:
        assert outcome.message["role"] == "assistant"


@pytest.mark.parametrize("kind", ["text", "arguments"])
def test_decoding_is_cheap(kind: str) -> None:
    """Microseconds per piece: far below what a network or a model needs between two of them."""
    event: dict[str, Any] = {
        "output_index": 0,
        "item_id": "msg_1",
        "content_index": 0,
        "delta": " word",
        "logprobs": [],
        "obfuscation": "abcdefgh",
    }
    event["type"] = (
        "response.output_text.delta" if kind == "text" else "response.function_call_arguments.delta"
    )
    decoder = ResponseDecoder(OPENAI.errors)
    decoder.feed(
        stream(
            told(
                {
                    "id": "r",
                    "status": "completed",
                    "output": numbered([{"type": "function_call", "name": "f"}]),
                }
            )[:2]
        )
    )
    data = stream([event]) * 2000
    started = time.process_time()
    frames = decoder.feed(data)
    assert len(frames) == 2000
    assert (time.process_time() - started) / 2000 < 200e-6
