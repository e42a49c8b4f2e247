"""Archive and delete what has been logged: audit entries, opened keys, operators' changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db.models import Q, QuerySet

from core.db import connection
from core.db.exclusive import pruning
from core.times import floor_month, kept_from, next_month
from tenants.archives import chain
from tenants.archives.files import Row
from tenants.models import Archive, AuditEntry, KeyOpening
from tenants.scope import all_tenants

SIZE: Final = 1_000  # rows of a query or transaction
PAUSE: Final = 0.005  # seconds after each transaction


class Log(NamedTuple):
    """The rows of a table, and its column of times or days."""

    rows: Callable[[], QuerySet[Any]]
    column: str
    by_day: bool = False


LOGS: Final[Mapping[str, Log]] = {
    "audit": Log(AuditEntry.objects.all, "time"),
    "openings": Log(KeyOpening.objects.all, "day", by_day=True),
    "operators": Log(LogEntry.objects.all, "action_time"),
}


def prune_logs(*, now: datetime | None = None, pause: float = PAUSE) -> dict[str, int]:
    """Archive and delete what MODELKEEP_KEEP_AUDIT_DAYS does not keep; safe to run again.

    Returns:
        The number of deleted rows of each log; empty if there is no limit.

    Raises:
        ArchiveError: An archive can't be written or read.
    """
    days = settings.MODELKEEP_KEEP_AUDIT_DAYS
    if not days:
        return {}
    before = kept_from(days, now or connection.now())
    with pruning(), all_tenants():
        return {kind: _prune(kind, log, before, pause) for kind, log in LOGS.items()}


def _prune(kind: str, log: Log, before: datetime, pause: float) -> int:
    deleted = sum(_drop(archive, log, pause) for archive in chain.unfinished(kind))
    while (month := _earliest(log, before)) is not None:
        archive = chain.add(kind, _rows(log, min(before, next_month(month))))
        count = _drop(archive, log, pause) if archive else 0
        deleted += count
        if not count:
            break
    return deleted


def _earliest(log: Log, before: datetime) -> datetime | None:
    """Return the month of the oldest row, if it is before a time."""
    rows = log.rows().filter(_before(log, before)).order_by(log.column)
    first = rows.values_list(log.column, flat=True).first()
    return None if first is None else floor_month(_time(first))


def _before(log: Log, before: datetime) -> Q:
    value = before.date() if log.by_day else before
    return Q(**{f"{log.column}__lt": value})


def _time(value: datetime | date) -> datetime:
    if isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


def _rows(log: Log, before: datetime) -> Iterator[Row]:
    rows = log.rows().filter(_before(log, before)).order_by(log.column, "pk")
    begin = Q()
    while batch := list(rows.filter(begin).values()[:SIZE]):
        yield from batch
        last = batch[-1]
        same = Q(**{log.column: last[log.column], "pk__gt": last["id"]})
        begin = Q(**{f"{log.column}__gt": last[log.column]}) | same


def _drop(archive: Archive, log: Log, pause: float) -> int:
    """Delete the rows of an archive that are still in the database."""
    deleted, ids = 0, []
    for row in chain.rows_of(archive):
        ids.append(row["id"])
        if len(ids) == SIZE:
            deleted += log.rows().filter(pk__in=ids).delete()[0]
            ids.clear()
            time.sleep(pause)
    deleted += log.rows().filter(pk__in=ids).delete()[0]
    chain.mark_dropped(archive)
    return deleted
