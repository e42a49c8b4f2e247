"""A strict JSON loader that rejects anything two parsers could read differently."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import orjson

from core.long_json import REQUEST, count, outside_strings, too_many_values

# Maximum characters of a number. 2**64 has 20 digits and a float at full precision 24.
NUMBER_LENGTH: Final = 40
LONG: Final = 256 * 1024  # bytes; longer texts are parsed by _loads_long
MOST_ESCAPES: Final = 5_000_000  # of a long text; they take more time than anything else in it
LONGEST_TEXT: Final = 8 * 1024 * 1024  # bytes outside strings, and of a string that is not ASCII
# Numbers that orjson rounds or makes infinite, after _DIGITS has replaced every digit by 0.
_LONG_NUMBERS: Final = (b"0" * 20, b"-" + b"0" * 19, b"e000", b"e+000", b"e-000")
_DIGITS: Final = bytes.maketrans(b"123456789E", b"000000000e")
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
            out of range or longer than NUMBER_LENGTH, lone surrogates, more values than
            core.long_json.REQUEST, or deeper nesting than `max_depth`.
    """
    if too_many_values(data, REQUEST):
        raise BadJSON(
            f"The JSON has more than {REQUEST.values} values, or more than {REQUEST.members} "
            "names, arrays and objects."
        )
    value = _loads_long(data, max_depth) if len(data) > LONG else _loads(data, max_depth)
    # Nesting cannot exceed the number of brackets, so most bodies skip the walk.
    if data.count(b"{") + data.count(b"[") > max_depth and _is_deeper(value, max_depth):
        raise BadJSON(_too_deep(max_depth))
    return value


def _loads(data: bytes, max_depth: int) -> Any:
    try:
        text = str(data, "utf-8")
        value = _decoder.decode(text)
        if b"\\u" in data:  # an escape can be a lone surrogate, which UTF-8 cannot encode
            orjson.loads(text)
    except UnicodeDecodeError:
        raise BadJSON("The text is not UTF-8.") from None
    # orjson's error is a subclass; both give the position and quote nothing.
    except json.JSONDecodeError as error:
        raise BadJSON(_invalid(error)) from None
    except RecursionError:
        raise BadJSON(_too_deep(max_depth)) from None
    return value


def _loads_long(data: bytes, max_depth: int) -> Any:
    """Parse a long text as strictly as _loads, but value by value.

    _loads makes one string of the whole text, in which a single emoji takes four bytes for every
    character. orjson does not, but keeps the last of several equal names and rounds long numbers,
    so both are looked for in the text.
    """
    structure = outside_strings(data, REQUEST)
    if structure is None or len(structure) > LONGEST_TEXT:
        raise BadJSON("The JSON has too many characters outside its strings.")
    if count(data, b"\\") > MOST_ESCAPES:
        raise BadJSON(f"The JSON has more than {MOST_ESCAPES} escapes.")
    digits = structure.translate(_DIGITS)
    if any(number in digits for number in _LONG_NUMBERS):
        if len(data) > LONGEST_TEXT:
            raise BadJSON("The JSON is long and contains a number of more than 18 digits.")
        return _loads(data, max_depth)
    if not data.isascii() and any(
        len(string) > LONGEST_TEXT and not string.isascii() for string in data.split(b'"')
    ):
        raise BadJSON(
            f"A string that is not ASCII is longer than {LONGEST_TEXT // 1024 // 1024} MiB."
        )
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg or "ecursion" in error.msg:
            raise BadJSON(_too_deep(max_depth)) from None
        raise BadJSON(_invalid(error)) from None
    if _members(value) != structure.count(b":"):
        raise BadJSON("An object contains the same key twice.")
    return value


def _members(value: Any) -> int:
    """Count the members of all objects in a value."""
    count = 0
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            count += len(node)
            pending += [child for child in node.values() if isinstance(child, dict | list)]
        elif isinstance(node, list):
            pending += [child for child in node if isinstance(child, dict | list)]
    return count


def _invalid(error: json.JSONDecodeError) -> str:
    return f"Not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."


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
