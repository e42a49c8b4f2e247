"""Date drill-down for logs that derives its choices from the first and last record only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateformat import format as _format
from django.utils.formats import get_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from core.times import midnight

YEAR, MONTH, DAY = "time__year", "time__month", "time__day"


def period(chosen: Mapping[str, str]) -> tuple[datetime, datetime] | None:
    """Return the start and the end of the chosen year, month or day in the current time zone.

    Returns:
        None if nothing valid is chosen.
    """
    numbers = [chosen.get(name) for name in (YEAR, MONTH, DAY)]
    try:
        first = date(int(numbers[0] or ""), int(numbers[1] or 1), int(numbers[2] or 1))
        # No record is older, and the earliest and latest dates can overflow when converted to UTC.
        if not 1970 < first.year < 9999:
            return None
        days = 1 if numbers[2] else 31 if numbers[1] else 366  # at most
        return midnight(first), midnight(first + timedelta(days=days))
    except (ValueError, OverflowError):
        return None


def offered(
    changelist: Any, records: QuerySet[Any], *, by_age: str = "pk"
) -> dict[str, Any] | None:
    """Return the context that Django's admin needs to show the drill-down above a list.

    Args:
        by_age: The column that sorts records by time; it needs an index.

    Returns:
        {"show", "back", "choices"}, or None if there are no records.
    """
    times = records.order_by(by_age).values_list("time", flat=True)
    ends = [timezone.localdate(moment) for moment in (times.first(), times.last()) if moment]
    if not ends:
        return None
    first, last = min(ends), max(ends)
    year, month, day = (_number(changelist.params.get(name)) for name in (YEAR, MONTH, DAY))
    if year is None and first.year == last.year:
        year, month = first.year, first.month if first.month == last.month else None

    def link(**parts: int) -> str:
        return str(
            changelist.get_query_string(
                {f"time__{name}": str(value) for name, value in parts.items()}, ["time__"]
            )
        )

    if year is None:
        years = [
            {"link": link(year=number), "title": str(number)}
            for number in range(first.year, last.year + 1)
        ]
        return {"show": True, "back": None, "choices": years}
    if month is None:
        months = [
            {"link": link(year=year, month=start_day.month), "title": _month(start_day)}
            for start_day in _months(year, first, last)
        ]
        return {"show": True, "back": {"link": link(), "title": _("All dates")}, "choices": months}
    if day is None:
        days = [
            {"link": link(year=year, month=month, day=date_.day), "title": _day(date_)}
            for date_ in _days(year, month, first, last)
        ]
        return {
            "show": True,
            "back": {"link": link(year=year), "title": str(year)},
            "choices": days,
        }
    chosen = date(year, month, day)
    return {
        "show": True,
        "back": {"link": link(year=year, month=month), "title": _month(chosen)},
        "choices": [{"title": _day(chosen)}],
    }


def _number(text: Any) -> int | None:
    return int(text) if text and str(text).isascii() and str(text).isdigit() else None


def _months(year: int, first: date, last: date) -> Iterator[date]:
    for month in range(1, 13):
        if (first.year, first.month) <= (year, month) <= (last.year, last.month):
            yield date(year, month, 1)


def _days(year: int, month: int, first: date, last: date) -> Iterator[date]:
    day = date(year, month, 1)
    while day.month == month:
        if first <= day <= last:
            yield day
        day += timedelta(days=1)


def _month(day: date) -> str:
    return capfirst(_format(day, get_format("YEAR_MONTH_FORMAT")))


def _day(day: date) -> str:
    return capfirst(_format(day, get_format("MONTH_DAY_FORMAT")))
