"""JSON that almost is: what servers write although no parser of JSON accepts it. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from providers.wire.repairs.cut_characters import text_only

MOST_REPAIRED: Final = 2 * 1024 * 1024  # bytes; the parser that forgives is slow
MOST_MEMBERS: Final = 50_000  # names, lists and objects, which take most of its time
_LONGEST_INTEGER: Final = 18  # digits that certainly fit into 64 bits


class Repaired(dict[str, Any]):
    """An object whose text was not valid JSON, and so must be written again."""


def parse_leniently(body: bytes, repair: Callable[[Any], Any] = text_only) -> Any:
    """Parse JSON with NaN, Infinity, half surrogate pairs, invalid UTF-8, control characters
    inside strings or a byte order mark; return None if it still is not JSON.

    NaN and Infinity become null. What is not text becomes U+FFFD.

    Args:
        repair: copies a value without parts of characters.
    """
    members = body.count(b":") + body.count(b"[") + body.count(b"{")
    if len(body) > MOST_REPAIRED or members > MOST_MEMBERS:
        return None
    try:
        value = json.loads(
            body.decode("utf-8-sig", "surrogateescape"),
            strict=False,
            parse_constant=_nothing,
            parse_int=_number,
        )
        value = repair(value)
    except (ValueError, RecursionError):
        return None
    return Repaired(value) if isinstance(value, dict) else value


def _nothing(_name: str) -> None:
    return None


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)
