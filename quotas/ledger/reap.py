"""Finish holds that expired because their workers died."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from core.db.connection import dialect, execute
from core.db.statements import run
from quotas.ledger import holds
from quotas.ledger.records import Record
from quotas.ledger.states import ExpiredHold


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


def count_open() -> int:
    """Return how many holds are open, of all workspaces."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM quotas_hold WHERE state = 'held'")
        return int(cursor.fetchone()[0])


@transaction.atomic
def _reap_one(now: datetime | None) -> str | None:
    """Finish the oldest expired hold that no other reaper has locked.

    Returns:
        The hold's new state, or None if there is no such hold.
    """
    expired = run(holds.next_expired(dialect(), now=now), execute)
    if expired is None:
        return None
    finish, reason = (holds.settle, "unknown") if expired.sent else (holds.void, "not_sent")
    steps = finish(
        hold_id=expired.hold_id, record=_record_of(expired), reason=reason, dialect=dialect()
    )
    return run(steps, execute).state


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
