"""How large and old the ledger is, for operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from core.db.connection import dialect, execute, now
from core.db.dialect import read_time
from quotas.retention.calls import KIND
from quotas.retention.due import cutoff

OVERDUE: Final = timedelta(days=7)  # what runs daily has not run
# IDs of calls sort by time.
_TIMES_SQL: Final = (
    "SELECT (SELECT time FROM quotas_callrecord ORDER BY id LIMIT 1), "
    "(SELECT made FROM tenants_archive WHERE kind = {p} ORDER BY number DESC LIMIT 1)"
)
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
        [row] = execute(_TIMES_SQL.format(p=dialect().mark), [KIND])
        oldest, archived = (None if time is None else read_time(time) for time in row)
        limit = cutoff(now() - OVERDUE)
        return cls(
            size=_size(),
            oldest=oldest,
            archived=archived,
            is_overdue=bool(limit and oldest and oldest < limit),
        )


def _size() -> int:
    if connection.vendor == "postgresql":
        sizes = ", ".join(f"('{name}'::regclass)" for name in _TABLES)
        [(size,)] = execute(f"SELECT SUM(pg_total_relation_size(t)) FROM (VALUES {sizes}) AS s (t)")  # noqa: S608
        return int(size)
    [(size,)] = execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    return int(size)
