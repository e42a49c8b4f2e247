"""Verify that the archives hold the calls that the sealed credits say."""

from __future__ import annotations

from collections import Counter
from datetime import date

from core.db.connection import execute
from core.db.dialect import read_time
from core.times import floor_month
from quotas.retention.calls import KIND
from tenants.archives import chain
from tenants.models import Archive

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
    sealed = _sealed()
    found = [
        f"Pool {key[0]}, {key[1]:%Y-%m}: {number} calls and {used} credits are sealed, but "
        f"{calls[key]} and {credits[key]} archived."
        for key, (number, used) in sealed.items()
        if (calls[key], credits[key]) != (number, used)
    ]
    missing = calls.keys() - sealed.keys()
    return found + [
        f"Pool {pool}, {month:%Y-%m}: {calls[pool, month]} calls are archived, but none is sealed."
        for pool, month in sorted(missing)
    ]


def _sealed() -> dict[Key, tuple[int, int]]:
    rows = execute(
        "SELECT pool_id, month, calls, credits FROM quotas_sealedcredits ORDER BY pool_id, month"
    )
    return {
        (pool, month if isinstance(month, date) else date.fromisoformat(month)): (calls, credits)
        for pool, month, calls, credits in rows
    }
