"""A request counts as what became of it, not as the status that was sent before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from gateway.dataplane.measures.outcome import Outcome, outcome_of
from gateway.dataplane.refusals import content_broken, server_stopping
from gateway.dataplane.requests.http import HttpExchange
from quotas.ledger.records import Record

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def exchange(record: Record | None = None, *, started: bool = True) -> HttpExchange:
    sent: Any = None
    made = HttpExchange({}, sent, sent, "/v1/chat/completions", {}, "request", False)
    made.started = started
    if record is not None:
        made.request = type("Read", (), {"record": record})()  # type: ignore[assignment]
    return made


def record(status: Any, http_status: int, code: str = "") -> Record:
    return Record(
        tenant_id=uuid4(),
        request_id="request",
        operation="chat.completions",
        status=status,
        time=NOW,
        http_status=http_status,
        error_code=code,
    )


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (exchange(record("ok", 200)), Outcome(200, "")),
        (exchange(), Outcome(200, "")),
        (exchange(record("error", 200, "provider_timeout")), Outcome(504, "provider_timeout")),
        (
            exchange(record("error", 200, "provider_rate_limited")),
            Outcome(429, "provider_rate_limited"),
        ),
        (exchange(record("error", 404, "model_not_found")), Outcome(404, "model_not_found")),
        (exchange(record("cancelled", 200)), Outcome(0, "cancelled")),
        (exchange(started=False), Outcome(0, "cancelled")),
    ],
)
def test_what_became_of_it(made: Any, outcome: Outcome) -> None:
    assert outcome_of(made) == outcome


@pytest.mark.parametrize("refusal", [content_broken(), server_stopping()])
def test_an_answer_that_was_cut_off_is_a_failure(refusal: Any) -> None:
    made = exchange()
    made.refusal = refusal
    assert outcome_of(made) == Outcome(refusal.status, refusal.code)
    assert refusal.status >= 500
