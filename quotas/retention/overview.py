"""How large and old the ledger is, for operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from core.db.connection import execute, now
from core.db.dialect import read_time
from quotas.retention.calls import KIND
from quotas.retention.due import cutoff
from tenants.models import Archive

OVERDUE: Final = timedelta(days=7)  # what runs daily has not run
_TABLES: Final = ("quotas_callrecord", "quotas_hold", "quotas_usagerollup")


@dataclass(frozen=True, slots=True)
class Ledger:
    """The size of the ledger, or of the whole database with SQLite, in bytes; the time of the
    oldest call, and of the last archive of calls.
    """

    size: int
    oldest: datetime | None
    archived: datetime | None
    is_overdue: bool  # calls are older than the operator wants

    @classmethod
    def read(cls) -> Ledger:
        # ids sort by time
        oldest = [
            read_time(time)
            for (time,) in execute("SELECT time FROM quotas_callrecord ORDER BY id LIMIT 1")
        ]
        archives = Archive.objects.filter(kind=KIND).order_by("number")
        limit = cutoff(now() - OVERDUE)
        return cls(
            size=_size(),
            oldest=oldest[0] if oldest else None,
            archived=archives.values_list("made", flat=True).last(),
            is_overdue=bool(limit and oldest and oldest[0] < limit),
        )


def _size() -> int:
    if connection.vendor == "postgresql":
        sizes = ", ".join(f"('{name}'::regclass)" for name in _TABLES)
        [(size,)] = execute(f"SELECT SUM(pg_total_relation_size(t)) FROM (VALUES {sizes}) AS s (t)")  # noqa: S608
        return int(size)
    [(pages,)], [(bytes_each,)] = execute("PRAGMA page_count"), execute("PRAGMA page_size")
    return int(pages) * int(bytes_each)
