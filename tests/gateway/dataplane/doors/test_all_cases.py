"""What any provider was seen to answer, through the doors that convert it.

The official SDKs take every event strictly, and read the text, calls and end that a chat has.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.dataplane.doors.interface import Door
from gateway.dataplane.doors.messages import DOOR as MESSAGES
from gateway.dataplane.doors.responses import DOOR as RESPONSES
from providers.declaration.spec import Operation
from tenants.crypto import digest_key
from tests import sdks
from tests.gateway.dataplane.test_relay import call_of
from tests.providers import recordings
from tests.providers.case import Case
from tests.providers.driving import Outcome
from tests.providers.wire.test_contract import play
from tests.providers.wire.test_strict_models import CHATS

pytestmark = [pytest.mark.slow, pytest.mark.one_database]  # some take more than 0.3 seconds

MEASURED = {"prompt_tokens": 3, "completion_tokens": 4}
STOPS = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_key, "_cached", [b"k" * 32])


@cache
def events_of(door: str) -> TypeAdapter[Any]:
    if door == "messages":
        return TypeAdapter(sdks.anthropic.types.RawMessageStreamEvent)
    return TypeAdapter(sdks.openai.types.responses.ResponseStreamEvent)


def written(door: Door, outcome: Outcome) -> bytes:
    """What the door's client gets: the body of an answer, or a stream."""
    asked = call_of().request.asked()
    if outcome.answer is not None:
        return door.write(outcome.answer, MEASURED, asked)
    writer = door.writer(Operation.CHAT, asked, native=False)
    return b"".join(writer.write([frame]) for frame in outcome.frames) + writer.end(MEASURED)


def streamed(door: Door, content: bytes) -> Iterator[Any]:
    for event in content.split(b"\n\n")[:-1]:
        yield events_of(door.name).validate_json(event.partition(b"data: ")[2], strict=True)


def told(outcome: Outcome) -> tuple[str, list[str]]:
    """The text and the names of called tools, as a chat has them."""
    parts = [outcome.message]
    if outcome.answer is None:  # which is the first of several
        choices = [choice for chunk in outcome.chunks for choice in chunk["choices"]]
        parts = [choice["delta"] for choice in choices if not choice["index"]]
    fields = ("content", "refusal")
    text = "".join(part.get(name) or "" for name in fields for part in parts)
    calls = outcome.message.get("tool_calls") or ()
    return text, [call[call.get("type") or "function"]["name"] for call in calls]


PROVIDERS = sorted({case.slug for case in CHATS})


def cases_of(slug: str) -> list[Case]:
    known = [case for case in CHATS if case.slug == slug]
    return [case for case in known if recordings.present() or not case.recorded]


@pytest.mark.parametrize("slug", PROVIDERS)
def test_messages(slug: str) -> None:
    for case in cases_of(slug):
        # Anthropic's format has no custom tools, so no request through its door asks for one.
        if "custom_tool_call" not in str(case.told):
            check_message(case)


def check_message(case: Case) -> None:
    outcome = play(case)
    content = written(MESSAGES, outcome)
    if outcome.answer is not None:
        message = sdks.anthropic.types.Message.model_validate_json(content, strict=True)
        blocks: list[Any] = list(message.content)
        text = "".join(block.text for block in blocks if block.type == "text")
        stop = message.stop_reason
    else:
        events = list(streamed(MESSAGES, content))
        blocks = [event.content_block for event in events if event.type == "content_block_start"]
        deltas = [event.delta for event in events if event.type == "content_block_delta"]
        text = "".join(delta.text for delta in deltas if delta.type == "text_delta")
        [stop] = [event.delta.stop_reason for event in events if event.type == "message_delta"]
    names = [block.name for block in blocks if block.type == "tool_use"]
    assert (text, names) == told(outcome), str(case)
    assert stop == STOPS.get(str(outcome.finish_reason), "end_turn"), str(case)


@pytest.mark.parametrize("slug", PROVIDERS)
def test_responses(slug: str) -> None:
    for case in cases_of(slug):
        check_response(case)


def check_response(case: Case) -> None:
    outcome = play(case)
    content = written(RESPONSES, outcome)
    if outcome.answer is not None:
        response = sdks.openai.types.responses.Response.model_validate_json(content, strict=True)
    else:
        response = list(streamed(RESPONSES, content))[-1].response
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    text = "".join(part.text if part.type == "output_text" else part.refusal for part in parts)
    calls = ("function_call", "custom_tool_call")
    names = [item.name for item in response.output if item.type in calls]
    assert (text, names) == told(outcome), str(case)
    cut_off = outcome.finish_reason in ("length", "content_filter")
    assert response.status == ("incomplete" if cut_off else "completed"), str(case)
