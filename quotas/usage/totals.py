"""Add up usage from rollups for closed hours that are not stale, and from call records otherwise.

The totals equal a sum over all records. A plan is made first, from how far the rollups reach and
which hours are stale; each hour of the period is then read from exactly one source. Both sources
are correct whenever they are read, so nothing is counted twice while rollups are being created.

Hours before RolledUntil.pruned have rollups only: their records were deleted. A period that begins
or ends within such an hour includes all of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from core.db.connection import dialect, execute, values
from core.db.dialect import read_time
from core.times import DAY, HOUR, NEVER, floor_day, floor_hour, midnight
from quotas.usage import columns
from tenants.scope import active_tenant

# Separate stale ranges; if there are more, everything between the first and the last is read from
# the records.
MOST_GAPS: Final = 100
Range = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Plan:
    """The source of each hour of a period.

    Attributes:
        days: Ranges to read from daily rollups.
        hours: Ranges to read from hourly rollups.
        apart: Starts of the hours in these ranges to leave out.
        records: Ranges to read from call records; an end of None means no end.
    """

    days: Sequence[Range]
    hours: Sequence[Range]
    apart: frozenset[datetime]
    records: Sequence[tuple[datetime, datetime | None]]


@dataclass(frozen=True, slots=True)
class RollupState:
    """The state of a tenant's rollups in one snapshot: how far they reach, the stale hours, and
    before when there are only rollups.
    """

    until: datetime
    stale: frozenset[datetime]
    pruned: datetime = NEVER


def rollup_state(
    *, tenant_id: UUID, since: datetime | None = None, before: datetime | None = None
) -> RollupState:
    """Return how far the rollups reach and the stale hours of a period; one query."""
    sql = (
        "SELECT 1, until FROM quotas_rolleduntil WHERE tenant_id = %s UNION SELECT 3, pruned "
        "FROM quotas_rolleduntil WHERE tenant_id = %s AND pruned IS NOT NULL UNION SELECT 2, start "
        "FROM quotas_stalehour WHERE tenant_id = %s"
    )
    params: list[Any] = [tenant_id, tenant_id, tenant_id]
    for sign, bound in ((">=", since and floor_hour(since)), ("<", before)):
        if bound is not None:
            sql, params = f"{sql} AND start {sign} %s", [*params, bound]
    rows = [(kind, read_time(value)) for kind, value in execute(sql, values(params))]
    bounds = {kind: value for kind, value in rows if kind != 2}
    stale = frozenset(value for kind, value in rows if kind == 2)
    return RollupState(bounds.get(1, NEVER), stale, bounds.get(3, NEVER))


def plan(
    rollup_state: RollupState,
    since: datetime,
    before: datetime | None = None,
    *,
    by_day: bool = False,
) -> Plan:
    """Plan how to read [since, before).

    Args:
        before: None for no end.
        by_day: Split the ranges at midnights of the active time zone.
    """
    pruned = rollup_state.pruned
    if since < pruned:
        since = floor_hour(since)
    if before is not None and before <= pruned:
        before = _ceil_hour(before)
    first = _ceil_hour(since)
    last = min(rollup_state.until, floor_hour(before)) if before is not None else rollup_state.until
    if last <= first:
        return Plan((), (), frozenset(), _cut([(since, before)], by_day))
    stale = {start for start in rollup_state.stale if max(first, pruned) <= start < last}
    gaps = ranges(stale)
    if len(gaps) > MOST_GAPS:
        gaps = [(gaps[0][0], gaps[-1][1])]
        stale = set(_hours(*gaps[0]))
    if by_day:
        split = _hours_with_midnight(max(first, pruned), last) - stale
        stale |= split
        gaps = sorted([*gaps, *((start, start + HOUR) for start in split)])
    days, hours = _days_and_hours(first, last, stale, allowed=not by_day or _is_utc(first, last))
    outside: list[tuple[datetime, datetime | None]] = [(since, first)] if since < first else []
    outside += gaps
    if before is None or last < before:
        outside.append((last, before))
    return Plan(days, hours, frozenset(stale), _cut(outside, by_day))


def _ceil_hour(value: datetime) -> datetime:
    start = floor_hour(value)
    return start if start == value else start + HOUR


def _hours(start: datetime, end: datetime) -> Iterable[datetime]:
    while start < end:
        yield start
        start += HOUR


def ranges(hours: Collection[datetime], step: timedelta = HOUR) -> list[Range]:
    """Merge adjacent hours (or other steps) into ranges."""
    merged: list[Range] = []
    for start in sorted(hours):
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], start + step)
        else:
            merged.append((start, start + step))
    return merged


def _midnights(start: datetime, end: datetime) -> list[datetime]:
    """Return the midnights of the active time zone in (start, end)."""
    zone = timezone.get_current_timezone()
    day = start.astimezone(zone).date()
    midnights: list[datetime] = []
    while True:
        day += DAY
        begin = midnight(day).astimezone(UTC)
        if begin >= end:
            return midnights
        if begin > start:
            midnights.append(begin)


def _hours_with_midnight(start: datetime, end: datetime) -> set[datetime]:
    """Return hours with a midnight inside: in time zones not a whole number of hours from UTC."""
    return {floor_hour(begin) for begin in _midnights(start, end) if floor_hour(begin) != begin}


def _is_utc(start: datetime, end: datetime) -> bool:
    return all(
        begin == floor_day(begin)
        for begin in [*_midnights(start, end), *_midnights(start - DAY, start + HOUR)]
    )


def _days_and_hours(
    first: datetime, last: datetime, stale: set[datetime], *, allowed: bool
) -> tuple[list[Range], list[Range]]:
    """Split [first, last) into whole days with current daily sums, and the remaining hours."""
    begin = floor_day(first) if floor_day(first) == first else floor_day(first) + DAY
    end = floor_day(last)
    if not allowed or begin >= end:
        return [], [(first, last)]
    stale_days = {floor_day(start) for start in stale if begin <= start < end}
    whole = {begin + DAY * number for number in range((end - begin).days)} - stale_days
    hours = [(first, begin), *ranges(stale_days, DAY), (end, last)]
    return ranges(whole, DAY), [(start, end) for start, end in hours if start < end]


def _cut(
    ranges: Iterable[tuple[datetime, datetime | None]], by_day: bool
) -> list[tuple[datetime, datetime | None]]:
    """Split the ranges at midnights if `by_day`; an open end only until tomorrow."""
    if not by_day:
        return list(ranges)
    pieces: list[tuple[datetime, datetime | None]] = []
    for start, end in ranges:
        edges = [start, *_midnights(start, end or max(start, timezone.now()) + 2 * DAY)]
        pieces += zip(edges, [*edges[1:], end], strict=True)
    return pieces


# -- statements ------------------------------------------------------------------------------------


def add_up(
    *,
    tenant_id: UUID,
    of: Plan,
    by: Sequence[str],
    numbers: Sequence[str] = tuple(columns.NUMBERS),
    filters: Mapping[str, Any] | None = None,
    by_start: bool = False,
) -> list[dict[str, Any]]:
    """Add up usage in one statement.

    Args:
        of: Plan of the period.
        by: Columns of columns.GROUPS to group by.
        numbers: Columns of columns.ALL to add up.
        filters: As for `where`.
        by_start: Also group by the start of each range of the plan, as "start".

    Returns:
        One dict per group with its columns and numbers.
    """
    if is_foreign(tenant_id):
        return []
    pieces, params = _pieces(tenant_id, of, by, numbers, filters or {}, by_start)
    keys = [*by, *(["start"] if by_start else [])]
    sums = ", ".join(columns.total(name) for name in numbers)
    sql = f"SELECT {', '.join([*keys, sums])} FROM ({' UNION ALL '.join(pieces)}) AS piece"  # noqa: S608
    if keys:
        sql += f" GROUP BY {', '.join(keys)}"
    rows = execute(sql, values(params))
    names = [*keys, *numbers]
    groups = [dict(zip(names, row, strict=True)) for row in rows if row[-len(numbers)] is not None]
    for group in groups:
        group.update({name: int(group[name]) for name in numbers if group[name] is not None})
        if by_start:
            group["start"] = read_time(group["start"])
    return groups


def _pieces(
    tenant_id: UUID,
    of: Plan,
    by: Sequence[str],
    numbers: Sequence[str],
    filters: Mapping[str, Any],
    by_start: bool,
) -> tuple[list[str], list[Any]]:
    condition, filter_params = where(filters)
    pieces, params = [], []
    rolled = ", ".join([*by, *numbers, *(["start"] if by_start else [])])
    for span, ranges in ((24, of.days), (1, of.hours)):
        for start, end in ranges:
            sql = (
                f"SELECT {rolled} FROM quotas_usagerollup WHERE tenant_id = %s "  # noqa: S608
                f"AND span = {span} AND start >= %s AND start < %s{condition}"
            )
            apart = sorted(hour for hour in of.apart if span == 1 and start <= hour < end)
            if apart:
                sql += f" AND start NOT IN ({', '.join(['%s'] * len(apart))})"
            pieces.append(sql)
            params += [tenant_id, start, end, *filter_params, *apart]
    mark = f", {dialect().timestamp} AS start" if by_start else ""
    record = ", ".join([*by, *(f"{columns.ALL[name]} AS {name}" for name in numbers)]) + mark
    for start, until in of.records:
        sql = (
            f"SELECT {record} FROM {columns.RATED} "  # noqa: S608
            "WHERE tenant_id = %s AND time >= %s"
        )
        pieces.append(f"{sql}{' AND time < %s' if until is not None else ''}{condition}")
        params += [
            *([start] if by_start else []),
            tenant_id,
            start,
            *([until] if until is not None else []),
            *filter_params,
        ]
    return pieces, params


def is_foreign(tenant_id: UUID) -> bool:
    """Return whether another tenant is active; guards raw SQL as the managers guard the ORM.

    Raises:
        NoActiveTenant: No tenant is active.
    """
    active = active_tenant()
    return isinstance(active, UUID) and active != tenant_id


def where(filters: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Build an SQL condition on columns that records and rollups share, and its parameters.

    Args:
        filters: Values by column; also "source_kind" ("trial" or "credential") and "any_model"
            (a model's name or "provider/model").
    """
    condition = ""
    params: list[Any] = []
    for name, value in filters.items():
        if name == "source_kind":
            condition, params = (
                f"{condition} AND substr(source, 1, {len(value) + 1}) = %s",
                [*params, f"{value}:"],
            )
        elif name == "any_model":
            owner, _slash, rest = value.partition("/")
            condition, params = (
                f"{condition} AND (model = %s OR (provider = %s AND model = %s))",
                [*params, value, owner, rest],
            )
        else:
            assert name in columns.GROUPS
            condition, params = f"{condition} AND {name} = %s", [*params, value]
    return condition, params
