"""Time constants, and the start of hours and days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.utils import timezone

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_USED_INTERVAL: Final = timedelta(minutes=1)  # a key's last use is saved at most this often
NEVER: Final = datetime.min.replace(tzinfo=UTC)  # earlier than any stored time


def floor_hour(value: datetime) -> datetime:
    """Return the start of the hour in UTC."""
    return value.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def floor_day(value: datetime) -> datetime:
    """Return the start of the day in UTC."""
    return floor_hour(value).replace(hour=0)


def floor_month(value: datetime) -> datetime:
    """Return the start of the month in UTC."""
    return floor_day(value).replace(day=1)


def next_month(start: datetime) -> datetime:
    """Return the start of the month after the one that starts then."""
    return floor_month(start + timedelta(days=31))


def kept_from(days: int, now: datetime) -> datetime:
    """Return the start of the month that is `days` ago: rows are archived by whole months."""
    return floor_month(now - timedelta(days=days))


def midnight(day: date) -> datetime:
    """Return the start of a day in the active time zone."""
    return datetime(day.year, day.month, day.day, tzinfo=timezone.get_current_timezone())
