"""Responses of OpenAI and Azure, passed on byte for byte and read on the way."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.declaration import registry
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import (
    Access,
    Answer,
    Call,
    ModelFacts,
    Native,
    Operation,
    Reply,
    Request,
    Usage,
)
from providers.transport.steps import exchange_for
from providers.wire.native.sent_body import with_model
from providers.wire.openai.responses.native import NativeDecoder
from tests.providers import recordings

OPENAI, AZURE = registry.get("openai"), registry.get("azure_openai")
recorded = pytest.mark.skipif(not recordings.present(), reason=recordings.ABSENT)


def exchanged(data: bytes, reply: Reply, *, slug: str = "openai") -> tuple[Call, Any]:
    """The call that is made of a client's body, and what comes of the provider's reply."""
    provider = registry.get(slug)
    body = orjson.loads(data)
    native = Native("responses", data, {"openai-beta": "x=1"}, dict)
    request = Request(Operation.CHAT, "theirs", body, body.get("stream", False), native=native)
    access = Access(
        {"api_key": "sk-test"}, "https://acme.openai.azure.com" if slug[0] == "a" else ""
    )
    exchange = exchange_for(provider, request, access, ModelFacts())()
    call = next(exchange)
    with pytest.raises(StopIteration) as ended:
        exchange.send(reply)
    return call, ended.value.value


def test_only_the_models_name_and_the_key_change() -> None:
    data = b'{ "input" : "Hi \\u00e9",\n "model":"openai/ours", "new": {"model": "x"}, "n": 1.0 }'
    body = {"id": "r", "status": "completed", "output": [], "usage": None}
    call, answer = exchanged(data, Reply(200, {}, orjson.dumps(body)))
    assert call.url == "https://api.openai.com/v1/responses"
    assert call.body == data.replace(b'"openai/ours"', b'"theirs"')
    assert call.headers["Authorization"] == "Bearer sk-test"
    assert call.headers["openai-beta"] == "x=1"
    assert answer.content == orjson.dumps(body)


@pytest.mark.parametrize(
    "data",
    [
        b'{"input":"\\"model\\": \\"x\\""}',
        b'{"model":"a","model":"b","input":"Hi"}',
        b'{"mod\\u0065l":"a","input":"Hi"}',
        b'{"input":[{"model":"in"}],"model":null}',
    ],
)
def test_any_body_gets_the_providers_name_of_the_model(data: bytes) -> None:
    sent = orjson.loads(with_model(data, orjson.loads(data), "theirs"))
    assert sent == {**orjson.loads(data), "model": "theirs"}


@recorded
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_recorded_stream_stays_what_it_is(size: int) -> None:
    _meta, reply = recordings.load("azure_openai/responses_v1_stream")
    decoder = NativeDecoder(AZURE.errors)
    frames = [
        frame
        for start in range(0, len(reply.body), size)
        for frame in decoder.feed(reply.body[start : start + size])
    ]
    frames += decoder.finish()
    assert b"".join(frame.data for frame in frames) == reply.body
    assert [frame.content for frame in frames].count(True) == 1
    assert decoder.done
    assert decoder.finish_reason == "stop"
    assert decoder.usage == Usage(18, 120, 0, 64)
    assert decoder.output_characters == 1


@recorded
def test_a_recorded_answer_stays_what_it_is() -> None:
    meta, reply = recordings.load("azure_openai/responses_v1_tools_gpt56")
    data = orjson.dumps(meta["request"]["body"])
    call, answer = exchanged(data, reply, slug="azure_openai")
    assert call.url == "https://acme.openai.azure.com/openai/v1/responses"
    assert isinstance(answer, Answer)
    assert answer.content == reply.body
    assert answer.finish_reason == "tool_calls"
    assert answer.usage == Usage(57, 18, 0, 0)
    assert answer.output_characters == len('{"city":"Berlin"}azure_weather')


def fed(*events: dict[str, Any]) -> NativeDecoder:
    decoder = NativeDecoder(OPENAI.errors)
    for event in events:
        decoder.feed(b"data: " + orjson.dumps(event) + b"\n\n")
    decoder.finish()
    return decoder


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down", "param": None},
        {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Slow down"}},
        {
            "type": "response.failed",
            "response": {"error": {"code": "rate_limit_exceeded", "message": "Slow down"}},
        },
    ],
)
def test_errors_are_read_on_the_way(event: dict[str, Any]) -> None:
    with pytest.raises(ProviderError) as raised:
        fed({"type": "response.created", "response": {}}, event)
    assert raised.value.failure is Failure.RATE_LIMIT
    assert "Slow down" in raised.value.message


def test_characters_of_pieces_are_counted() -> None:
    named = {"item_id": "m", "output_index": 0}
    pieces = [
        {"type": "response.output_text.delta", **named, "delta": text, "obfuscation": '"x"'}
        for text in ("plain", "é€😀", 'quo"ted\\', "")
    ]
    end = {"type": "response.completed", "response": {"status": "completed"}}
    assert fed(*pieces, end).output_characters == len("plain") + 3 + len('quo"ted\\')


def test_a_stream_without_an_end_is_broken() -> None:
    with pytest.raises(ProviderError):
        fed({"type": "response.output_text.delta", "delta": "Hi"})


def test_calls_and_a_limit_are_finish_reasons() -> None:
    call = {"type": "response.output_item.added", "item": {"type": "function_call", "name": "f"}}
    end = {"type": "response.completed", "response": {"status": "completed"}}
    assert fed(call, end).finish_reason == "tool_calls"
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert fed({"type": "response.incomplete", "response": cut}).finish_reason == "length"


def test_a_server_that_does_not_stream_is_read_as_a_stream() -> None:
    message = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}
    body = {"id": "r", "status": "completed", "output": [message], "usage": None}
    decoder = NativeDecoder(OPENAI.errors)
    decoder.feed(orjson.dumps(body))
    kinds = [orjson.loads(frame.data.partition(b"data: ")[2])["type"] for frame in decoder.finish()]
    assert kinds == [
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
    ]
    assert decoder.output_characters == 5
