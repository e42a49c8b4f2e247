"""A strict JSON loader that rejects anything two parsers could read differently."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import orjson

# Maximum characters of a number. 2**64 has 20 digits and a float at full precision 24.
NUMBER_LENGTH: Final = 40
# Maximum values per text. The largest legitimate request, a batch of token ids to embed, has
# 300,000. Parsing 30 MiB of commas would block the process for 20 seconds and use 1 GB.
MOST_VALUES: Final = 500_000
_INFINITE: Final = (float("inf"), float("-inf"))


class BadJSON(ValueError):
    """Invalid or ambiguous JSON. `message` is safe to show: it quotes none of the input."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadJSON("An object contains the same key twice.")
    return members


def _integer(text: str) -> int:
    if len(text) > NUMBER_LENGTH:
        raise BadJSON(f"A number is longer than {NUMBER_LENGTH} characters.")
    return int(text)


def _float(text: str) -> float:
    if len(text) > NUMBER_LENGTH:
        raise BadJSON(f"A number is longer than {NUMBER_LENGTH} characters.")
    value = float(text)
    if value in _INFINITE:
        raise BadJSON("A number is too large.")
    return value


def _constant(_text: str) -> NoReturn:
    raise BadJSON("NaN and Infinity are not JSON.")


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def loads(data: bytes, *, max_depth: int = 64) -> Any:
    """Parse a JSON text strictly.

    Args:
        data: UTF-8 without a byte order mark.
        max_depth: Maximum nesting of objects and arrays.

    Raises:
        BadJSON: The text is not UTF-8 or not JSON, or has duplicate keys, NaN, Infinity, numbers
            out of range or longer than NUMBER_LENGTH, lone surrogates, more than MOST_VALUES
            values, or deeper nesting than `max_depth`.
    """
    if _separators(data) > MOST_VALUES and _has_too_many_values(data):
        raise BadJSON(f"The JSON has more than {MOST_VALUES} values.")
    try:
        text = str(data, "utf-8")
        value = _decoder.decode(text)
        if b"\\u" in data:  # an escape can be a lone surrogate, which UTF-8 cannot encode
            orjson.loads(text)
    except UnicodeDecodeError:
        raise BadJSON("The text is not UTF-8.") from None
    # orjson's error is a subclass; both give the position and quote nothing.
    except json.JSONDecodeError as error:
        raise BadJSON(
            f"Not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    except RecursionError:
        raise BadJSON(_too_deep(max_depth)) from None
    # Nesting cannot exceed the number of brackets, so most bodies skip the walk.
    if data.count(b"{") + data.count(b"[") > max_depth and _is_deeper(value, max_depth):
        raise BadJSON(_too_deep(max_depth))
    return value


def _separators(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _has_too_many_values(data: bytes) -> bool:
    """Count values without parsing, ignoring the contents of strings."""
    pieces = data.replace(rb"\\", b"").replace(rb"\"", b"")
    # At most four quotes per value: two for its key and two for a string.
    if pieces.count(b'"') > 4 * MOST_VALUES:
        return True
    return _separators(b"".join(pieces.split(b'"')[::2])) > MOST_VALUES


def _too_deep(max_depth: int) -> str:
    return f"Objects and arrays are nested more than {max_depth} levels deep."


def _is_deeper(value: Any, limit: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _depth in range(limit):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
