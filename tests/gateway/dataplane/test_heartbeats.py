"""Streams whose provider is silent: comments come meanwhile, and failures in the right form."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import requests

from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import CHAT, KEY, Hub, running_hub

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

FIRST, MOST = 0.4, 0.5  # seconds
CLAUDE, SPARE = "anthropic/claude-haiku-4-5", "openai_compatible/spare"


@pytest.fixture(scope="module")
def patient() -> Iterator[Hub]:
    """A server that sends comments early, with a fallback for its default model."""
    with Running(FakeProvider()) as fake:
        for hub in running_hub(
            fake,
            MODELKEEP_FIRST_HEARTBEAT=str(FIRST),
            MODELKEEP_HEARTBEAT=str(MOST),
            MODELKEEP_IDLE_TIMEOUT="2",
        ):
            hub.seed(
                credentials=[
                    {"provider": name, "name": "Main", "values": {"api_key": KEY}, "base_url": url}
                    for name, url in (
                        ("openai", fake.url),
                        ("openai_compatible", f"{fake.url}/v1"),
                        ("anthropic", fake.url),
                    )
                ],
                models=[{"provider": "openai_compatible", "model": "spare", "type": "reasoning"}],
                defaults={"reasoning": [CHAT, "openai_compatible/spare"]},
            )
            yield hub


def read(response: requests.Response) -> tuple[list[str], list[float]]:
    """Return the lines of a stream and when they came, in seconds."""
    began = time.monotonic()
    lines, times = [], []
    for line in response.iter_lines(chunk_size=1):
        if line:
            lines.append(line.decode())
            times.append(time.monotonic() - began)
    return lines, times


def test_a_silent_stream_gets_comments_until_its_first_piece(patient: Hub) -> None:
    patient.fake.script("slow:1.5")
    response = patient.chat(stream=True, stream_body=True)
    lines, times = read(response)
    comments = [line for line in lines if line == ": ping"]
    assert len(comments) >= 3
    assert lines[0] == ": ping"
    assert lines[-1] == "data: [DONE]"
    assert max(later - sooner for sooner, later in pairwise(times)) < MOST + 0.4
    record = patient.record(response)
    assert (record["status"], record["http_status"]) == ("ok", 200)


def test_a_provider_that_sends_only_comments_is_silent_too(patient: Hub) -> None:
    patient.fake.script("waiting:1.5")
    lines, times = read(patient.chat(stream=True, stream_body=True))
    assert lines.count(": ping") >= 2
    assert ": keep-alive" not in lines
    assert lines[-1] == "data: [DONE]"
    assert max(later - sooner for sooner, later in pairwise(times)) < MOST + 0.4


def test_a_quick_stream_gets_none(patient: Hub) -> None:
    response = patient.chat(stream=True, stream_body=True)
    assert "x-modelkeep-source" in response.headers
    assert ": ping" not in read(response)[0]


def test_another_target_answers_although_comments_were_sent(patient: Hub) -> None:
    patient.fake.script("hang", "ok")
    response = patient.chat(model=None, stream=True, stream_body=True)
    lines, _times = read(response)
    assert (lines[0], lines[-1]) == (": ping", "data: [DONE]")
    assert patient.record(response)["provider"] == "openai_compatible"


def test_a_failure_after_a_comment_is_an_event(patient: Hub) -> None:
    patient.fake.script("hang", "status:500")
    response = patient.chat(model=None, stream=True, stream_body=True)
    assert response.status_code == 200
    lines, _times = read(response)
    assert lines[0] == ": ping"
    assert lines[-2] == "event: error"
    error: dict[str, Any] = json.loads(lines[-1].removeprefix("data: "))["error"]
    assert error["code"] == "provider_error"
    assert error["request_id"] == response.headers["x-request-id"]
    assert patient.record(response)["error_code"] == "provider_error"


def test_a_failure_before_a_comment_is_a_status(patient: Hub) -> None:
    patient.fake.script("status:500", "status:500")
    response = patient.chat(model=None, stream=True)
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "provider_error"


def test_official_clients_skip_the_comments(patient: Hub) -> None:
    patient.fake.script("slow:1")
    with patient.sdk().chat.completions.create(
        model=CHAT, messages=[{"role": "user", "content": "Hello"}], stream=True
    ) as stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text.startswith("word0")


MESSAGES = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
DOORS = pytest.mark.parametrize(
    ("path", "body", "beat", "end"),
    [
        ("/messages", {"model": CHAT, **MESSAGES}, "event: ping", "event: message_stop"),
        ("/messages", {"model": CLAUDE, **MESSAGES}, "event: ping", "event: message_stop"),
        (
            "/responses",
            {"model": SPARE, "input": "Hello"},
            ": ping",
            "event: response.completed",
        ),
    ],
    ids=["messages, converted", "messages, passed on", "responses"],
)


@DOORS
def test_every_format_has_a_heartbeat(
    patient: Hub, path: str, body: dict[str, Any], beat: str, end: str
) -> None:
    patient.fake.script("slow:1.2")
    response = patient.post(path, {**body, "stream": True}, stream=True)
    lines, times = read(response)
    assert lines[0] == beat
    assert lines.count(beat) >= 2
    assert lines[-2] == end
    assert max(later - sooner for sooner, later in pairwise(times)) < MOST + 0.4
    assert patient.record(response)["status"] == "ok"


@DOORS
def test_every_format_has_a_failure_after_heartbeats(
    patient: Hub, path: str, body: dict[str, Any], beat: str, end: str
) -> None:
    patient.fake.script("hang")
    response = patient.post(path, {**body, "stream": True}, stream=True)
    lines, _times = read(response)
    assert (response.status_code, lines[0]) == (200, beat)
    failed = "event: error" if path == "/messages" else "event: response.failed"
    assert lines[-2] == failed
    assert end not in lines
    assert patient.record(response)["error_code"] == "provider_timeout"
