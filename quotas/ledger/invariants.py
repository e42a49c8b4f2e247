"""Audit the ledger's invariants, for each pool and in total."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from core.db.connection import dialect, execute
from core.db.dialect import read_json, read_uuid
from quotas import ports
from quotas.ledger.states import BATCHES


def grace_seconds() -> float:
    """Return how many seconds after its expiry a hold may still be open.

    Two periods, as the reaper's interval varies by a fifth and one run may fail.
    """
    period: float = settings.MODELKEEP_REAPER_PERIOD
    return 2 * period


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant (I1 to I6 in docs/credits.md); it spans all pools if pool_id is None."""

    invariant: str
    message: str
    pool_id: int | None = None
    tenant_id: UUID | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"tenant_id": self.tenant_id and str(self.tenant_id)}


@dataclass(frozen=True, slots=True)
class PoolSums:
    """A pool's counters and the totals of its holds, call records, grants and sealed credits."""

    pool_id: int
    tenant_id: UUID
    limit: int
    settled: int
    held: int
    open_amount: int
    used: int
    finished: int
    late: int
    misfiled: int
    records: int
    record_credits: int
    odd_records: int
    granted: int
    sealed_credits: int


# A single statement, so that all numbers come from one snapshot while calls go on.
SUMS = """
SELECT pool.id, pool.tenant_id, pool."limit", pool.settled, pool.held,
       COALESCE(holds.open_amount, 0), COALESCE(holds.used, 0), COALESCE(holds.finished, 0),
       COALESCE(holds.late, 0), COALESCE(holds.misfiled, 0), COALESCE(records.number, 0),
       COALESCE(records.credits, 0), COALESCE(records.odd, 0), COALESCE(grants.amount, 0),
       COALESCE(sealed.credits, 0)
FROM quotas_creditpool AS pool
LEFT JOIN (
    SELECT hold.pool_id,
           SUM(CASE WHEN hold.state = 'held' THEN hold.amount ELSE 0 END) AS open_amount,
           SUM(hold.used) AS used,
           SUM(CASE WHEN hold.state = 'held' THEN 0 ELSE 1 END) AS finished,
           SUM(CASE WHEN hold.state = 'held' AND hold.expires < {late} THEN 1 ELSE 0 END) AS late,
           SUM(CASE WHEN hold.tenant_id <> owner.tenant_id THEN 1 ELSE 0 END) AS misfiled
    FROM quotas_hold AS hold JOIN quotas_creditpool AS owner ON owner.id = hold.pool_id
    GROUP BY hold.pool_id
) AS holds ON holds.pool_id = pool.id
LEFT JOIN (
    SELECT hold.pool_id, COUNT(*) AS number, SUM(record.credits) AS credits,
           SUM(CASE WHEN record.credits <> hold.used OR record.tenant_id <> hold.tenant_id
                      OR hold.state = 'held'
               THEN 1 ELSE 0 END) AS odd
    FROM quotas_callrecord AS record JOIN quotas_hold AS hold ON hold.id = record.hold_id
    GROUP BY hold.pool_id
) AS records ON records.pool_id = pool.id
LEFT JOIN (
    SELECT pool_id, SUM(amount) AS amount FROM quotas_grant GROUP BY pool_id
) AS grants ON grants.pool_id = pool.id
LEFT JOIN (
    SELECT pool_id, SUM(credits) AS credits FROM quotas_sealedcredits GROUP BY pool_id
) AS sealed ON sealed.pool_id = pool.id
ORDER BY pool.id
"""
OPEN = "SELECT id, pool_id, tenant_id, facts FROM quotas_hold WHERE state = 'held'"
ALL_CREDITS = "SELECT COALESCE(SUM(credits), 0), COUNT(hold_id) FROM quotas_callrecord"


def audit(*, now: datetime | None = None) -> list[Violation]:
    """Return all violations across all tenants; empty if the ledger is sound.

    Args:
        now: Current time, for tests; the database's clock by default.
    """
    pools, credits, records = _read(now)
    violations = [violation for pool in pools for violation in _check_pool(pool)]
    return [*violations, *_check_totals(pools, credits, records), *_check_batches()]


