"""Finish holds that expired because their workers died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from core.db.connection import dialect, execute
from core.db.dialect import read_json, read_time, read_uuid
from core.db.statements import Part, Statements, run, single
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


# Candidates: whether they are still open is asked again once their pool is locked.
EXPIRED = Part(
    "expired",
    "SELECT id, pool_id FROM quotas_hold WHERE state = 'held' AND expires < {now} "
    "ORDER BY expires LIMIT {p}",
)
POOL = Part("pool", "SELECT id FROM quotas_creditpool WHERE id = {p} {lock}")
OPEN = Part(
    "open",
    "SELECT hold.id, hold.tenant_id, hold.sent, hold.model, hold.request_id, hold.facts, "
    "hold.created, plan.slug, plan.provider "
    "FROM quotas_hold AS hold JOIN quotas_creditpool AS pool ON pool.id = hold.pool_id JOIN "
    "quotas_trialplan AS plan ON plan.id = pool.plan_id "
    "WHERE hold.id = {p} AND hold.state = 'held' {skip_locked}",
    table="hold",
)


def reap(*, now: datetime | None = None, limit: int = 1000) -> Reaped:
    """Finish up to `limit` expired holds, whose workers died; safe to run concurrently.

    Each hold gets its own transaction, so that a reaper never waits for one pool while it holds a
    lock on another.
    """
    counts = Counter[str]()
    query = single(EXPIRED, (now, limit), dialect())
    for hold_id, pool_id in execute(query.sql, query.params):
        state = _reap_one(read_uuid(hold_id), pool_id)
        if state is not None:
            counts[state] += 1
    return Reaped(counts["voided"], counts["settled"])


def count_open() -> int:
    """Return how many holds are open, of all workspaces."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM quotas_hold WHERE state = 'held'")
        return int(cursor.fetchone()[0])


@transaction.atomic
def _reap_one(hold_id: UUID, pool_id: int) -> str | None:
    """Finish an expired hold.

    Its pool is locked first, as by all who lock both. The hold stays locked from reading whether it
    was sent until it is finished: otherwise a worker that resumes in between could still mark it.

    Returns:
        The hold's new state, or None if somebody else has finished or locked it.
    """
    expired = run(_locked(hold_id, pool_id), execute)
    if expired is None:
        return None
    finish, reason = (holds.settle, "unknown") if expired.sent else (holds.void, "not_sent")
    steps = finish(
        hold_id=expired.hold_id, record=_record_of(expired), reason=reason, dialect=dialect()
    )
    return run(steps, execute).state


def _locked(hold_id: UUID, pool_id: int) -> Statements[ExpiredHold | None]:
    """Lock a pool and an open hold of it, and return the hold."""
    yield single(POOL, (pool_id,), dialect())
    rows = yield single(OPEN, (hold_id,), dialect())
    if not rows:
        return None
    _, tenant_id, sent, model, request_id, facts, created, plan, provider = rows[0]
    return ExpiredHold(
        hold_id=hold_id,
        tenant_id=read_uuid(tenant_id),
        sent=bool(sent),
        model=model,
        request_id=request_id,
        facts=read_json(facts),
        created=read_time(created),
        plan=plan,
        provider=provider,
    )


def _record_of(expired: ExpiredHold) -> Record:
    """Build the record of a call whose worker died from what its hold noted."""
    facts = {name: value for name, value in expired.facts.items() if name in _FACTS}
    if facts.get("app_key_id"):
        facts["app_key_id"] = read_uuid(facts["app_key_id"])
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
