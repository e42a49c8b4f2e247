"""Years, months and days of a log to choose from, without reading the log: its first and its last
record say what there is.
"""

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


def start(chosen: Mapping[str, str]) -> datetime | None:
    """The first moment of the chosen year, month or day in the current time zone; None where none
    is chosen, or a wrong one.
    """
    numbers = [chosen.get(name) for name in (YEAR, MONTH, DAY)]
    try:
        first = date(int(numbers[0] or ""), int(numbers[1] or 1), int(numbers[2] or 1))
        if (
            not 1970 < first.year < 9999
        ):  # no record is as old; and not every zone can turn the first and the last day into UTC
            return None
        return midnight(first)
    except (ValueError, OverflowError):
        return None


def offered(changelist: Any, records: QuerySet[Any]) -> dict[str, Any] | None:
    """What Django's admin shows above a list: {"show", "back", "choices"}; None where there is no
    record.
    """
    by_age = records.order_by("pk").values_list("time", flat=True)
    ends = [timezone.localdate(moment) for moment in (by_age.first(), by_age.last()) if moment]
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
            {"link": link(year=one), "title": str(one)} for one in range(first.year, last.year + 1)
        ]
        return {"show": True, "back": None, "choices": years}
    if month is None:
        months = [
            {"link": link(year=year, month=one.month), "title": _month(one)}
            for one in _months(year, first, last)
        ]
        return {"show": True, "back": {"link": link(), "title": _("All dates")}, "choices": months}
    if day is None:
        days = [
            {"link": link(year=year, month=month, day=one.day), "title": _day(one)}
            for one in _days(year, month, first, last)
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
