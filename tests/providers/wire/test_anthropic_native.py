"""Requests and answers that go through in Anthropic's own format, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from providers.declaration.errors import Failure, ProviderError
from providers.declaration.registry import get
from providers.declaration.spec import Access, ModelFacts, Native, Operation, Reply, Request
from providers.wire.anthropic.messages import MAX_TOKENS
from providers.wire.anthropic.native import sent_body
from providers.wire.anthropic.signatures import OWN_SIGNATURE
from tests.fakes.framing import at_once, each_byte
from tests.providers import recordings
from tests.providers.driving import Outcome, run

HEADERS = {"anthropic-version": "2026-10-21", "anthropic-beta": "a-1,b-2"}
DATA = b'{ "model": "anthropic/m","messages":[],"max_tokens":9,"later":1.0}'
MESSAGE = {"type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn"}


def ask(
    reply: Reply,
    *,
    stream: bool,
    cut: Callable[..., Sequence[bytes]] = at_once,
    data: bytes = DATA,
) -> Outcome:
    native = Native("messages", data, HEADERS, dict)
    body = orjson.loads(data)
    request = Request(Operation.CHAT, "claude-x", body, stream, native=native)
    access = Access({"api_key": "sk-ant-1"})
    return run(get("anthropic"), request, access, ModelFacts(), [reply], cut=cut)


def recorded(kind: str) -> list[Any]:
    if not recordings.present():
        return [pytest.param("", marks=pytest.mark.skip(recordings.ABSENT))]
    names = [name for slug, name in recordings.names() if slug == "anthropic"]
    return [name for name in names if re.search(kind, name)]


@pytest.mark.parametrize("name", recorded("/(message|tool)"))
def test_whole_answers_stay_as_they_are(name: str) -> None:
    _meta, reply = recordings.load(name)
    outcome = ask(reply, stream=False)
    assert outcome.answer is not None
    assert outcome.answer.content == reply.body
    assert outcome.usage is not None
    assert (outcome.usage.completion_tokens or 0) > 0


@pytest.mark.parametrize("cut", [at_once, each_byte])
@pytest.mark.parametrize("name", recorded("/stream"))
def test_streams_stay_as_they_are(name: str, cut: Callable[..., Sequence[bytes]]) -> None:
    _meta, reply = recordings.load(name)
    outcome = ask(reply, stream=True, cut=cut)
    assert b"".join(frame.data for frame in outcome.frames) == reply.body
    assert all(frame.data.endswith(b"\n\n") for frame in outcome.frames)
    assert outcome.usage is not None
    assert (outcome.usage.completion_tokens or 0) > 0
    assert outcome.finish_reason in ("stop", "tool_calls")
    assert outcome.output_characters > 0


def test_the_request_keeps_everything_but_the_model() -> None:
    call = ask(Reply(200, {}, orjson.dumps(MESSAGE)), stream=False).calls[0]
    assert call.body == DATA.replace(b"anthropic/m", b"claude-x")
    sent = {name.lower(): value for name, value in call.headers.items()}
    assert sent["x-api-key"] == "sk-ant-1"
    assert {name: sent[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("given", [b"", b',"max_tokens":null'])
def test_a_limit_that_is_left_out_is_the_models_own(given: bytes) -> None:
    data = DATA.replace(b',"max_tokens":9', given) + b"\n"
    call = ask(Reply(200, {}, orjson.dumps(MESSAGE)), stream=False, data=data).calls[0]
    body = orjson.loads(call.body or b"")
    assert body == {**orjson.loads(DATA), "model": "claude-x", "max_tokens": MAX_TOKENS}


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":{"model":"x"},"model":"x","b":[{"model":"x"}]}',
        b'{"a":"\\"model\\":\\"x\\"","model":"x"}',
        b'{"mod\\u0065l":"x","a":{"model":"x"}}',
        b'{"a":"{\\"","model":"x"}',
        b'{"a":1}',
        b' { "model" : "x" , "a":{"model":"x"}}',
    ],
)
def test_only_the_outermost_model_is_replaced(data: bytes) -> None:
    body = orjson.loads(data)
    assert orjson.loads(sent_body(data, body, "y")) == {**body, "model": "y"}


def test_thoughts_that_nobody_signed_are_taken_out() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": OWN_SIGNATURE}
    words = {"type": "text", "text": "Hi"}
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [thought, words]},
        {"role": "assistant", "content": [thought]},
    ]
    body = {"model": "x", "messages": messages}
    sent = orjson.loads(sent_body(orjson.dumps(body), body, "y"))
    assert sent["messages"] == [messages[0], {"role": "assistant", "content": [words]}]


def test_a_message_that_comes_whole_is_streamed() -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
    ]
    usage = {"input_tokens": 3, "output_tokens": 2}
    message = {"type": "message", "content": content, "stop_reason": "tool_use", "usage": usage}
    outcome = ask(Reply(200, {}, orjson.dumps(message)), stream=True)
    kinds = re.findall(rb"^event: (\w+)$", b"".join(f.data for f in outcome.frames), re.M)
    assert (kinds[0], kinds[-1], kinds.count(b"content_block_start")) == (
        b"message_start",
        b"message_stop",
        3,
    )
    assert outcome.finish_reason == "tool_calls"
    assert outcome.usage is not None
    assert outcome.usage.completion_tokens == 2


def test_an_error_in_the_stream_is_raised_after_what_came_before_it() -> None:
    start = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'
    for body in (start + error, start):
        with pytest.raises(ProviderError) as failed:
            ask(Reply(200, {}, body), stream=True)
        expected = Failure.OVERLOADED if error in body else Failure.ERROR
        assert failed.value.failure is expected
