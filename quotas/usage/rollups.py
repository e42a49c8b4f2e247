"""Roll usage up by closed hours and days, so that pages need not add up every call.

Why rollups are exact under concurrency:

* An hour is rolled up two hours after it ended. If a record is written more than an hour after its
  call, a database trigger notes the hour in StaleHour in the same transaction. So a record is
  either seen when its hour is rolled up, or its note remains and the hour is rolled up again. (Only
  a transaction open for an hour could escape; the ledger's are single statements.)
* An hour's notes are deleted before it is rolled up: a note added in the meantime remains.
* Readers take an hour from its rollup or, if it is stale or not rolled up yet, from the records
  (quotas/usage/totals.py).
* Only one process at a time works on a tenant: PostgreSQL locks its row in RolledUntil; SQLite has
  a single writer. Each transaction covers one hour.
* Hours before RolledUntil.pruned are never rolled up again: their records were deleted
  (quotas/retention/drop.py).
* Rollups never pass the database's clock. Those of a clock that was ahead, and has been put right,
  are taken back: calls since would otherwise fall into hours that count as rolled up.

A tenant without calls since its rollups costs nothing but a look into an index: how far its rollups
reach stays as it is, and readers find no calls from there on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection as database
from django.db import transaction

from core.db import connection
from core.db.connection import dialect, execute, values
from core.db.dialect import read_time
from core.times import DAY, EPOCH, HOUR, NEVER, floor_day, floor_hour
from quotas.usage import columns

logger = logging.getLogger(__name__)
CLOSED_AFTER: Final = timedelta(hours=2)  # twice the delay that makes a record late


@dataclass(slots=True)
class Rolled:
    """The outcome of one run.

    Attributes:
        closed: Hours rolled up for the first time.
        redone: Stale hours rolled up again.
        done: Whether nothing is left to do.
        failed: Tenants whose calls could not be rolled up; the log has the errors.
    """

    closed: int = 0
    redone: int = 0
    done: bool = True
    failed: int = 0


def roll_up(
    *, now: datetime | None = None, seconds: float | None = None, pause: float = 0.0
) -> Rolled:
    """Roll up closed hours and roll stale ones up again; safe to run concurrently.

    A tenant that fails is tried again in the next run, and stops no other.

    Args:
        now: Current time, for tests; the database's clock by default.
        seconds: Time after which to stop with `done` False; None for no limit.
        pause: Seconds after each transaction, so that a server goes on answering.
    """
    limit = floor_hour((now or connection.now()) - CLOSED_AFTER)
    rolled, began = Rolled(), time.monotonic()
    for tenant_id in _ahead(limit):
        _take_back(tenant_id, limit)
    for tenant_id in _tenants(limit):
        try:
            for was_stale in _roll_tenant(tenant_id, limit):
                if was_stale:
                    rolled.redone += 1
                else:
                    rolled.closed += 1
                if seconds is not None and time.monotonic() - began > seconds:
                    rolled.done = False
                    return rolled
                time.sleep(pause)
        except Exception:
            if not database.is_usable():
                raise
            logger.exception("Cannot roll up the usage of workspace %s", tenant_id)
            rolled.failed += 1
    return rolled


def _tenants(limit: datetime) -> list[Any]:
    """Return tenants with stale hours or calls to roll up; ids in the database's own form."""
    sql = """
        SELECT tenant.id FROM tenants_tenant AS tenant
        LEFT JOIN quotas_rolleduntil AS rolled ON rolled.tenant_id = tenant.id
        WHERE EXISTS (SELECT 1 FROM quotas_callrecord AS record
                      WHERE record.tenant_id = tenant.id
                        AND record.time >= COALESCE(rolled.until, %s) AND record.time < %s)
           OR EXISTS (SELECT 1 FROM quotas_stalehour AS stale
                      WHERE stale.tenant_id = tenant.id AND stale.start < rolled.until
                        AND stale.start >= COALESCE(rolled.pruned, %s))
        ORDER BY tenant.id"""
    return [tenant_id for (tenant_id,) in execute(sql, values([EPOCH, limit, EPOCH]))]


