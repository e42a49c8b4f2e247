"""Makes the sums of closed hours and days, so that pages need not add up every call again.

Why they are exact, whatever happens at the same time:

* An hour's sums are made two hours after it ended. A record that is written more than an hour after
  its call notes its hour in StaleHour, in its own transaction, by the database's trigger. So a
  record is either seen when its hour is summed, or its note stays behind and the hour is summed
  again. (Only a transaction that stays open for an hour could escape; the ledger's are single
  statements.)
* Notes are deleted before the sums are made, each by its id: a note that comes meanwhile remains.
* Whoever reads takes an hour either from its sums or, where it is stale or not summed yet, from the
  records (quotas/usage/totals.py).
* One at a time works on a tenant: its row in RolledUntil is locked on PostgreSQL; SQLite has one
  writer. A transaction is one hour long.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from core.db import connection
from core.db.connection import dialect, execute, values
from core.db.dialect import read_time
from core.times import DAY, EPOCH, HOUR, NEVER, floor_day, floor_hour
from quotas.usage import columns

CLOSED_AFTER: Final = timedelta(hours=2)  # twice what makes a record late


@dataclass(slots=True)
class Rolled:
    """What one look did: hours summed for the first time, stale hours summed again, and whether
    nothing is left to do.
    """

    closed: int = 0
    redone: int = 0
    done: bool = True


def roll_up(*, now: datetime | None = None, seconds: float | None = None) -> Rolled:
    """Sum what is closed and not summed, and stale hours again; any number may run at the same
    time.

    now: the clock of tests, else the database's. seconds: stop after so many, with `done` False;
    None is no limit.
    """
    limit = floor_hour((now or connection.now()) - CLOSED_AFTER)
    rolled, began = Rolled(), time.monotonic()
    for tenant_id in _tenants(limit):
        for was_stale in _roll_tenant(tenant_id, limit):
            if was_stale:
                rolled.redone += 1
            else:
                rolled.closed += 1
            if seconds is not None and time.monotonic() - began > seconds:
                rolled.done = False
                return rolled
    return rolled


def _tenants(limit: datetime) -> list[Any]:
    """Tenants with something to do: stale hours, or hours after the last summed one. Ids as the
    database has them.
    """
    sql = """
        SELECT tenant.id FROM tenants_tenant AS tenant
        LEFT JOIN quotas_rolleduntil AS rolled ON rolled.tenant_id = tenant.id
        WHERE rolled.until IS NULL OR rolled.until < %s
           OR EXISTS (SELECT 1 FROM quotas_stalehour AS stale
                      WHERE stale.tenant_id = tenant.id AND stale.start < rolled.until)
        ORDER BY tenant.id"""
    return [tenant_id for (tenant_id,) in execute(sql, values([limit]))]


def _roll_tenant(tenant_id: Any, limit: datetime) -> Iterator[bool]:
    """One step of a tenant after the other: False for an hour that was closed, True for a stale one
    that was summed again.
    """
    while (start := _close_next(tenant_id, limit)) is not None:
        if start is not NEVER:
            yield False
    for (found,) in execute(
        "SELECT DISTINCT start FROM quotas_stalehour WHERE tenant_id = %s ORDER BY start",
        (tenant_id,),
    ):
        if _redo(tenant_id, read_time(found)):
            yield True


@transaction.atomic
def _close_next(tenant_id: Any, limit: datetime) -> datetime | None:
    """Sum the first hour before `limit` that has calls and no sums yet; None where all is summed or
    somebody else is at it.
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
        return NEVER  # the rest had no calls
    start = floor_hour(read_time(first))
    _sum_hour(tenant_id, start)
    _move(tenant_id, until, start + HOUR)
    return start


def _locked(tenant_id: Any) -> datetime | None:
    """How far the tenant's sums reach, its row locked; None where somebody else has locked it."""
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
    """Note how far the sums reach now, and make those of the days that are complete with it."""
    execute(
        "UPDATE quotas_rolleduntil SET until = %s WHERE tenant_id = %s", (*values([new]), tenant_id)
    )
    if floor_day(new) > floor_day(old):
        sql = (
            "SELECT DISTINCT start FROM quotas_usagerollup WHERE tenant_id = %s AND span = 1 "
            "AND start >= %s AND start < %s"
        )
        found = execute(sql, (tenant_id, *values([floor_day(old), floor_day(new)])))
        for day in sorted({floor_day(read_time(start)) for (start,) in found}):
            _sum_day(tenant_id, day)


@transaction.atomic
def _redo(tenant_id: Any, start: datetime) -> bool:
    """Sum a stale hour again, and its day where that is summed too. False: it is not summed yet, or
    somebody else is at it.
    """
    until = _locked(tenant_id)
    if until is None or start >= until:
        return False
    _sum_hour(tenant_id, start)
    if floor_day(start) + DAY <= floor_day(until):
        _sum_day(tenant_id, floor_day(start))
    return True


_GROUPS = ", ".join(columns.GROUPS)
_INSERT = (
    "INSERT INTO quotas_usagerollup "
    f"(tenant_id, span, start, {', '.join((*columns.GROUPS, *columns.ALL))}) "
)
_HOUR = (
    f"{_INSERT}SELECT tenant_id, 1, {{start}}, {_GROUPS}, "  # noqa: S608
    f"{', '.join(columns.total(name, value) for name, value in columns.ALL.items())} "
    "FROM quotas_callrecord WHERE tenant_id = %s AND time >= %s AND time < %s "
    f"GROUP BY tenant_id, {_GROUPS}"
)
_DAY = (
    f"{_INSERT}SELECT tenant_id, 24, {{start}}, {_GROUPS}, "  # noqa: S608
    f"{', '.join(columns.total(name) for name in columns.ALL)} "
    "FROM quotas_usagerollup WHERE tenant_id = %s AND span = 1 AND start >= %s AND start < %s "
    f"GROUP BY tenant_id, {_GROUPS}"
)


def _sum_hour(tenant_id: UUID, start: datetime) -> None:
    """First the notes go, then the records are summed: a record whose note was deleted is seen by
    the statement after it.
    """
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
    execute(insert.format(start=dialect().timestamp), (first, tenant_id, first, last))
