"""Anthropic's messages: what becomes of requests, and any answer as its SDK reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx2
import orjson
import pytest
from hypothesis import given, settings

from gateway.dataplane.doors.anthropic.requests import neutral_body
from gateway.dataplane.doors.fitting import fitted
from gateway.dataplane.doors.messages import DOOR
from gateway.dataplane.errors import Refusal
from gateway.dataplane.refusals import NoCredits, refuse_stored
from providers.declaration import registry
from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Answer, Frame, ModelFacts, Operation, Reply
from providers.wire.anthropic.blocks import tool_use
from providers.wire.anthropic.messages import whole_answer
from providers.wire.anthropic.signatures import OWN_SIGNATURE
from tests import sdks
from tests.gateway.dataplane.doors.made import Made, answers, frames, whole
from tests.gateway.dataplane.test_relay import call_of

ASKED = call_of().request.asked()
USER = {"role": "user", "content": "Hi"}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
CITED = {"enabled": True}
FILED = {"type": "image", "source": {"type": "file", "file_id": "f"}}
STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def neutral(**body: Any) -> dict[str, Any]:
    return neutral_body({"model": "m", "max_tokens": 9, "messages": [USER]} | body)


def turns(*messages: Any) -> Any:
    return neutral(messages=messages)["messages"]


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}


# -- requests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, {"max_tokens": 9}),
        ({"stop_sequences": ["a"], "temperature": 0.5}, {"stop": ["a"], "temperature": 0.5}),
        ({"thinking": {"type": "enabled", "budget_tokens": 31_999}}, {"reasoning_effort": "high"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
        ({"thinking": {"type": "adaptive"}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}),
        ({"output_config": {"effort": "max"}}, {"reasoning_effort": "high"}),
        ({"metadata": {"user_id": "u1"}}, {"user": "u1"}),
        ({"service_tier": "auto", "context_management": {"edits": []}, "later": 1}, {}),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}},
                }
            },
        ),
    ],
)
def test_fields_become_neutral_ones(sent: dict[str, Any], expected: dict[str, Any]) -> None:
    found = neutral(**sent)
    assert found == {"messages": [USER], "max_tokens": 9} | expected


def test_a_long_user_id_is_told_apart_by_its_hash() -> None:
    users = {neutral(metadata={"user_id": letter * 300})["user"] for letter in "ab"}
    assert [len(name) for name in users] == [64, 64]


def test_the_system_prompt_is_one_text() -> None:
    blocks = [text("x-anthropic-billing-header: cch=1;"), text("Be brief."), text("Be kind.")]
    assert neutral(system=blocks)["messages"][0] == {
        "role": "system",
        "content": "Be brief.\n\nBe kind.",
    }
    assert neutral(system="")["messages"] == [USER]


def test_tools_become_functions() -> None:
    tool = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
    choice = {"type": "tool", "name": "f", "disable_parallel_tool_use": True}
    found = neutral(tools=[{**tool, "cache_control": {}}], tool_choice=choice)
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    assert found["tools"] == [{"type": "function", "function": function}]
    assert found["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert found["parallel_tool_calls"] is False
    assert neutral(tools=[tool], tool_choice={"type": "any"})["tool_choice"] == "required"


def test_results_of_tools_come_before_the_users_words() -> None:
    picture = {"type": "image", "source": PNG}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [text("boom"), picture]}
    found = turns(
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": OWN_SIGNATURE},
                {"type": "thinking", "thinking": "signed", "signature": "c2ln"},
                text("Wait."),
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            ],
        },
        user(text("Go on"), {**result, "is_error": True}),
    )
    called = {"name": "f", "arguments": '{"a":1}'}
    assert found[0] == {
        "role": "assistant",
        "content": "Wait.",
        "reasoning_content": "hm",
        "provider_blocks": [{"type": "thinking", "thinking": "signed", "signature": "c2ln"}],
        "tool_calls": [{"id": "t1", "type": "function", "function": called}],
    }
    assert found[1] == {"role": "tool", "tool_call_id": "t1", "content": "Error: boom"}
    parts = found[2]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text"]
    assert parts[1]["image_url"] == {"url": "data:image/png;base64,iVBORw0KGgo="}


def test_documents_become_texts_and_files() -> None:
    plain = {"type": "text", "media_type": "text/plain", "data": "words"}
    found = turns(
        user({"type": "document", "source": plain, "title": "Notes"}),
        user({"type": "document", "source": PDF, "title": "a.pdf"}),
        user({"type": "document", "source": {"type": "content", "content": "inner"}}),
        user({"type": "search_result", "title": "T", "source": "S", "content": [text("found")]}),
    )
    assert found[0]["content"] == "Notes\n\nwords"
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
    assert found[1]["content"] == [{"type": "file", "file": file}]
    assert [found[2]["content"], found[3]["content"]] == ["inner", "T\n\nS\n\nfound"]


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0]"),
        ({"mcp_servers": [{"url": "https://x"}]}, "mcp_servers"),
        ({"thinking": "yes"}, "thinking"),
        ({"tool_choice": {"type": "odd"}, "tools": [{"name": "f"}]}, "tool_choice"),
        ({"system": [{"type": "image", "source": PNG}]}, "system[0]"),
        (
            {"messages": [user(FILED)]},
            "messages[0].content[0].source",
        ),
        (
            {"messages": [USER, user(text("a"), {"type": "container_upload", "file_id": "f"})]},
            "messages[1].content[1]",
        ),
        (
            {
                "messages": [
                    user({"type": "document", "source": PDF, "citations": {"enabled": True}})
                ]
            },
            "messages[0].content[0].citations",
        ),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ],
)
def test_what_cannot_be_said_is_named(sent: dict[str, Any], param: str) -> None:
    with pytest.raises(CannotExpress) as refused:
        neutral(**sent)
    assert refused.value.param == param
    for tool in sent.get("tools", [])[:1]:
        assert str(tool.get("type", "")) in refused.value.message


@pytest.mark.parametrize("body", [[], {"messages": []}, {"messages": [USER], "api_key": "k"}])
def test_what_no_provider_understands_is_refused(body: Any) -> None:
    with pytest.raises(Refusal) as refused:
        DOOR.read(Operation.CHAT, body)
    assert refused.value.status == 400


def test_a_request_asks_for_no_more_than_the_model_can_do() -> None:
    body = neutral(max_tokens=64_000, thinking={"type": "disabled"})
    facts = ModelFacts(max_output=8192)
    assert fitted(body, facts) == {"messages": [USER], "max_tokens": 8192}
    facts = ModelFacts(features=frozenset({"reasoning", "thinking"}))
    assert fitted(body, facts) is body


def test_an_effort_is_asked_of_models_that_reason_or_are_unknown() -> None:
    body = {"messages": [USER], "reasoning_effort": "high"}
    for features in (frozenset[str](), frozenset({"reasoning"})):
        assert fitted(body, ModelFacts(features=features)) is body
    assert fitted(body, ModelFacts(features=frozenset({"tools"}))) == {"messages": [USER]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [user(FILED)]}, "messages"),
        (
            {
                "messages": [
                    user({"type": "tool_result", "content": [{"source": {"file_id": "f"}}]})
                ]
            },
            "messages",
        ),
        ({"container": "c1"}, "container"),
        ({"thread": {"type": "continue"}}, "thread"),
        ({"input": [user({"type": "input_file", "file_id": "f"})]}, "input"),
    ],
)
def test_a_trial_uses_nothing_that_is_stored(body: dict[str, Any], param: str) -> None:
    """The operator's account at the provider is everybody's."""
    with pytest.raises(NoCredits) as refused:
        refuse_stored(body, "messages")
    assert refused.value.refusal.param == param
    refuse_stored(
        {"messages": [USER, user(text("file_id"))], "thread": {"type": "create"}}, "messages"
    )


def test_long_numbers_keep_their_digits() -> None:
    """At the door, and in the format of providers, which is the same one."""
    values = {"n": 2**80, "m": [-(2**64)], "f": 1.5}
    block = {"type": "tool_use", "id": "t1", "name": "f", "input": values}
    [asked] = turns({"role": "assistant", "content": [block]})
    assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == values
    assert tool_use(asked["tool_calls"][0]) == block
    message = {"type": "message", "content": [block], "stop_reason": "tool_use"}
    reply = Reply(200, {}, json.dumps(message).encode())
    answer = whole_answer(reply, registry.get("anthropic"))
    assert json.loads(DOOR.write(answer, {}, ASKED))["content"] == [block]


# -- answers ---------------------------------------------------------------------------------------


def sdk(body: bytes, kind: str) -> sdks.anthropic.Anthropic:
    """Anthropic's SDK, which gets this answer."""
    reply = httpx2.MockTransport(
        lambda _request: httpx2.Response(200, content=body, headers={"content-type": kind})
    )
    client = httpx2.Client(transport=reply)
    return sdks.anthropic.Anthropic(api_key="k", http_client=client, max_retries=0)


