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
    """Reserve credits before a call. Raises UnknownPool. `now` is the clock of tests."""
    return _run(holds.hold(request, dialect(), now=now))


def mark_sent(*, tenant_id: UUID, hold_id: UUID) -> bool:
    """Note that the request is about to leave. False: the hold is finished already, do not send."""
    return _run(holds.mark_sent(tenant_id=tenant_id, hold_id=hold_id, dialect=dialect()))


def settle(
    *, hold_id: UUID, record: Record, used: int | None = None, reason: str = ""
) -> FinishResult:
    """Charge a finished call, `used` credits or all that were held, and write its record. Repeating
    it changes nothing.
    """
    return _run(
        holds.settle(hold_id=hold_id, record=record, used=used, reason=reason, dialect=dialect())
    )


def void(*, hold_id: UUID, record: Record, reason: str) -> FinishResult:
    """Give the credits of a failed call back and write its record. Repeating it changes nothing."""
    return _run(holds.void(hold_id=hold_id, record=record, reason=reason, dialect=dialect()))


def record_call(record: Record) -> bool:
    """Write the record of a call with an own key. False: it was there already."""
    return _run(records.record_call(record, dialect()))


# -- calls that nobody finished --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many expired holds were finished: given back because nothing was sent, or charged because
    it is not known.
    """

    voided: int = 0
    settled: int = 0


def reap(*, now: datetime | None = None, limit: int = 1000) -> Reaped:
    """Finish up to `limit` holds past their expiry: their worker died. Any number of reapers may
    run at the same time.

    Each hold has a transaction of its own, so that no reaper waits for a second pool while it has
    locked a first one.
    """
    counts = {"voided": 0, "settled": 0}
    for _number in range(limit):
        state = _reap_one(now)
        if state is None:
            break
        counts[state] += 1
    return Reaped(**counts)


@transaction.atomic
def _reap_one(now: datetime | None) -> str | None:
    """The state that the longest expired hold got; None where there is none that no other reaper
    has locked.
    """
    expired = run(holds.next_expired(dialect(), now=now), _execute)
    if expired is None:
        return None
    record = _record_of(expired)
    if expired.sent:
        return settle(hold_id=expired.hold_id, record=record, reason="unknown").state
    return void(hold_id=expired.hold_id, record=record, reason="not_sent").state


def _record_of(expired: ExpiredHold) -> Record:
    """All that is known of a call whose worker died: what its hold noted."""
    known = {name: value for name, value in expired.facts.items() if name in _FACTS}
    values: Mapping[str, Any] = {
        "operation": "",
        **known,
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


_FACTS = frozenset(one.name for one in fields(Record)) - {
    "id",
    "tenant_id",
    "time",
    "cost",
    "attempt_log",
}
