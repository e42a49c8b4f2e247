"""A stream that is read whole becomes the answer that it is the pieces of."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from providers.declaration.errors import ProviderError
from providers.declaration.spec import Reply
from providers.wire.openai.errors import openai_errors
from providers.wire.stream_accumulation import collected_answer

pytestmark = pytest.mark.one_database


def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, **more}
    return b"data: " + json.dumps({"id": "x", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def collected(*chunks: bytes) -> dict[str, Any]:
    return collected_answer(Reply(200, {}, b"".join(chunks)), openai_errors()).body or {}


def test_texts_lists_and_calls_are_joined() -> None:
    def call(**function: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "id": "a", "function": function}]}

    body = collected(
        chunk({"role": "assistant", "reasoning_content": "Hm"}),
        chunk({"reasoning_content": "."}),
        chunk({"content": "Hel"}, logprobs={"content": [{"token": "Hel"}]}),
        chunk({"content": "lo"}, logprobs={"content": [{"token": "lo"}]}),
        chunk(call(name="f", arguments='{"a"')),
        chunk(call(arguments=": 1}"), "tool_calls"),
    )
    [choice] = body["choices"]
    message = choice["message"]
    assert (message["content"], message["reasoning_content"]) == ("Hello", "Hm.")
    assert [token["token"] for token in choice["logprobs"]["content"]] == ["Hel", "lo"]
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert (body["object"], body["id"]) == ("chat.completion", "x")


def test_an_error_in_the_stream_is_raised() -> None:
    error = b'data: {"error": {"message": "busy"}}\n\n'
    with pytest.raises(ProviderError, match="busy"):
        collected(chunk({"content": "a"}), error, chunk({"content": "b"}, "stop"))


def test_very_many_pieces_take_time_in_proportion() -> None:
    def seconds(count: int) -> float:
        began = time.thread_time()
        body = collected(*[chunk({"content": "word "})] * count, chunk({}, "stop"))
        assert len(body["choices"][0]["message"]["content"]) == 5 * count
        return time.thread_time() - began

    seconds(100)
    assert seconds(8000) < 4 * 4 * seconds(2000)
