"""Whatever answer a provider gives, OpenAI's SDK reads it from the Responses door, strictly."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseReasoningItem

from gateway.dataplane.doors.responses import DOOR
from gateway.dataplane.errors import Refusal
from providers.declaration.spec import Answer, Frame, Operation
from providers.wire.chat_answers import frames_of
from tests.gateway.dataplane.doors.responses.reader import (
    asked,
    chunk,
    events,
    neutral,
    streamed,
    whole,
)

TEXTS = st.text(max_size=20)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["look", "sum"]), "arguments": st.sampled_from(["{}", '{"a": 1}'])}
    ),
    max_size=3,
)
MESSAGES = st.fixed_dictionaries(
    {
        "content": TEXTS | st.none(),
        "reasoning_content": TEXTS,
        "refusal": st.none() | st.text(min_size=1, max_size=9),
        "tool_calls": CALLS,
        "provider_blocks": st.lists(st.just({"type": "thinking", "signature": "s"}), max_size=2),
    }
)
FINISHES = {"stop": None, "tool_calls": None, "length": "max_output_tokens"}
FINISHES["content_filter"] = "content_filter"
REQUESTS = st.sampled_from([{}, {"store": False}, {"reasoning": {"summary": "auto"}}])


def neutral_answer(message: dict[str, Any], finish: str) -> dict[str, Any]:
    calls = [
        {"id": f"call_{number}", "type": "function", "function": function}
        for number, function in enumerate(message["tool_calls"])
    ]
    said = {name: value for name, value in message.items() if value}
    said = {"role": "assistant", "content": None, **said} | ({"tool_calls": calls} if calls else {})
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    choice = {"index": 0, "message": said, "finish_reason": finish}
    return {"id": "c1", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def check(response: Response, message: dict[str, Any], finish: str) -> None:
    assert response.output_text == (message["content"] or "")
    calls = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    assert [{"name": call.name, "arguments": call.arguments} for call in calls] == (
        message["tool_calls"]
    )
    thoughts = [
        part.text
        for item in response.output
        if isinstance(item, ResponseReasoningItem)
        for part in [*item.summary, *(item.content or ())]
    ]
    assert "".join(thoughts) == message["reasoning_content"]
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 5)
    reason = response.incomplete_details.reason if response.incomplete_details else None
    assert reason == FINISHES[finish]
    assert response.status == ("incomplete" if reason else "completed")


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MESSAGES, st.sampled_from(sorted(FINISHES)), REQUESTS)
def test_any_answer_is_read_as_it_was(
    message: dict[str, Any], finish: str, body: dict[str, Any]
) -> None:
    answer, request = neutral_answer(message, finish), asked(**body)
    check(whole(DOOR.write(Answer(answer), {}, request)), message, finish)
    writer = DOOR.writer(Operation.CHAT, request, native=False)
    content = b"".join(writer.write([frame]) for frame in frames_of(answer)) + writer.end({})
    check(streamed(content), message, finish)
    assert [event.sequence_number for event in events(content)] == list(
        range(content.count(b"\n\n"))
    )


PIECES = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Let me "}),
    chunk({"reasoning_content": "see."}),
    chunk({"provider_blocks": [{"type": "thinking", "signature": "s"}]}),
    chunk({"content": "Two "}),
    chunk({"content": "calls."}),
    chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x": 1}'}}]}),
    chunk({"tool_calls": [{"index": 1, "function": {"arguments": "}"}}]}),
    chunk({}, "tool_calls"),
]


def stream(**body: Any) -> bytes:
    writer = DOOR.writer(Operation.CHAT, asked(**body), native=False)
    return writer.write(PIECES) + writer.end({"prompt_tokens": 3, "completion_tokens": 4})


def test_a_stream_opens_fills_and_closes_its_items() -> None:
    kinds = [
        event.type.removeprefix("response.")
        for event in events(stream(store=False, reasoning={"summary": "auto"}))
    ]
    opened, closed = "output_item.added", "output_item.done"
    assert kinds == [
        "created",
        "in_progress",
        opened,
        "reasoning_summary_part.added",
        *["reasoning_summary_text.delta"] * 2,
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        closed,
        opened,
        "content_part.added",
        *["output_text.delta"] * 2,
        "output_text.done",
        "content_part.done",
        closed,
        opened,
        opened,
        *["function_call_arguments.delta"] * 3,
        *["function_call_arguments.done", closed] * 2,
        "completed",
    ]


def test_pieces_of_calls_may_alternate() -> None:
    response = streamed(stream())
    calls = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    assert [(call.call_id, call.name, call.arguments) for call in calls] == [
        ("a", "f", '{"x": 1}'),
        ("b", "g", "{}"),
    ]


def test_usage_that_nobody_reported_is_what_the_record_says() -> None:
    usage = streamed(stream()).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 4, 7)


def test_reasoning_is_shown_as_it_is_unless_a_summary_was_asked_for() -> None:
    item = streamed(stream()).output[0]
    assert isinstance(item, ResponseReasoningItem)
    assert item.summary == []
    assert [part.text for part in item.content or ()] == ["Let me see."]


def test_refusals_and_citations_are_streamed() -> None:
    note = {"url": "https://a.test", "title": "A", "start_index": 0, "end_index": 2}
    noted = chunk({"annotations": [{"type": "url_citation", "url_citation": note}]})
    writer = DOOR.writer(Operation.CHAT, asked(), native=False)
    frames = [chunk({"content": "As A"}), noted, chunk({"refusal": "No."}), chunk({}, "stop")]
    seen = events(writer.write(frames) + writer.end({}))
    assert {"response.refusal.delta", "response.output_text.annotation.added"} <= {
        event.type for event in seen
    }
    message = seen[-1].response.output[0]
    assert message.content[0].annotations[0].url == "https://a.test"
    assert message.content[1].refusal == "No."


def test_log_probabilities_are_kept() -> None:
    entry = {"token": "A", "logprob": -0.5, "bytes": [65], "top_logprobs": []}
    frame = orjson.loads(chunk({"content": "A"}).data)
    frame["choices"][0]["logprobs"] = {"content": [entry]}
    writer = DOOR.writer(Operation.CHAT, asked(), native=False)
    seen = events(writer.write([Frame(orjson.dumps(frame)), chunk({}, "stop")]) + writer.end({}))
    assert seen[-1].response.output[0].content[0].logprobs[0].logprob == -0.5


def test_a_stream_that_fails_raises_and_ends_as_failed() -> None:
    writer = DOOR.writer(Operation.CHAT, asked(), native=False)
    content = writer.write(PIECES[:2]) + writer.fail(Refusal("provider_overloaded", "Busy."), "r1")
    with pytest.raises(openai.APIError, match="Busy"):
        events(content)
    failed = orjson.loads(content.strip().rpartition(b"data: ")[2])
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"] == {"code": "server_is_overloaded", "message": "Busy."}
    assert failed["sequence_number"] == content.count(b"\n\n") - 1


def test_a_stream_of_comments_that_fails_ends_alike() -> None:
    content = DOOR.error_event(Refusal("provider_timeout", "Too late."), "r1")
    assert content.startswith(b"event: error\n")
    assert b'"resp_r1"' in content


def test_an_answer_goes_back_as_it_came() -> None:
    """Items, or only their ids: what the provider must see again survives in both."""
    said = {
        "role": "assistant",
        "reasoning_content": "Let me see.",
        "provider_blocks": [{"type": "thinking", "signature": "s"}],
        "content": "Two calls.",
    }
    calls = [("a", "f", '{"x": 1}'), ("b", "g", "{}")]
    said["tool_calls"] = [
        {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
        for identity, name, arguments in calls
    ]
    answer = {"model": "m", "choices": [{"message": said, "finish_reason": "tool_calls"}]}
    results = [
        {"type": "function_call_output", "call_id": identity, "output": "1"}
        for identity, *_rest in calls
    ]
    for content in (stream(), DOOR.write(Answer(answer), {}, asked())):
        last = orjson.loads(content.strip().rpartition(b"data: ")[2])
        items = last.get("response", last)["output"]
        references = [{"type": "item_reference", "id": item["id"]} for item in items]
        for replayed in (items, references):
            messages = neutral(input=["hi", *replayed, *results][1:])["messages"]
            assert messages[0] == said
            assert [message["role"] for message in messages[1:]] == ["tool", "tool"]
