"""What a hostile server puts into an answer neither breaks a record nor a response, nor fills the
memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.dataplane import attempts
from gateway.dataplane.answers import content_type
from gateway.dataplane.streams import HELD_BYTES, HELD_FRAMES, first_frames
from providers.declaration.spec import Answer, Frame
from tests.gateway.conftest import Hub

pytestmark = pytest.mark.one_database


def answer(finish_reason: str) -> str:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "x"},
        "finish_reason": finish_reason,
    }
    return "body:200:" + json.dumps({"id": "c", "choices": [choice], "usage": {"total_tokens": 2}})


@pytest.mark.slow
@pytest.mark.parametrize("word", ["a\x00b", "a\n\x1b[31m", "x" * 5000, "\u202eab"])
def test_a_word_of_the_provider_is_recorded_as_text(hub: Hub, word: str) -> None:
    hub.fake.mode = answer(word)
    response = hub.chat()
    assert response.status_code == 200
    assert hub.record(response)["status"] == "ok"
    [(recorded,)] = hub.rows(
        "SELECT finish_reason FROM quotas_callrecord WHERE request_id = "
        f"'{response.headers['x-request-id']}'"
    )
    assert recorded == "stop", "clients know no other words"


def test_a_word_that_no_wire_knows_is_recorded_as_text() -> None:
    for word, recorded in (("a\x00b", "ab"), ("a\n\x1b[31m", "a[31m"), ("x" * 50, "x" * 20)):
        assert attempts._word(word) == recorded
    assert attempts._word(None) == ""


@pytest.mark.slow
@pytest.mark.parametrize("word", ["\\u0000", "\\ud800", "\\u001b[31m"])
def test_an_error_with_strange_characters_is_recorded(hub: Hub, word: str) -> None:
    hub.fake.mode = 'body:401:{"error":{"message":"%s","code":"%s","type":"%s"}}' % ((word,) * 3)
    response = hub.chat()
    assert response.status_code == 502
    assert hub.record(response)["error_code"] == "provider_auth_failed"


@pytest.mark.slow
def test_an_answer_that_json_cannot_express_is_the_providers_error(hub: Hub) -> None:
    deep = "[" * 300 + "]" * 300  # orjson reads it, but doesn't write it
    hub.fake.mode = answer("stop").replace('"id"', f'"deep": {deep}, "id"')
    response = hub.chat()
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "provider_error"
    assert hub.record(response)["attempts"] == 1


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        ("audio/mpeg", b"audio/mpeg"),
        ('text/plain; charset=utf-8; a="b c"', b'text/plain; charset=utf-8; a="b c"'),
        ("audio/mpeg x-evil: 1", b"application/octet-stream"),
        ("audio/mpeg\x01", b"application/octet-stream"),
        ("audio/mpeg\r\nX-Evil: 1", b"application/octet-stream"),
        ("audio/möp", b"application/octet-stream"),
        ("a" * 300, b"application/octet-stream"),
    ],
)
def test_a_content_type_that_is_no_header(sent: str, passed_on: bytes) -> None:
    assert content_type(Answer(None, content=b"", content_type=sent)) == passed_on


class Endless:
    """A stream that sends frames without content."""

    ended = False

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.sent = 0

    async def read(self) -> Sequence[Frame]:
        self.sent += 10
        return [self.frame] * 10


@pytest.mark.parametrize("size", [1, 10_000])
def test_frames_without_content_are_not_held_without_end(size: int) -> None:
    stream: Any = Endless(Frame(b"x" * size))
    call: Any = SimpleNamespace(first_token=None)
    frames = asyncio.run(first_frames(call, stream))
    assert len(frames) == stream.sent <= HELD_FRAMES + 10
    assert len(frames) * size <= HELD_BYTES + 10 * size
    assert HELD_FRAMES > 100, "tool calls and roles come in many frames before the first text"
