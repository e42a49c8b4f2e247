"""Columns of values as array literals of PostgreSQL, which has one parameter for all rows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

import orjson


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _json(value: Any) -> str:
    return _quoted(orjson.dumps(value, default=str).decode())


_ENCODERS: Final[Mapping[str, Callable[[Any], str]]] = {
    "bigint": int.__repr__,
    "boolean": bool.__repr__,
    "float8": float.__repr__,
    "jsonb": _json,
    "numeric": str,
    "text": _quoted,
    "timestamptz": lambda value: str(value.isoformat()),
    "uuid": attrgetter("hex"),
}


def array(kind: str, values: Iterable[Any]) -> str:
    """Return the literal of an array; None is NULL.

    Args:
        kind: The type of its elements.

    Raises:
        TypeError: A value has another type.
        AttributeError: The same.
    """
    encode = _ENCODERS[kind]
    return f"{{{','.join(['NULL' if value is None else encode(value) for value in values])}}}"
