"""How a request to /v1 ended: what the metrics count, and what the access log says."""

from __future__ import annotations

from typing import Final, NamedTuple

from core import error_codes
from gateway.dataplane.requests.http import HttpExchange

CANCELLED: Final = "cancelled"


class Outcome(NamedTuple):
    """How a request ended.

    Attributes:
        status: The one that was sent; of a stream that broke off, the one that its error would
            have been sent with if nothing had been sent before. 0 if the client had left.
        code: Of the error; empty if there was none.
    """

    status: int
    code: str


def outcome_of(exchange: HttpExchange) -> Outcome:
    """Return how a request ended, once its answer is sent."""
    refusal = exchange.refusal
    if refusal is not None:
        return Outcome(refusal.status, refusal.code)
    record = exchange.request.record if exchange.request is not None else None
    if record is None:
        return Outcome(200, "") if exchange.started else Outcome(0, CANCELLED)
    if record.status == CANCELLED:
        return Outcome(0, CANCELLED)
    if not record.error_code:
        return Outcome(record.http_status, "")
    status = record.http_status
    if status == 200:
        status = error_codes.describe(record.error_code).status
    return Outcome(status, record.error_code)
