"""JSON with whole numbers of more than 64 bits, which orjson rounds and refuses to write. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

from providers.wire.repairs.json_text import Repaired

_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG: Final = b"0" * 19  # after _DIGITS


def loads(data: str | bytes) -> Any:
    """Parse a JSON text as orjson does, but keep every digit of whole numbers.

    Raises:
        orjson.JSONDecodeError: It is not JSON.
    """
    return exact(data, orjson.loads(data))


def exact(data: str | bytes, value: Any) -> Any:
    """Return the value of a JSON text, which orjson has parsed, with every digit."""
    text = data.encode(errors="replace") if isinstance(data, str) else data
    # Much faster than a pattern.
    if _LONG not in text.translate(_DIGITS) or isinstance(value, Repaired):
        return value
    try:
        return json.loads(data)
    except ValueError:  # more digits than Python reads
        return value


def dumps(value: Any, *, sort_keys: bool = False) -> bytes:
    """Write a JSON text as orjson does, and whole numbers of any length.

    Raises:
        TypeError: The value holds what JSON cannot express, such as half a surrogate pair.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None)
    except TypeError as error:
        try:
            return _encoder(sort_keys).encode(value).encode()
        except ValueError:
            raise error from None


def _encoder(sort_keys: bool) -> json.JSONEncoder:
    return json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys
    )