def check(message: sdks.anthropic.types.Message, made: Made) -> None:
    """Compare what the SDK read with the neutral answer it came from."""
    told: dict[str, list[Any]] = {"thinking": [], "text": [], "tool_use": []}
    for block in message.content:
        if block.type == "tool_use":
            told["tool_use"].append((block.id, block.name, block.input))
        elif block.type == "thinking":
            assert block.signature == OWN_SIGNATURE
            told["thinking"].append(block.thinking)
        elif block.type == "text":
            told["text"].append(block.text)
    assert "".join(told["thinking"]) == made["thought"]
    assert "".join(told["text"]) == made["text"] + made["refusal"]
    assert told["tool_use"] == [
        (f"call_{number}", name, values) for number, (name, values) in enumerate(made["calls"])
    ]
    usage = message.usage
    fresh, cached, *output = made["counts"]
    assert (usage.input_tokens, usage.cache_read_input_tokens) == (fresh, cached)
    assert usage.output_tokens == sum(output)
    assert message.stop_reason == STOPS[made["finish"]]


def streamed(events: bytes) -> sdks.anthropic.types.Message:
    client = sdk(events, "text/event-stream")
    with client.messages.stream(model="m", max_tokens=9, messages=[]) as stream:
        return stream.get_final_message()


def in_order(events: Sequence[dict[str, Any]]) -> None:
    """Check that blocks begin and end one after the other."""
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    opened: int | None = None
    count = 0
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert (opened, event["index"]) == (None, count)
            opened, count = event["index"], count + 1
        else:
            assert event["index"] == opened
            opened = None if event["type"] == "content_block_stop" else opened
    assert opened is None


