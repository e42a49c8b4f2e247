"""When models were called last. The sums of closed hours know it to the hour, the records of what
is not summed yet to the moment.

Sums never count a call that was not made, so the latest of both is right even while sums are stale
or being made.
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
# Each model's newest hour is one look into an index. CROSS JOIN: SQLite without statistics would
# begin with the records.
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
    """When each of these models was called last, whatever came of it; those that never were are
    left out.

    Exact to the day of the active time zone: of a closed hour its beginning is given. One query; a
    second one where a midnight of the time zone cuts such an hour in two.
    """
    wanted = list(dict.fromkeys(models))
    if not wanted or totals.is_foreign(tenant_id):
        return {}
    sql = _LATEST.format(
        wanted=", ".join(["(%s, %s)"] * len(wanted)),
        end=dialect().hour_later.format(column="s.start"),
    )
    names = [name for pair in wanted for name in pair]
    rows = execute(
        sql, values([*names, tenant_id, tenant_id, tenant_id, EPOCH, tenant_id, tenant_id])
    )
    hours = {
        (provider, model): read_time(value)
        for provider, model, is_hour, value in rows
        if is_hour and value is not None
    }
    found = _newest(
        (provider, model, value) for provider, model, is_hour, value in rows if not is_hour
    )
    late = {
        pair: start for pair, start in hours.items() if pair not in found or found[pair] < start
    }
    after_midnight = _in_second_parts(tenant_id, late.values())
    found |= {pair: max(start, after_midnight.get(pair, start)) for pair, start in late.items()}
    return {pair: found[pair] for pair in wanted if pair in found}


def _newest(rows: Iterable[tuple[str, str, Any]]) -> dict[Model, datetime]:
    found: dict[Model, datetime] = {}
    for provider, model, value in rows:
        found[provider, model] = max(read_time(value), found.get((provider, model), EPOCH))
    return found


def _in_second_parts(tenant_id: UUID, starts: Iterable[datetime]) -> dict[Model, datetime]:
    """The latest calls of hours that a midnight cuts in two, after that midnight. No query where
    there are no such hours.
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
    """The midnight of the active time zone inside of an hour, not at its beginning; None where
    there is none.
    """
    zone = timezone.get_current_timezone()
    day = (start + HOUR - timedelta.resolution).astimezone(zone).date()
    begin = midnight(day).astimezone(UTC)
    return begin if start < begin else None
