"""Run the ledger's steps on Django's connection, and reap expired holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from core.db.connection import dialect
from core.db.connection import execute as _execute
from core.db.steps import R, Steps, run
from quotas.ledger import holds, records
from quotas.ledger.records import Record
from quotas.ledger.states import ExpiredHold, FinishResult, HoldRequest, HoldResult


def _run(steps: Steps[R]) -> R:
    with transaction.atomic():
        return run(steps, _execute)


# -- one call --------------------------------------------------------------------------------------


def hold(request: HoldRequest, *, now: datetime | None = None) -> HoldResult:
    """Reserve credits before a call.

    Args:
        now: Current time, for tests; the database's clock by default.

    Raises:
        UnknownPool: The tenant has no such pool.
    """
    return _run(holds.hold(request, dialect(), now=now))


def mark_sent(*, tenant_id: UUID, hold_id: UUID) -> bool:
    """Note that the request is about to be sent.

    Returns:
        False if the hold is already finished: do not send the request.
    """
    return _run(holds.mark_sent(tenant_id=tenant_id, hold_id=hold_id, dialect=dialect()))


def settle(
    *, hold_id: UUID, record: Record, used: int | None = None, reason: str = ""
) -> FinishResult:
    """Charge for a finished call and write its record; repeating it changes nothing.

    Args:
        used: Credits to charge; None charges all that were held.
    """
    return _run(
        holds.settle(hold_id=hold_id, record=record, used=used, reason=reason, dialect=dialect())
    )


def void(*, hold_id: UUID, record: Record, reason: str) -> FinishResult:
    """Release the credits of a failed call and write its record; repeating it changes nothing."""
    return _run(holds.void(hold_id=hold_id, record=record, reason=reason, dialect=dialect()))


def record_call(record: Record) -> bool:
    """Write the record of a call made with the tenant's own credential.

    Returns:
        False if the record already existed.
    """
    return _run(records.record_call(record, dialect()))


# -- expired holds ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reaped:
    """Counts of reaped holds.

    Attributes:
        voided: Released because the request was never sent.
        settled: Charged because the outcome of a sent request is unknown.
    """

    voided: int = 0
    settled: int = 0


def reap(*, now: datetime | None = None, limit: int = 1000) -> Reaped:
    """Finish up to `limit` expired holds, whose workers died; safe to run concurrently.

    Each hold gets its own transaction, so that a reaper never waits for one pool while it holds a
    lock on another.
    """
    counts = {"voided": 0, "settled": 0}
    for _ in range(limit):
        state = _reap_one(now)
        if state is None:
            break
        counts[state] += 1
    return Reaped(**counts)


@transaction.atomic
def _reap_one(now: datetime | None) -> str | None:
    """Finish the oldest expired hold that no other reaper has locked.

    Returns:
        The hold's new state, or None if there is no such hold.
    """
    expired = run(holds.next_expired(dialect(), now=now), _execute)
    if expired is None:
        return None
    record = _record_of(expired)
    if expired.sent:
        return settle(hold_id=expired.hold_id, record=record, reason="unknown").state
    return void(hold_id=expired.hold_id, record=record, reason="not_sent").state


def _record_of(expired: ExpiredHold) -> Record:
    """Build the record of a call whose worker died from what its hold noted."""
    facts = {name: value for name, value in expired.facts.items() if name in _FACTS}
    values: Mapping[str, Any] = {
        "operation": "",
        **facts,
        "tenant_id": expired.tenant_id,
        "request_id": expired.request_id,
        "time": expired.created,
        "provider": expired.provider,
        "model": expired.model,
        "source": f"trial:{expired.plan}",
        "status": "error",
        "error_code": "unknown" if expired.sent else "not_sent",
        "http_status": 0,
    }
    return Record(**values)


_FACTS = frozenset(column.name for column in fields(Record)) - {
    "id",
    "tenant_id",
    "time",
    "cost",
    "attempt_log",
}
