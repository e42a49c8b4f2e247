"""Statements and values in the form that PostgreSQL's protocol takes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

# Encoders to PostgreSQL's text format; the server infers the types from the statement.
_ENCODERS: Final[dict[type, Callable[[Any], bytes | None]]] = {
    type(None): lambda _value: None,
    str: str.encode,
    bool: lambda value: b"t" if value else b"f",
    int: lambda value: b"%d" % value,
    float: lambda value: repr(value).encode(),
    Decimal: lambda value: str(value).encode(),
    UUID: lambda value: b"%032x" % value.int,
    datetime: lambda value: value.astimezone(UTC).isoformat().encode(),
}


def numbered(sql: str) -> bytes:
    """Replace the placeholders %s of a statement by $1, $2 and so on."""
    pieces = sql.split("%s")
    return "".join(
        piece + (f"${number}" if number < len(pieces) else "")
        for number, piece in enumerate(pieces, 1)
    ).encode()


def encoded(value: Any) -> bytes | None:
    """Return a parameter in text format; None is NULL.

    Raises:
        TypeError: The type has no text form.
    """
    try:
        return _ENCODERS[type(value)](value)
    except KeyError:
        if isinstance(value, str):  # enumerations
            return value.encode()
        raise TypeError(f"no text form for {type(value).__name__}") from None


def conninfo_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what libpq connects with, for Django's DATABASES["default"]."""
    named = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    options = {
        name: value
        for name, value in settings.get("OPTIONS", {}).items()
        if isinstance(value, str | int)
    }
    return options | {name: settings[key] for name, key in named.items() if settings.get(key)}
