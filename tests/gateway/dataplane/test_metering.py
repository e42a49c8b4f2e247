"""What the ledger says about a call: tokens as reported, or estimated where none can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.dataplane import metering
from gateway.dataplane.requests.request import GatewayRequest
from models_catalog.resolution.entries import Price, Rates
from providers.declaration.spec import Answer, Operation, Usage

PROMPT = "p" * 40  # 10 tokens
OUTPUT = "a" * 800  # 200 tokens
PRICE = Price("USD", Rates(input=Decimal(1), output=Decimal(2)))


@dataclass
class Stream:
    """What is read of a decoder."""

    usage: Usage | None
    output_characters: int = len(OUTPUT)
    finish_reason: str | None = None
    done: bool = False


def request_of(operation: Operation = Operation.CHAT, **body: Any) -> GatewayRequest:
    body = body or {"messages": [{"role": "user", "content": PROMPT}]}
    caller = SimpleNamespace(tenant_id=1)
    return GatewayRequest(caller, operation, "m", body, "r")  # type: ignore[arg-type]


def figures(fields: dict[str, Any]) -> tuple[int | None, int | None, str]:
    return fields["prompt_tokens"], fields["completion_tokens"], fields["usage_source"]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(11, 7), (11, 7, "reported")),
        (None, (10, 201, "estimated")),
        # Only what is missing is estimated.
        (Usage(11), (11, 201, "estimated")),
        (Usage(None, 7), (10, 7, "estimated")),
        # A zero beside a text is none.
        (Usage(0, 0), (10, 201, "estimated")),
        (Usage(11, 0), (11, 201, "estimated")),
        # A total is split; its sum is the provider's.
        (Usage(total_tokens=300), (99, 201, "estimated")),
        (Usage(total_tokens=100), (0, 100, "estimated")),
    ],
)
def test_whole_answers(usage: Usage | None, expected: tuple[int, int, str]) -> None:
    body = {"choices": [{"message": {"role": "assistant", "content": OUTPUT}, "x": "stop"}]}
    fields = metering.of_answer(request_of(), Answer(body, usage), PRICE)
    assert figures(fields) == expected
    prompt, completion, _source = expected
    assert fields["cost"] == (prompt + 2 * completion) / Decimal(1_000_000)


def test_an_answer_without_a_text_may_report_zero() -> None:
    answer = Answer({"choices": [{"message": {"content": None}}]}, Usage(11, 0))
    assert figures(metering.of_answer(request_of(), answer, None)) == (11, 0, "reported")


@pytest.mark.parametrize("ended", [{"finish_reason": "stop"}, {"done": True}])
def test_streams_that_ended(ended: dict[str, Any]) -> None:
    def of(usage: Usage | None) -> tuple[int | None, int | None, str]:
        return figures(metering.of_stream(request_of(), Stream(usage, **ended), PRICE))

    assert of(Usage(11, 7)) == (11, 7, "reported")
    assert of(Usage(11)) == (11, 200, "estimated")
    assert of(None) == (10, 200, "estimated")


def test_what_a_stream_reported_before_it_broke_off_is_provisional() -> None:
    def of(usage: Usage | None) -> tuple[int | None, int | None, str]:
        return figures(metering.of_stream(request_of(), Stream(usage), PRICE))

    assert of(Usage(25, 1)) == (25, 200, "estimated")
    assert of(Usage(25)) == (25, 200, "estimated")
    assert of(Usage(25, 4000)) == (25, 4000, "estimated")  # thoughts that nobody sees
    assert of(None) == (10, 200, "estimated")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [(Usage(5), (5, None, "reported")), (None, (10, 0, "estimated"))],
)
def test_embeddings_have_no_output(usage: Usage | None, expected: tuple[Any, ...]) -> None:
    request = request_of(Operation.EMBEDDINGS, input=PROMPT)
    assert figures(metering.of_answer(request, Answer({}, usage), PRICE)) == expected


def test_recordings_are_never_estimated() -> None:
    request = request_of(Operation.TRANSCRIPTION)
    for usage, source in (
        (Usage(audio_seconds=3.5), "reported"),
        (Usage(12, 3), "reported"),
        (Usage(None, 3), "reported"),
        (None, "none"),
    ):
        assert metering.of_answer(request, Answer({}, usage), PRICE)["usage_source"] == source