def _ahead(limit: datetime) -> list[Any]:
    """Return tenants whose rollups reach into hours that are not over, or only just."""
    sql = "SELECT tenant_id FROM quotas_rolleduntil WHERE until > %s ORDER BY tenant_id"
    return [tenant_id for (tenant_id,) in execute(sql, values([limit]))]


@transaction.atomic
def _take_back(tenant_id: Any, limit: datetime) -> None:
    """Let a tenant's rollups end at `limit`."""
    until = _locked(tenant_id)
    if until is None or until <= limit:
        return
    logger.warning(
        "The clock was ahead when usage was rolled up until %s: rolling up from %s on again",
        until,
        limit,
    )
    for span, start in ((1, limit), (24, floor_day(limit))):
        execute(
            "DELETE FROM quotas_usagerollup WHERE tenant_id = %s AND span = %s AND start >= %s",
            (tenant_id, span, *values([start])),
        )
    execute(
        "UPDATE quotas_rolleduntil SET until = %s WHERE tenant_id = %s",
        (*values([limit]), tenant_id),
    )


def _roll_tenant(tenant_id: Any, limit: datetime) -> Iterator[bool]:
    """Roll up a tenant hour by hour, yielding whether each hour was stale."""
    while (start := _close_next(tenant_id, limit)) is not None:
        if start is not NEVER:
            yield False
    for (stale_start,) in execute(
        "SELECT DISTINCT start FROM quotas_stalehour WHERE tenant_id = %s ORDER BY start",
        (tenant_id,),
    ):
        if _redo(tenant_id, read_time(stale_start)):
            yield True


@transaction.atomic
def _close_next(tenant_id: Any, limit: datetime) -> datetime | None:
    """Roll up the next hour before `limit` that has calls.

    Returns:
        The hour's start; NEVER if no calls were left; None if there is nothing to do or another
        process is working on the tenant.
    """
    until = _locked(tenant_id)
    if until is None or until >= limit:
        return None
    sql = (
        "SELECT MIN(time) FROM quotas_callrecord WHERE tenant_id = %s AND time >= %s AND time < %s"
    )
    [(first,)] = execute(sql, (tenant_id, *values([until, limit])))
    if first is None:
        _move(tenant_id, until, limit)
        return NEVER
    start = floor_hour(read_time(first))
    _sum_hour(tenant_id, start)
    _move(tenant_id, until, start + HOUR)
    return start


def _locked(tenant_id: Any) -> datetime | None:
    """Lock the tenant's row and return how far its rollups reach; None if it is already locked."""
    lock = dialect().skip_locked.format(table="quotas_rolleduntil")
    sql = f"SELECT until FROM quotas_rolleduntil WHERE tenant_id = %s {lock}"  # noqa: S608
    rows = execute(sql, (tenant_id,))
    if not rows:
        insert = (
            "INSERT INTO quotas_rolleduntil (tenant_id, until) VALUES (%s, %s) ON CONFLICT "
            "(tenant_id) DO NOTHING"
        )
        execute(insert, (tenant_id, *values([EPOCH])))
        rows = execute(sql, (tenant_id,))
    return read_time(rows[0][0]) if rows else None


def _move(tenant_id: Any, old: datetime, new: datetime) -> None:
    """Store how far the rollups reach now and roll up the days completed by that."""
    execute(
        "UPDATE quotas_rolleduntil SET until = %s WHERE tenant_id = %s", (*values([new]), tenant_id)
    )
    if floor_day(new) > floor_day(old):
        sql = (
            "SELECT DISTINCT start FROM quotas_usagerollup WHERE tenant_id = %s AND span = 1 "
            "AND start >= %s AND start < %s"
        )
        rows = execute(sql, (tenant_id, *values([floor_day(old), floor_day(new)])))
        for day in sorted({floor_day(read_time(start)) for (start,) in rows}):
            _sum_day(tenant_id, day)


