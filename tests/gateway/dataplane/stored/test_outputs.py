"""What is counted of a batch's output, however it is cut and whatever it holds."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from core.ids import uuid7
from gateway.dataplane.stored import outputs
from gateway.dataplane.stored.outputs import Totals, charged, record_of
from models_catalog.resolution.entries import Price, Rates
from providers.models import StoredBatch
from quotas.ledger.records import Record

PRICE = Price("USD", Rates(input=Decimal(2), output=Decimal(8)))
HALF = Decimal("0.5")


def line(model: str, tokens: Any = 1000, status: int = 200) -> bytes:
    usage = {"prompt_tokens": tokens, "completion_tokens": 0}
    body = {"model": model, "usage": usage}
    return json.dumps({"response": {"status_code": status, "body": body}}).encode() + b"\n"


def record(totals: Totals, share: Decimal | None = HALF, status: str = "completed") -> Record:
    """The record of the first model."""
    row = StoredBatch(tenant_id=uuid4(), status=status)
    return record_of(row, next(iter(totals.of)), totals, share, uuid7(), "credential:Main")


@pytest.mark.parametrize("cut", [1, 7, 10_000])
def test_lines_count_for_their_model_however_they_arrive(cut: int) -> None:
    totals = Totals({"gpt-4o": PRICE, "gpt-4o-mini": None})
    data = line("gpt-4o-2026-01-01") + line("gpt-4o-mini-2026") * 2 + line("other") + b"\n"
    data += line("gpt-4o", status=500).rstrip()
    for start in range(0, len(data), cut):
        totals.feed(data[start : start + cut])
    totals.finish()
    first, second = totals.of.values()
    assert (first.answered, first.failed, second.answered) == (2, 1, 2)
    assert record(totals).cost == Decimal("0.002")  # 2,000 tokens at half of 2 USD a million


def test_the_price_of_a_batch_may_be_unknown() -> None:
    totals = Totals({"m": PRICE})
    totals.feed(line("m"))
    assert record(totals, None).cost is None
    totals = Totals({"m": Price("USD", is_free=True)})
    totals.feed(line("m"))
    assert record(totals, None).cost == 0


@pytest.mark.parametrize(
    "garbage", [b"not json\n", b"{}x\n", line("m", tokens="many"), line("m", tokens=-1)]
)
def test_what_cannot_be_read_makes_the_sum_an_estimate(garbage: bytes) -> None:
    totals = Totals({"m": PRICE})
    totals.feed(line("m") + garbage)
    totals.finish()
    made = record(totals)
    assert (made.usage_source, made.cost, made.prompt_tokens) == ("estimated", None, 1000)


@pytest.mark.parametrize("odd", [b"[]\n", b'{"response": 7}\n', b'{"response": {"body": []}}\n'])
def test_a_line_without_an_answer_costs_nothing(odd: bytes) -> None:
    totals = Totals({"m": PRICE})
    totals.feed(odd + line("m"))
    assert (record(totals).cost, totals.of["m"].failed) == (Decimal("0.001"), 1)


def test_a_line_without_end_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "LONGEST_LINE", 1000)
    totals = Totals({"m": PRICE})
    for _piece in range(10):
        totals.feed(b"x" * 500)
    totals.feed(b"\n" + line("m"))
    totals.finish()
    assert (totals.unreadable, totals.of["m"].answered) == (1, 1)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("completed", ("ok", "")),
        ("cancelled", ("cancelled", "cancelled")),
        ("failed", ("error", "provider_error")),
        ("expired", ("error", "provider_error")),
    ],
)
def test_a_batch_without_answers_ends_as_its_status_says(
    status: str, outcome: tuple[str, str]
) -> None:
    made = record(Totals({"m": PRICE}), status=status)
    assert (made.status, made.error_code) == outcome
    assert (made.cost, made.prompt_tokens) == (0, None)


def totals_of(*answered: int, unreadable: int = 0) -> Totals:
    totals = Totals({str(number): None for number in range(len(answered))})
    for total, count in zip(totals.of.values(), answered, strict=True):
        total.answered = count
    totals.unreadable = unreadable
    return totals


@pytest.mark.parametrize(
    ("answered", "unreadable", "lines", "charges"),
    [
        ((2, 1), 0, (3, 1), (2, 1)),
        ((0, 0), 0, (3, 1), (0, 0)),
        ((4, 0), 0, (3, 1), (3, 1)),  # the provider calls both models by one name
        ((0, 9), 0, (3, 1), (3, 1)),  # more than was asked
        ((1, 0), 1, (3, 1), (2, 0)),  # what cannot be read was answered
        ((1, 1), 9, (3, 1), (3, 1)),
    ],
)
def test_answered_lines_are_charged(
    answered: tuple[int, ...], unreadable: int, lines: tuple[int, ...], charges: tuple[int, ...]
) -> None:
    totals = totals_of(*answered, unreadable=unreadable)
    held = {str(number): count for number, count in enumerate(lines)}
    assert tuple(charged(totals, held).values()) == charges


def test_all_lines_are_charged_of_a_batch_that_is_lost() -> None:
    totals = totals_of(1, 0)
    totals.lose()
    assert charged(totals, {"0": 3, "1": 1}) == {"0": 3, "1": 1}
