"""Conversations that a server keeps: Anthropic's SDK asks for one by itself when it runs tools, and
sends everything again where it is told in Anthropic's words that there is none.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from gateway.dataplane.doors.anthropic.requests import neutral_body
from gateway.dataplane.doors.messages import DOOR
from gateway.dataplane.errors import Refusal, from_provider
from gateway.dataplane.refusals import NoCredits, refuse_stored
from providers.declaration.errors import FALLBACK, CannotExpress
from providers.declaration.spec import Reply
from providers.wire.anthropic.errors import anthropic_errors

UNSUPPORTED = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
CONTINUED = {"type": "continue", "previous_message_id": "msg_1"}


def sent(refusal: Refusal) -> Any:
    return json.loads(DOOR.error(refusal, "r1"))["error"]


@pytest.mark.parametrize("thread", [{"type": "create"}, CONTINUED])
def test_a_converted_request_has_none(thread: dict[str, str]) -> None:
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    with pytest.raises(CannotExpress) as refused:
        neutral_body({**body, "thread": thread})
    refusal = from_provider(refused.value, label="OpenAI")
    assert refusal.status == 400
    assert refusal.param == "thread"
    assert sent(refusal)["details"] == UNSUPPORTED
    assert neutral_body({**body, "thread": None}) == neutral_body(body)


def test_a_trial_continues_none() -> None:
    with pytest.raises(NoCredits) as refused:
        refuse_stored({"thread": CONTINUED}, "responses")
    assert sent(refused.value.refusal)["details"] == UNSUPPORTED


@pytest.mark.parametrize(
    ("status", "kind", "details"),
    [
        (400, "invalid_request_error", UNSUPPORTED),
        (404, "not_found_error", {"error_code": "thread_not_found"}),
        (409, "invalid_request_error", {"error_code": "thread_already_continued"}),
    ],
)
def test_the_client_learns_why_anthropic_refused(
    status: int, kind: str, details: dict[str, Any]
) -> None:
    """Its words go through, no other text, and no other account is asked."""
    error = {"type": kind, "message": "No.", "details": {**details, "note": "sk-ant-1 of Ada"}}
    failure = anthropic_errors(Reply(status, {}, orjson.dumps({"type": "error", "error": error})))
    assert failure is not None
    assert failure.failure not in FALLBACK
    assert sent(from_provider(failure, label="Anthropic"))["details"] == details


@pytest.mark.parametrize("details", [None, "no", {"error_code": "No such thing!"}, {"a": 1}])
def test_other_details_are_left_out(details: Any) -> None:
    error = {"type": "not_found_error", "message": "model: m", "details": details}
    failure = anthropic_errors(Reply(404, {}, orjson.dumps({"type": "error", "error": error})))
    assert failure is not None
    assert failure.failure == "model_not_found"
    assert "details" not in sent(from_provider(failure, label="Anthropic"))
