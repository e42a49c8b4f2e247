"""Which calls are too old to keep, a month at a time, and how they are written to an archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from core.db import connection
from core.db.connection import execute
from core.db.dialect import read_time, read_uuid
from core.times import floor_month, kept_from, next_month
from quotas.models import CallRecord, Hold
from quotas.usage import corrected
from tenants.scope import tenant_scope

SIZE: Final = 2_000  # rows of a query
_CALL: Final = tuple(field.attname for field in CallRecord._meta.concrete_fields)
_HOLD: Final = tuple(field.attname for field in Hold._meta.concrete_fields)
_OF_HOLD: Final = "hold__"
# Names in an archived call's correction, if it has one.
_CORRECTION: Final = {
    "rating_id": "fix_rating",
    "cost": "fix_cost",
    "currency": "fix_currency",
    "price_version": "fix_version",
}


@dataclass(frozen=True, slots=True)
class Due:
    """The calls of a workspace in [first, before), within a month."""

    tenant_id: UUID
    first: datetime
    before: datetime


def cutoff(now: datetime | None = None) -> datetime | None:
    """Return the time before which calls are not kept; None if all are."""
    days = settings.MODELKEEP_KEEP_CALL_DAYS
    return kept_from(days, now or connection.now()) if days else None


def due(before: datetime) -> list[Due]:
    """Return the earliest month's calls before a time, by workspace; empty if there are none."""
    sql = """
        SELECT id, first FROM (
            SELECT tenant.id, (SELECT MIN(time) FROM quotas_callrecord AS record
                               WHERE record.tenant_id = tenant.id) AS first
            FROM tenants_tenant AS tenant
        ) AS oldest WHERE first < %s ORDER BY id"""
    firsts = [
        (read_uuid(tenant_id), read_time(first))
        for tenant_id, first in execute(sql, connection.values([before]))
    ]
    if not firsts:
        return []
    end = min(before, next_month(floor_month(min(first for _id, first in firsts))))
    return [Due(tenant_id, first, end) for tenant_id, first in firsts if first < end]


def rows_of(due: Due) -> Iterator[Mapping[str, Any]]:
    """Yield calls with their holds, as the tables have them, in the order of their times."""
    columns = (*_CALL, *(f"{_OF_HOLD}{name}" for name in _HOLD), *_CORRECTION.values())
    begin = Q(time__gte=due.first)
    while True:
        with tenant_scope(due.tenant_id):
            rows = CallRecord.objects.filter(begin, tenant_id=due.tenant_id, time__lt=due.before)
            rows = corrected.joined(rows)
            batch = list(rows.order_by("time", "pk").values_list(*columns)[:SIZE])
        yield from (_as_mapping(row) for row in batch)
        if len(batch) < SIZE:
            return
        last = dict(zip(_CALL, batch[-1], strict=False))
        begin = Q(time__gt=last["time"]) | Q(time=last["time"], pk__gt=last["id"])


def _as_mapping(row: tuple[Any, ...]) -> dict[str, Any]:
    call, hold = row[: len(_CALL)], row[len(_CALL) : -len(_CORRECTION)]
    values = dict(zip(_CALL, call, strict=True))
    correction = dict(zip(_CORRECTION, row[-len(_CORRECTION) :], strict=True))
    if correction["rating_id"] is not None:
        values["correction"] = correction
    if values["hold_id"] is not None:
        values["hold"] = dict(zip(_HOLD, hold, strict=True))
    return values
