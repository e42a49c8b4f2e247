"""Whatever answer a provider gives, OpenAI's SDK reads it from the Responses door, strictly."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.responses import (
    Response,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseReasoningItem,
)

from gateway.dataplane.doors.responses import DOOR
from gateway.dataplane.errors import Refusal
from providers.declaration.spec import Answer, Frame, Operation
from providers.wire.chat_answers import frames_of
from tests.gateway.dataplane.doors.made import Made, answers, frames, written
from tests.gateway.dataplane.doors.made import whole as made_whole
from tests.gateway.dataplane.doors.responses.reader import (
    asked,
    chunk,
    events,
    neutral,
    streamed,
    whole,
)

REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
REQUESTS = st.sampled_from([{}, {"store": False}, {"reasoning": {"summary": "auto"}}])


def check(response: Response, made: Made) -> None:
    """Compare what the SDK read with the neutral answer it came from."""
    messages = [item for item in response.output if isinstance(item, ResponseOutputMessage)]
    parts = [part for item in messages for part in item.content]
    assert response.output_text == made["text"]
    refusals = [part.refusal for part in parts if isinstance(part, ResponseOutputRefusal)]
    assert "".join(refusals) == made["refusal"]
    calls = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    assert [(call.call_id, call.name, call.arguments) for call in calls] == written(made)
    reasoning = [item for item in response.output if isinstance(item, ResponseReasoningItem)]
    thoughts = [part.text for item in reasoning for part in [*item.summary, *(item.content or ())]]
    assert "".join(thoughts) == made["thought"]
    check_usage(response, made)
    reason = response.incomplete_details.reason if response.incomplete_details else None
    assert reason == REASONS.get(made["finish"])
    assert response.status == ("incomplete" if reason else "completed")


def check_usage(response: Response, made: Made) -> None:
    usage, (fresh, cached, thought, said) = response.usage, made["counts"]
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (fresh + cached, thought + said)
    assert usage.input_tokens_details.cached_tokens == cached
    assert usage.output_tokens_details.reasoning_tokens == thought


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(answers, REQUESTS)
def test_any_answer_is_read_as_it_was(made: Made, body: dict[str, Any]) -> None:
    request = asked(**body)
    check(whole(DOOR.write(Answer(made_whole(made)), {}, request)), made)
    for pieces in (frames_of(made_whole(made)), frames(made)):
        writer = DOOR.writer(Operation.CHAT, request, native=False)
        content = b"".join(writer.write([frame]) for frame in pieces) + writer.end({})
        check(streamed(content), made)
        numbers = [event.sequence_number for event in events(content)]
        assert numbers == list(range(content.count(b"\n\n")))


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