def _read(now: datetime | None) -> tuple[list[PoolSums], int, int]:
    sql = dialect()
    late = sql.seconds(-grace_seconds())
    query = (
        f"WITH sums AS ({SUMS.format(late=sql.later)}), total AS ({ALL_CREDITS}) "  # noqa: S608
        "SELECT * FROM total LEFT JOIN sums ON TRUE"
    )
    rows = execute(query, (sql.value(now), late))
    pools = [_sums(row[2:]) for row in rows if row[2] is not None]
    return pools, int(rows[0][0]), int(rows[0][1])


def _sums(row: Any) -> PoolSums:
    pool_id, tenant_id, *numbers = row
    return PoolSums(pool_id, read_uuid(tenant_id), *(int(number) for number in numbers))


def _check_pool(pool: PoolSums) -> Iterator[Violation]:
    checks = (
        (
            "I1",
            pool.settled + pool.held <= pool.limit,
            f"used {pool.settled} + held {pool.held} > limit {pool.limit}",
        ),
        (
            "I1",
            pool.settled >= 0 and pool.held >= 0,
            f"used {pool.settled} or held {pool.held} is negative",
        ),
        ("I2", pool.held == pool.open_amount, f"held {pool.held}, open holds {pool.open_amount}"),
        (
            "I3",
            pool.settled == pool.used + pool.sealed_credits,
            f"used {pool.settled}, but holds add up to {pool.used}{_sealed(pool.sealed_credits)}",
        ),
        (
            "I3",
            pool.settled == pool.record_credits + pool.sealed_credits,
            f"used {pool.settled}, but call records add up to {pool.record_credits}"
            f"{_sealed(pool.sealed_credits)}",
        ),
        (
            "I3",
            pool.odd_records == 0,
            f"{pool.odd_records} call records do not match their hold",
        ),
        ("I3", pool.misfiled == 0, f"{pool.misfiled} holds belong to another workspace"),
        (
            "I4",
            pool.records == pool.finished,
            f"{pool.records} call records, {pool.finished} finished holds",
        ),
        ("I5", pool.limit == pool.granted, f"limit {pool.limit}, grants {pool.granted}"),
        ("I6", pool.late == 0, f"{pool.late} holds are still open long after they expired"),
    )
    for invariant, holds, message in checks:
        if not holds:
            yield Violation(invariant, message, pool.pool_id, pool.tenant_id)


def _sealed(credits: int) -> str:
    return f", and sealed credits to {credits}" if credits else ""


def _check_totals(pools: list[PoolSums], credits: int, records: int) -> Iterator[Violation]:
    settled, finished = sum(pool.settled for pool in pools), sum(pool.finished for pool in pools)
    sealed = sum(pool.sealed_credits for pool in pools)
    if credits + sealed != settled:
        yield Violation(
            "I3",
            f"in total: used {settled}, but call records add up to {credits}{_sealed(sealed)}",
        )
    if records != finished:
        yield Violation(
            "I4", f"in total: {records} call records of trials, {finished} finished holds"
        )


def _check_batches() -> Iterator[Violation]:
    """Find holds of batches that have ended or are unknown, which expire after weeks only."""
    suspects = _unneeded()
    if not suspects:
        return
    still = _unneeded()  # a batch may have ended between the two reads
    for hold_id, (pool_id, tenant_id) in suspects.items():
        if hold_id in still:
            message = f"the hold {hold_id} is open, but its batch has ended or is unknown"
            yield Violation("I6", message, pool_id, tenant_id)


def _unneeded() -> dict[UUID, tuple[int, UUID]]:
    """Return the pools and workspaces of open holds that no batch needs."""
    held = {
        read_uuid(hold_id): (int(pool_id), read_uuid(tenant_id))
        for hold_id, pool_id, tenant_id, facts in execute(OPEN, ())
        if read_json(facts).get("operation") == BATCHES
    }
    needed = set(ports.holds_of_open_batches()) if held else set()
    return {hold_id: pool for hold_id, pool in held.items() if hold_id not in needed}
