"""Statements that read and write many corrections at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from django.db.models import Q, QuerySet

from core.db.connection import dialect, execute, values
from core.db.dialect import POSTGRES
from quotas.models import CallRecord, CostCorrection, StaleHour
from quotas.usage import corrected

COLUMNS: Final = (
    *("id", "time", "provider", "model"),
    *("prompt_tokens", "completion_tokens", "cached_tokens", "images"),
    *("quantities", "price_version", "cost", "currency"),
    *("fix_id", "fix_cost", "fix_currency"),
)


class Corrected(NamedTuple):
    """What a call costs by another price; `replaces` is the correction before, if any."""

    call: UUID
    time: datetime
    replaces: int | None
    cost: Decimal | None
    currency: str
    price_version: str


def rows(
    calls: QuerySet[CallRecord, Any],
    since: datetime,
    before: datetime,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[tuple[Any, ...]]:
    """Return calls with their corrections in the order of their time.

    Args:
        after: Time and id of the last call of the batch before.
    """
    start = since if after is None else after[0]
    found = calls.filter(time__gte=start, time__lt=before)
    if after is not None:
        found = found.exclude(Q(time=after[0]) & Q(id__lte=after[1]))
    ordered = corrected.joined(found).order_by("time", "id")
    return list(ordered.values_list(*COLUMNS)[:limit])


def supersede(corrections: Sequence[Corrected]) -> None:
    """Let the corrections before no longer be current."""
    if before := [each.replaces for each in corrections if each.replaces is not None]:
        for start in range(0, len(before), 500):  # SQLite takes so many parameters
            chunk = before[start : start + 500]
            CostCorrection.objects.filter(pk__in=chunk).update(is_current=False)


_INSERT: Final = (
    "INSERT INTO quotas_costcorrection "
    "(tenant_id, rating_id, call_id, is_current, cost, currency, price_version) SELECT "
)
# One parameter for all rows, which is read by the database itself: a million rows take seconds.
_POSTGRES: Final = (
    f"{_INSERT}%s, %s, call, TRUE, cost, currency, version FROM jsonb_to_recordset(%s::jsonb) "
    "AS made(call uuid, cost numeric, currency text, version text)"
)
_SQLITE: Final = (
    f"{_INSERT}%s, %s, json_extract(value, '$.call'), 1, "
    "json_extract(value, '$.cost'), json_extract(value, '$.currency'), "
    "json_extract(value, '$.version') FROM json_each(%s)"
)


def insert(tenant_id: UUID, rating_id: UUID, corrections: Sequence[Corrected]) -> None:
    document = orjson.dumps(
        [
            {
                "call": each.call.hex,
                "cost": None if each.cost is None else str(each.cost),
                "currency": each.currency,
                "version": each.price_version,
            }
            for each in corrections
        ]
    ).decode()
    sql = _POSTGRES if dialect() is POSTGRES else _SQLITE
    execute(sql, values([tenant_id, rating_id, document]))


def mark_stale(tenant_id: UUID, hours: Collection[datetime]) -> None:
    """Have the hours' usage rolled up again."""
    for hour in hours:
        StaleHour.objects.create(tenant_id=tenant_id, start=hour)
