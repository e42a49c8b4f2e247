"""When models were last called: to the hour from rollups, exactly from records not yet rolled up.

Rollups never count a call that was not made, so the later of both is right even while rollups are
stale or being created.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from core.db.connection import dialect, execute, values
from core.db.dialect import read_time
from core.times import EPOCH, HOUR, midnight
from quotas.usage import totals

Model = tuple[str, str]  # provider's slug, model's name
# Each model's newest hour is one index lookup. CROSS JOIN keeps SQLite without statistics from
# scanning the records first.
_LATEST: Final = """
WITH wanted (provider, model) AS (VALUES {wanted})
SELECT w.provider, w.model, 1, (
    SELECT MAX(u.start) FROM quotas_usagerollup u
    WHERE u.tenant_id = %s AND u.provider = w.provider AND u.model = w.model AND u.span = 1
) FROM wanted w
UNION ALL
SELECT c.provider, c.model, 0, MAX(c.time) FROM quotas_callrecord c
WHERE c.tenant_id = %s
    AND c.time >= COALESCE((SELECT r.until FROM quotas_rolleduntil r WHERE r.tenant_id = %s), %s)
GROUP BY c.provider, c.model
UNION ALL
SELECT c.provider, c.model, 0, MAX(c.time) FROM quotas_stalehour s CROSS JOIN quotas_callrecord c
WHERE s.tenant_id = %s AND c.tenant_id = %s AND c.time >= s.start AND c.time < {end}
GROUP BY c.provider, c.model
"""


def latest_calls(*, tenant_id: UUID, models: Collection[Model]) -> dict[Model, datetime]:
    """Return when each model was last called, successfully or not; omit models never called.

    The day in the active time zone is exact; calls in a rolled-up hour get the hour's start.
    Takes one query, and a second one if a midnight of the time zone falls inside such an hour.
    """
    pairs = list(dict.fromkeys(models))
    if not pairs or totals.is_foreign(tenant_id):
        return {}
    sql = _LATEST.format(
        wanted=", ".join(["(%s, %s)"] * len(pairs)),
        end=dialect().hour_later.format(column="s.start"),
    )
    names = [name for pair in pairs for name in pair]
    rows = execute(
        sql, values([*names, tenant_id, tenant_id, tenant_id, EPOCH, tenant_id, tenant_id])
    )
    hours = {
        (provider, model): read_time(value)
        for provider, model, is_hour, value in rows
        if is_hour and value is not None
    }
    latest = _newest(
        (provider, model, value) for provider, model, is_hour, value in rows if not is_hour
    )
    late = {
        pair: start for pair, start in hours.items() if pair not in latest or latest[pair] < start
    }
    after_midnight = _in_second_parts(tenant_id, late.values())
    latest |= {pair: max(start, after_midnight.get(pair, start)) for pair, start in late.items()}
    return {pair: latest[pair] for pair in pairs if pair in latest}


def _newest(rows: Iterable[tuple[str, str, Any]]) -> dict[Model, datetime]:
    latest: dict[Model, datetime] = {}
    for provider, model, value in rows:
        latest[provider, model] = max(read_time(value), latest.get((provider, model), EPOCH))
    return latest


def _in_second_parts(tenant_id: UUID, starts: Iterable[datetime]) -> dict[Model, datetime]:
    """Return the latest calls after the midnight in hours that contain one.

    Runs no query if none of the hours contains a midnight.
    """
    parts = {(start, midnight) for start in starts if (midnight := _midnight_in(start)) is not None}
    if not parts:
        return {}
    piece = (
        "SELECT provider, model, MAX(time) FROM quotas_callrecord WHERE tenant_id = %s AND "
        "time >= %s AND time < %s GROUP BY provider, model"
    )
    params = [
        value for start, midnight in sorted(parts) for value in (tenant_id, midnight, start + HOUR)
    ]
    return _newest(execute(" UNION ALL ".join([piece] * len(parts)), values(params)))


def _midnight_in(start: datetime) -> datetime | None:
    """Return the midnight of the active time zone inside the hour, excluding its start."""
    zone = timezone.get_current_timezone()
    day = (start + HOUR - timedelta.resolution).astimezone(zone).date()
    begin = midnight(day).astimezone(UTC)
    return begin if start < begin else None