@given(answers)
@settings(max_examples=25, deadline=None)
@pytest.mark.slow
def test_the_sdk_reads_any_answer(made: Made) -> None:
    body = DOOR.write(Answer(whole(made)), {}, ASKED)
    read = sdk(body, "application/json").messages.create(model="m", max_tokens=9, messages=[])
    check(read, made)
    writer = DOOR.writer(Operation.CHAT, ASKED, native=False)
    events = b"".join(writer.write([frame]) for frame in frames(made)) + writer.end({})
    in_order([json.loads(line[6:]) for line in events.splitlines() if line.startswith(b"data: ")])
    check(streamed(events), made)


def test_an_answer_without_usage_shows_the_estimate() -> None:
    writer = DOOR.writer(Operation.CHAT, ASKED, native=False)
    message = streamed(writer.end({"prompt_tokens": 4, "completion_tokens": 2}))
    assert (message.usage.input_tokens, message.usage.output_tokens) == (4, 2)
    assert message.content == []


def test_a_thought_keeps_the_signature_of_its_provider() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    deltas = [{"reasoning_content": "hm"}, {"provider_blocks": [block]}, {"content": "Hi"}]
    writer = DOOR.writer(Operation.CHAT, ASKED, native=False)
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events = writer.write([Frame(orjson.dumps(chunk)) for chunk in chunks]) + writer.end({})
    thought = streamed(events).content[0]
    assert thought.model_dump(exclude_none=True) == block


def test_errors_have_anthropics_shape() -> None:
    refused = Refusal("provider_overloaded", "Busy.")
    assert json.loads(DOOR.error(refused, "r1")) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Busy."},
        "request_id": "r1",
    }
    kinds = [
        json.loads(DOOR.error(Refusal(code, ""), ""))["error"]["type"]
        for code in ("unknown_key", "trial_exhausted", "model_not_found", "internal_error")
    ]
    assert kinds == ["authentication_error", "billing_error", "not_found_error", "api_error"]
    too_long = DOOR.error(Refusal("context_length_exceeded", "9 tokens > 8"), "")
    assert b"prompt is too long: 9 tokens > 8" in too_long