@transaction.atomic
def _redo(tenant_id: Any, start: datetime) -> bool:
    """Roll a stale hour up again, and its day if that is already rolled up.

    Returns:
        False if the hour is not rolled up yet or another process is working on the tenant.
    """
    until = _locked(tenant_id)
    if until is None or start >= until or start < _pruned(tenant_id):
        return False
    _sum_hour(tenant_id, start)
    if floor_day(start) + DAY <= floor_day(until):
        _sum_day(tenant_id, floor_day(start))
    return True


# -- pruning ---------------------------------------------------------------------------------------


def lock_for_pruning(tenant_id: UUID) -> tuple[datetime, datetime]:
    """Keep others from rolling up a tenant; return how far its rollups reach, and its pruning.

    The tenant has been rolled up before.
    """
    own = values([tenant_id])
    rows = execute(
        f"SELECT until FROM quotas_rolleduntil WHERE tenant_id = %s {dialect().lock}",  # noqa: S608
        own,
    )
    return (read_time(rows[0][0]), _pruned(*own)) if rows else (EPOCH, EPOCH)


def _pruned(tenant_id: Any) -> datetime:
    rows = execute(
        "SELECT pruned FROM quotas_rolleduntil WHERE tenant_id = %s AND pruned IS NOT NULL",
        [tenant_id],
    )
    return read_time(rows[0][0]) if rows else EPOCH


def set_pruned(tenant_id: UUID, end: datetime) -> None:
    """Read usage before `end` from rollups alone; its records are deleted in this transaction."""
    execute(
        "UPDATE quotas_rolleduntil SET pruned = %s WHERE tenant_id = %s", values([end, tenant_id])
    )


def add_late(tenant_id: UUID, start: datetime, record_ids: Sequence[UUID]) -> None:
    """Add records to the rollups of an hour that was pruned before they came."""
    own, first, last = values([tenant_id, start, start + HOUR])
    sql = _HOUR.format(start=dialect().timestamp, more=f"AND id {dialect().among.format(p='%s')} ")
    execute(sql, (first, own, first, last, dialect().uuids(record_ids)))
    execute("DELETE FROM quotas_stalehour WHERE tenant_id = %s AND start = %s", (own, first))
    _sum_day(own, floor_day(start))


_GROUPS = ", ".join(columns.GROUPS)
_INSERT = (
    "INSERT INTO quotas_usagerollup "
    f"(tenant_id, span, start, {', '.join((*columns.GROUPS, *columns.ALL))}) "
)
_HOUR = (
    f"{_INSERT}SELECT tenant_id, 1, {{start}}, {_GROUPS}, "  # noqa: S608
    f"{', '.join(columns.total(name, value) for name, value in columns.ALL.items())} "
    f"FROM {columns.RATED} WHERE tenant_id = %s AND time >= %s AND time < %s {{more}}"
    f"GROUP BY tenant_id, {_GROUPS}"
)
_DAY = (
    f"{_INSERT}SELECT tenant_id, 24, {{start}}, {_GROUPS}, "  # noqa: S608
    f"{', '.join(columns.total(name) for name in columns.ALL)} "
    "FROM quotas_usagerollup WHERE tenant_id = %s AND span = 1 AND start >= %s AND start < %s "
    f"GROUP BY tenant_id, {_GROUPS}"
)


def _sum_hour(tenant_id: UUID, start: datetime) -> None:
    """Delete the hour's notes, then roll it up: the second statement sees the noted records."""
    execute(
        "DELETE FROM quotas_stalehour WHERE tenant_id = %s AND start = %s",
        (tenant_id, *values([start])),
    )
    _replace(_HOUR, 1, tenant_id, start, start + HOUR)


def _sum_day(tenant_id: UUID, start: datetime) -> None:
    _replace(_DAY, 24, tenant_id, start, start + DAY)


def _replace(insert: str, span: int, tenant_id: UUID, start: datetime, end: datetime) -> None:
    execute(
        "DELETE FROM quotas_usagerollup WHERE tenant_id = %s AND span = %s AND start = %s",
        (tenant_id, span, *values([start])),
    )
    first, last = values([start, end])
    execute(insert.format(start=dialect().timestamp, more=""), (first, tenant_id, first, last))
