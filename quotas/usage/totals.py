"""Adds up usage: rollups where an hour is closed and not stale, call records everywhere else.
Exact, like a sum over all records.

A plan is read first (how far the sums reach, which hours are stale), then every hour of the period
is taken from one place. Both places are right at the time they are read and no hour is in two of
them, so nothing is counted twice while sums are being made.
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

# single stale ranges; where there are more, all between the first and the last is read from the
# records
MOST_GAPS: Final = 100
Range = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where each hour of [since, before) is read: days and hours from rollups, without those that
    start at `apart`; the rest from records.

    before None: without end. An end of None in `records` likewise.
    """

    days: Sequence[Range]
    hours: Sequence[Range]
    apart: frozenset[datetime]
    records: Sequence[tuple[datetime, datetime | None]]


@dataclass(frozen=True, slots=True)
class Standing:
    """Until when a tenant's hours are summed, and which of them are stale, as one moment saw it."""

    until: datetime
    stale: frozenset[datetime]


def standing(
    *, tenant_id: UUID, since: datetime | None = None, before: datetime | None = None
) -> Standing:
    """How far the sums reach, and the stale hours of a period; one query."""
    sql = (
        "SELECT 1, until FROM quotas_rolleduntil WHERE tenant_id = %s UNION SELECT 2, start "
        "FROM quotas_stalehour WHERE tenant_id = %s"
    )
    params: list[Any] = [tenant_id, tenant_id]
    for sign, bound in ((">=", since and floor_hour(since)), ("<", before)):
        if bound is not None:
            sql, params = f"{sql} AND start {sign} %s", [*params, bound]
    rows = [(kind, read_time(value)) for kind, value in execute(sql, values(params))]
    until = next((value for kind, value in rows if kind == 1), NEVER)
    return Standing(until, frozenset(value for kind, value in rows if kind == 2))


def plan(
    seen: Standing, since: datetime, before: datetime | None = None, *, by_day: bool = False
) -> Plan:
    """How to read [since, before). by_day: no piece may reach over a midnight of the active time
    zone.
    """
    first = _ceil_hour(since)
    last = min(seen.until, floor_hour(before)) if before is not None else seen.until
    if last <= first:
        return Plan((), (), frozenset(), _cut([(since, before)], by_day))
    stale = {start for start in seen.stale if first <= start < last}
    gaps = ranges(stale)
    if len(gaps) > MOST_GAPS:
        gaps = [(gaps[0][0], gaps[-1][1])]
        stale = set(_hours(*gaps[0]))
    if by_day:
        astride = _astride(first, last) - stale
        stale |= astride
        gaps = sorted([*gaps, *((start, start + HOUR) for start in astride)])
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
    """Neighbours put together."""
    found: list[Range] = []
    for start in sorted(hours):
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], start + step)
        else:
            found.append((start, start + step))
    return found


def _midnights(start: datetime, end: datetime) -> list[datetime]:
    """Midnights of the active time zone in (start, end)."""
    zone = timezone.get_current_timezone()
    day = start.astimezone(zone).date()
    found: list[datetime] = []
    while True:
        day += DAY
        begin = midnight(day).astimezone(UTC)
        if begin >= end:
            return found
        if begin > start:
            found.append(begin)


def _astride(start: datetime, end: datetime) -> set[datetime]:
    """Hours that a midnight cuts in two: in zones that are not whole hours away from UTC."""
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
    spoilt = {floor_day(start) for start in stale if begin <= start < end}
    whole = {begin + DAY * number for number in range((end - begin).days)} - spoilt
    hours = [(first, begin), *ranges(spoilt, DAY), (end, last)]
    return ranges(whole, DAY), [(start, end) for start, end in hours if start < end]


def _cut(
    ranges: Iterable[tuple[datetime, datetime | None]], by_day: bool
) -> list[tuple[datetime, datetime | None]]:
    """The ranges, cut at midnights where days are wanted; an open end is cut until tomorrow."""
    if not by_day:
        return list(ranges)
    found: list[tuple[datetime, datetime | None]] = []
    for start, end in ranges:
        edges = [start, *_midnights(start, end or max(start, timezone.now()) + 2 * DAY)]
        found += zip(edges, [*edges[1:], end], strict=True)
    return found


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
    """Sums of a period in one statement, one dict per group: `by` are columns of columns.GROUPS,
    `numbers` of columns.ALL.

    filters: as for `where`. by_start: grouped by the piece of the plan as well, as "start".
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
    found = [dict(zip(names, row, strict=True)) for row in rows if row[-len(numbers)] is not None]
    for row in found:
        row.update({name: int(row[name]) for name in numbers if row[name] is not None})
        if by_start:
            row["start"] = read_time(row["start"])
    return found


def _pieces(
    tenant_id: UUID,
    of: Plan,
    by: Sequence[str],
    numbers: Sequence[str],
    filters: Mapping[str, Any],
    by_start: bool,
) -> tuple[list[str], list[Any]]:
    condition, matched = where(filters)
    pieces, params = [], []
    rolled = ", ".join([*by, *numbers, *(["start"] if by_start else [])])
    for span, ranges in ((24, of.days), (1, of.hours)):
        for start, end in ranges:
            sql = (
                f"SELECT {rolled} FROM quotas_usagerollup WHERE tenant_id = %s "  # noqa: S608
                f"AND span = {span} AND start >= %s AND start < %s{condition}"
            )
            apart = sorted(one for one in of.apart if span == 1 and start <= one < end)
            if apart:
                sql += f" AND start NOT IN ({', '.join(['%s'] * len(apart))})"
            pieces.append(sql)
            params += [tenant_id, start, end, *matched, *apart]
    mark = f", {dialect().timestamp} AS start" if by_start else ""
    record = ", ".join([*by, *(f"{columns.ALL[name]} AS {name}" for name in numbers)]) + mark
    for start, until in of.records:
        sql = f"SELECT {record} FROM quotas_callrecord WHERE tenant_id = %s AND time >= %s"  # noqa: S608
        pieces.append(f"{sql}{' AND time < %s' if until is not None else ''}{condition}")
        params += [
            *([start] if by_start else []),
            tenant_id,
            start,
            *([until] if until is not None else []),
            *matched,
        ]
    return pieces, params


def is_foreign(tenant_id: UUID) -> bool:
    """The net that the tables' managers are for the ORM: another tenant is active. Raises
    NoActiveTenant where none is.
    """
    active = active_tenant()
    return isinstance(active, UUID) and active != tenant_id


def where(filters: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """A condition on columns that records and rollups have alike, and its parameters.

    filters: column -> value; "source_kind" is "trial" or "credential", "any_model" a model's name
    or "provider/model".
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
