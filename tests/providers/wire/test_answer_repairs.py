"""Repairs of what surrounds an answer: odd values become what every client can read."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from providers.wire.chat_answers import answer_of
from providers.wire.repairs.asking import take_back
from providers.wire.stream_accumulation import whole_body

CHOICE = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}


def written(**odd: Any) -> dict[str, Any]:
    """The answer as a client reads it."""
    read: dict[str, Any] = orjson.loads(orjson.dumps(answer_of({"choices": [CHOICE], **odd}).body))
    return read


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        ({"prompt_tokens": 1e300, "completion_tokens": 2}, 2),
        ({"prompt_tokens": 2**63, "completion_tokens": 2**63}, 0),
        ({"prompt_tokens": 3.0, "completion_tokens": "4"}, 7),
    ],
)
def test_counts_that_json_cannot_express_are_unknown(usage: dict[str, Any], total: int) -> None:
    assert written(usage=usage)["usage"]["total_tokens"] == total


def test_a_time_beyond_all_bounds_is_now() -> None:
    assert 1_700_000_000 < written(created=1e300)["created"] < 2**40


@pytest.mark.parametrize("tier", [["default"], {"name": "default"}, "unknown", 7])
def test_a_service_tier_of_another_type_is_left_out(tier: Any) -> None:
    assert "service_tier" not in written(service_tier=tier)


def test_an_option_that_was_not_sent_cannot_be_taken_back() -> None:
    asked = {"stream_options": {"include_usage": True}}
    assert not take_back({"messages": []}, asked, "include_usage is unknown")


def test_a_long_stream_is_collected_in_linear_time() -> None:
    call = {"index": 0, "function": {"arguments": "x" * 20}}
    delta = {"content": "a" * 40, "images": [1], "tool_calls": [call]}
    chunks = [{"choices": [{"index": 0, "delta": delta}]}] * 50_000
    began = time.process_time()
    message = whole_body(chunks)["choices"][0]["message"]
    assert time.process_time() - began < 1
    assert message["content"] == "a" * 2_000_000
    assert len(message["images"]) == 50_000
    assert message["tool_calls"][0]["function"]["arguments"] == "x" * 1_000_000
