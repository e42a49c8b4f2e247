"""What goes into and comes out of the ledger's steps. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

EXPIRY_MARGIN_SECONDS = 60  # a hold expires this long after the call's total deadline

# -- what goes in and comes out --------------------------------------------------------------------


class HoldState(StrEnum):
    HELD = "held"  # the credits are reserved; call the provider
    # the same request under the same key is being worked on: 409 in_progress
    IN_PROGRESS = "repeat_in_progress"
    DONE = "repeat_done"  # ... is finished: 409 already_done, `used` says what it cost
    MISMATCH = "mismatch"  # the key was used for another request: 422
    EXHAUSTED = "exhausted"  # too few credits left: 402 trial_exhausted


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest:
    """Credits to reserve for one call.

    key: the client's Idempotency-Key (at most 255 characters) or the request id. fingerprint:
    SHA-256 of the request, hex; a repeat has the same one. amount: credits, at least 1.
    deadline_seconds: total time the call may take. facts: what the call record shall say if this
    process dies (fields of `Record`: operation, app_key_id, ...).
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
    """What became of a hold: the state, the hold's id (None when exhausted), the pool's credits,
    what a finished repeat cost.
    """

    state: HoldState
    hold_id: UUID | None
    settled: int
    held: int
    left: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class FinishResult:
    """What settling or voiding did.

    applied: False where the hold was finished already (nothing was written); state, used: how the
    hold stands now; settled, held, left: the pool's credits.
    """

    applied: bool
    state: str
    used: int
    settled: int
    held: int
    left: int


@dataclass(frozen=True, slots=True)
class ExpiredHold:
    """A hold past its expiry that nobody finished, with what its call record can say."""

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
    """No such pool in this tenant."""


class UnknownHold(LookupError):
    """No such hold in this tenant."""
