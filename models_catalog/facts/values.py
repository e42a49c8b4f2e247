"""Check single values of facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from core.errors import ServiceError

LARGEST: Final = 1_000_000_000  # tokens; anything larger is a typo


class BadFact(ServiceError):
    """An invalid fact; `field` names it."""

    def __init__(self, field: str, message: Any) -> None:
        super().__init__("invalid_value", message, field=field)

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def expect_keys(name: str, value: Any, allowed: set[str]) -> None:
    if not isinstance(value, Mapping):
        raise BadFact(name, _("Must be an object."))
    for key in value:
        if key not in allowed:
            raise BadFact(name, _("Unknown key “%(key)s”.") % {"key": str(key)[:60]})


def parse_text(name: str, value: Any) -> str:
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > 200
        or not value.isprintable()
    ):
        raise BadFact(name, _("Must be a string of 1 to 200 characters."))
    return value.strip()


def parse_count(name: str, value: Any) -> int:
    if not is_count(value):
        raise BadFact(name, _("Must be a whole number above 0; leave it out if unknown."))
    return int(value)


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST


def is_date(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def day(name: str, value: Any) -> date:
    """Parse a date, or a string such as "2026-11-30".

    Raises:
        BadFact: The value is not a date.
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not is_date(value):
        raise BadFact(name, _("Must be a date such as 2026-11-30."))
    return date.fromisoformat(value)


def parse_time(name: str, value: Any) -> datetime:
    """Parse a date, which begins at midnight UTC, or a time such as "2026-11-30T12:00:00Z".

    Raises:
        BadFact: The value is neither.
    """
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        time = None
    if isinstance(time, date) and not isinstance(time, datetime):
        time = datetime(time.year, time.month, time.day)
    if not isinstance(time, datetime) or not 1970 < time.year < 3000:
        raise BadFact(name, _("Must be a date or a time such as 2026-11-30T12:00:00Z."))
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
