"""Requests, results and errors of the ledger's steps. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from quotas.ledger.records import Record

EXPIRY_MARGIN_SECONDS = 60  # a hold expires this long after the call's total deadline
BATCHES = "batches"  # the operation of holds that last as long as a batch


class HoldState(StrEnum):
    HELD = "held"  # the credits are reserved; call the provider
    # the same request with the same key is still running: 409 in_progress
    IN_PROGRESS = "repeat_in_progress"
    DONE = "repeat_done"  # ... has finished: 409 already_done, `used` is what it cost
    MISMATCH = "mismatch"  # the key belongs to a different request: 422
    EXHAUSTED = "exhausted"  # too few credits left: 402 trial_exhausted


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest:
    """Credits to reserve for one call.

    Attributes:
        key: The client's Idempotency-Key (at most 255 characters) or the request id.
        fingerprint: SHA-256 of the request, hex; the same for a repeated request.
        amount: Credits, at least 1.
        deadline_seconds: Total time the call may take.
        facts: Fields of `Record` (operation, app_key_id, ...) for the call record if this process
            dies.
    """

    tenant_id: UUID
    pool_id: int
    key: str
    fingerprint: str
    amount: int
    model: str
    request_id: str
    deadline_seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    hold_id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class HoldResult:
    """The outcome of a hold request.

    Attributes:
        hold_id: None if the credits are exhausted.
        settled: Credits of the pool, like held and left.
        used: Credits that the finished call cost if this request repeats it.
    """

    state: HoldState
    hold_id: UUID | None
    settled: int
    held: int
    left: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """A hold whose request is about to be sent."""

    tenant_id: UUID
    hold_id: UUID


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of one call: its record and, for trials, the outcome of the hold.

    Args:
        used: Credits to charge; None charges everything that was held.
    """

    record: Record
    hold_id: UUID | None = None
    voided: bool = False
    used: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FinishResult:
    """The outcome of settling or voiding a hold.

    Attributes:
        applied: False if the hold was already finished; nothing was written.
        state: State of the hold now.
        used: Credits charged for the hold.
        settled: Credits of the pool, like held and left.
    """

    applied: bool
    state: str
    used: int
    settled: int
    held: int
    left: int


@dataclass(frozen=True, slots=True)
class ExpiredHold:
    """An expired, unfinished hold with the data for its call record."""

    hold_id: UUID
    tenant_id: UUID
    sent: bool
    model: str
    request_id: str
    facts: Mapping[str, Any]
    created: datetime
    plan: str
    provider: str


class UnknownPool(LookupError):
    """The tenant has no such pool."""


class UnknownHold(LookupError):
    """The tenant has no such hold."""
