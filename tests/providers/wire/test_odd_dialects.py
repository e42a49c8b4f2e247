"""Formats of their own, as odd as servers and proxies were seen to write them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.declaration.errors import ProviderError
from tests.providers.case import Case
from tests.providers.driving import Outcome
from tests.providers.wire.test_contract import play
from tests.providers.wire.test_strict_models import check

pytestmark = pytest.mark.one_database
BODY = {"messages": [{"role": "user", "content": "Hi"}]}
TOKEN = {"json": {"access_token": "24.0123456789abcdef", "expires_in": 2592000}}
SERVER = {"base_url": "https://models.example.com/v1"}
FIRST_WENXIN = {
    "access": {"values": {"api_key": "AppKey0123456789", "secret_key": "Secret0123456789"}},
    "facts": {"values": {"endpoint": "completions"}},
}
DIALECTS: dict[str, dict[str, Any]] = {
    "anthropic": {"model": "claude-sonnet-4-5"},
    "azure_openai": {"access": {"base_url": "https://example.openai.azure.com"}},
    "chatglm": {"model": "glm-4.6", "access": SERVER},
    "huggingface_hub": {},
    "minimax": {"model": "MiniMax-M2.5"},
    "openai": {"model": "gpt-4o"},
    "openai_compatible": {"access": SERVER},
    "spark": {"access": {"values": {"api_key": "APIPassword:0123456789"}}},
    "tongyi": {"model": "qwen-plus"},
    "wenxin": {},
    "wenxin, first API": FIRST_WENXIN,
}


def played(dialect: str, reply: dict[str, Any], *, stream: bool) -> Outcome:
    slug, _comma, is_first = dialect.partition(",")
    replies = [TOKEN, reply] if is_first else [reply]
    told = {"body": BODY, "stream": stream, "replies": replies, "expect": {}}
    return play(Case(slug, told | DIALECTS[dialect]))


def event(body: dict[str, Any]) -> str:
    return f"event: {body['type']}\ndata: {orjson.dumps(body).decode()}\n\n"


START = {"type": "message_start", "message": {"id": 7, "model": None, "usage": None}}
STOP = [{"type": "message_delta", "delta": {"stop_reason": "x"}, "usage": None}]
STOP.append({"type": "message_stop"})


def text(value: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "delta": {"type": "text_delta", "text": value}}


def tool(**fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "content_block": {"type": "tool_use", **fields}}


def arguments(value: Any) -> dict[str, Any]:
    delta = {"type": "input_json_delta", "partial_json": value}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


@pytest.mark.parametrize(
    "events",
    [
        [text("Hi")],
        [{"type": "message_start", "message": None}, text("Hi")],
        [START, text(None), text([{"type": "text", "text": "H"}]), text("i")],
        [START, {"type": "content_block_delta", "delta": None}, text("Hi")],
    ],
)
def test_texts_of_anthropic(events: list[dict[str, Any]]) -> None:
    outcome = played("anthropic", {"events": [*map(event, [*events, *STOP])]}, stream=True)
    check(outcome)
    assert outcome.message["content"] == "Hi"


@pytest.mark.parametrize(
    ("events", "calls"),
    [
        ([tool(index=0, name="f"), arguments('{"a":1}')], [("f", '{"a":1}')]),
        ([tool(id="a", name="f", input=None)], [("f", "{}")]),
        ([{**tool(id="a", name="f"), "index": 0}, arguments({"a": 1})], [("f", '{"a":1}')]),
        ([{**tool(id="a", name="f"), "index": 0}, arguments("null")], [("f", "{}")]),
        (
            [
                {**tool(id="a", name="f", input={"a": 1}), "index": 0},
                {"type": "content_block_stop", "index": 0},
                {**tool(id="a", name="g"), "index": 1},
            ],
            [("f", '{"a":1}'), ("g", "{}")],
        ),
    ],
)
def test_calls_of_anthropic(events: list[dict[str, Any]], calls: list[tuple[str, str]]) -> None:
    named = [{**each, "index": each.get("index", 0)} for each in events]
    outcome = played("anthropic", {"events": [*map(event, [START, *named, *STOP])]}, stream=True)
    check(outcome)
    assert calls_of(outcome) == calls


def calls_of(outcome: Outcome) -> list[tuple[str, str]]:
    functions = [call["function"] for call in outcome.message.get("tool_calls") or ()]
    return [(function["name"], function["arguments"]) for function in functions]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "message",
    [
        {"content": "Hi"},
        {"content": [{"type": "text", "text": None}, {"type": "text", "text": "Hi"}]},
        {"content": [{"type": "text", "text": "Hi"}], "id": None, "model": None, "error": {}},
    ],
)
def test_whole_answers_of_anthropic(message: dict[str, Any], stream: bool) -> None:
    outcome = played("anthropic", {"json": {"stop_reason": "end_turn", **message}}, stream=stream)
    check(outcome)
    assert outcome.message["content"] == "Hi"


@pytest.mark.parametrize(
    "said", ["Overloaded", '{"message": "Overloaded"}', '{"error": {"message": "Overloaded"}}']
)
def test_error_events_of_anthropic_keep_their_words(said: str) -> None:
    events = [*map(event, [START, text("Hi")]), f"event: error\ndata: {said}\n\n"]
    with pytest.raises(ProviderError) as caught:
        played("anthropic", {"events": events}, stream=True)
    assert caught.value.message == "Overloaded"


def call(**fields: Any) -> dict[str, Any]:
    return {"delta": {"tool_calls": [{"index": 0, **fields}]}}


@pytest.mark.parametrize(
    ("choices", "content", "calls"),
    [
        ([{"delta": {"content": [{"type": "text", "text": "Hi"}]}}], "Hi", []),
        ([{"index": None, "delta": {"content": "Hi"}, "finish_reason": "max_tokens"}], "Hi", []),
        ([{"message": {"content": "Hi"}}], "Hi", []),
        ([{"delta": None}, {"delta": {"content": "Hi"}, "usage": {"total_tokens": 5}}], "Hi", []),
        ([call(function={"name": "f", "arguments": "null"})], None, [("f", "{}")]),
        ([call(function={"name": "f"})], None, [("f", "{}")]),
        (
            [
                call(id="a", function={"name": "f", "arguments": "{}"}),
                call(id="b", function={"name": "g", "arguments": {"a": 1}}),
            ],
            None,
            [("f", "{}"), ("g", '{"a":1}')],
        ),
    ],
)
def test_streams_of_spark(
    choices: list[dict[str, Any]], content: str | None, calls: list[tuple[str, str]]
) -> None:
    chunks = [{"code": 0, "message": "Success", "sid": "s", "choices": [each]} for each in choices]
    outcome = played("spark", {"events": [*chunks, "data: [DONE]\n\n"]}, stream=True)
    check(outcome)
    assert (outcome.message["content"], calls_of(outcome)) == (content, calls)


ERRORS: list[Any] = [
    {"error": {"message": "Sorry", "type": "x"}},
    {"error": "Sorry"},
    {"error": [{"message": "Sorry"}]},
    {"message": "Sorry", "code": 500},
    {"msg": "Sorry", "code": "E1"},
    {"detail": "Sorry"},
    {"detail": {"message": "Sorry"}},
    {"errors": [{"message": "Sorry"}]},
    [{"error": {"message": "Sorry", "code": 400}}],
]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_errors_keep_their_words(dialect: str) -> None:
    for error in ERRORS:
        for status, stream in ((400, True), (500, False), (200, True), (200, False)):
            with pytest.raises(ProviderError) as caught:
                played(dialect, {"status": status, "json": error}, stream=stream)
            assert caught.value.message == "Sorry", (error, status, stream)
