"""Which calls are too old to keep, a month at a time, and how they are written to an archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from core.db import connection
from core.db.connection import execute
from core.db.dialect import read_time, read_uuid
from core.times import floor_day, floor_month, kept_from, next_month
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
    """Return the time before which calls of most workspaces are not kept; None if all are."""
    days = settings.MODELKEEP_KEEP_CALL_DAYS
    return kept_from(days, now or connection.now()) if days else None


def due(now: datetime | None = None) -> list[Due]:
    """Return the earliest month's calls that are too old, by workspace; empty if there are none.

    Most workspaces' calls go by whole months, and those of a workspace with a limit of its own by
    days.
    """
    now = now or connection.now()
    general, latest = cutoff(now), floor_day(now)
    sql = """
        SELECT id, call_days, first FROM (
            SELECT tenant.id, tenant.call_days, (
                SELECT MIN(time) FROM quotas_callrecord AS record
                WHERE record.tenant_id = tenant.id
            ) AS first FROM tenants_tenant AS tenant
        ) AS oldest WHERE first < %s ORDER BY id"""
    spans = []
    for tenant_id, days, first in execute(sql, connection.values([latest])):
        own = floor_day(now - timedelta(days=days)) if days else latest
        before = min(own, general or latest)
        if (days or general) and read_time(first) < before:
            spans.append(Due(read_uuid(tenant_id), read_time(first), before))
    if not spans:
        return []
    end = next_month(floor_month(min(span.first for span in spans)))
    return [replace(span, before=min(span.before, end)) for span in spans if span.first < end]


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
