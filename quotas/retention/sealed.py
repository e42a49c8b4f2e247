"""Verify that the archives hold the calls that the sealed credits say."""

from __future__ import annotations

from collections import Counter
from datetime import date

from core.db.dialect import read_time
from core.times import floor_month
from quotas.models import SealedCredits
from quotas.retention.calls import KIND
from tenants.archives import chain
from tenants.models import Archive
from tenants.scope import all_tenants

Key = tuple[int, date]  # pool, month


def problems() -> list[str]:
    """Compare all archives of calls with the sealed credits of each pool and month.

    Raises:
        ArchiveError: An archive is missing or was changed.
    """
    calls: Counter[Key] = Counter()
    credits: Counter[Key] = Counter()
    seen: set[str] = set()  # a call may stand in two archives
    for archive in Archive.objects.filter(kind=KIND).exclude(dropped=None).order_by("number"):
        for row in chain.rows_of(archive):
            if row["hold_id"] and row["id"] not in seen:
                seen.add(row["id"])
                key = row["hold"]["pool_id"], floor_month(read_time(row["time"])).date()
                calls[key] += 1
                credits[key] += row["credits"]
    with all_tenants():
        sealed = list(SealedCredits.objects.order_by("pool", "month"))
    found = [
        f"Pool {row.pool_id}, {row.month:%Y-%m}: {row.calls} calls and {row.credits} credits are "
        f"sealed, but {calls[key]} and {credits[key]} archived."
        for row in sealed
        if (calls[key := (row.pool_id, row.month)], credits[key]) != (row.calls, row.credits)
    ]
    missing = set(calls) - {(row.pool_id, row.month) for row in sealed}
    return found + [
        f"Pool {pool}, {month:%Y-%m}: {calls[pool, month]} calls are archived, but none is sealed."
        for pool, month in sorted(missing)
    ]
