"""One JSON loader for the REST API and the gateway: what two parsers could read differently is
refused.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import orjson

# Longest number in characters. 2**64 has 20 digits, a float written in full 24; nothing honest is
# longer.
NUMBER_LENGTH: Final = 40
# Values of one text. The largest honest request, a batch of token numbers to embed, has 300,000; a
# text of 30 MiB that is nothing but commas takes 20 seconds, in which its process serves nobody
# else, and 1 GB.
MOST_VALUES: Final = 500_000
_INFINITE: Final = (float("inf"), float("-inf"))


class BadJSON(ValueError):
    """The bytes are no JSON that every reader understands alike. `message` is safe to show; it
    quotes nothing of them.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJSON("An object holds the same key twice.")
    return found


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
    """The value of a JSON text.

    data: UTF-8 without a byte order mark. max_depth: objects and arrays that may lie in each other.
    Raises BadJSON for anything but UTF-8, for keys that stand twice in one object, NaN and
    Infinity, numbers out of range or longer than NUMBER_LENGTH, lone surrogates, deeper nesting,
    more than MOST_VALUES values, and for whatever is no JSON at all.
    """
    if _separators(data) > MOST_VALUES and _has_too_many_values(data):
        raise BadJSON(f"There are more than {MOST_VALUES} values.")
    try:
        text = str(data, "utf-8")
        value = _decoder.decode(text)
        if b"\\u" in data:  # an escape can spell half a surrogate pair, which no UTF-8 can carry on
            orjson.loads(text)
    except UnicodeDecodeError:
        raise BadJSON("The text is not UTF-8.") from None
    except (
        json.JSONDecodeError
    ) as error:  # orjson's error is one of these too; both say where and quote nothing
        raise BadJSON(
            f"Not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    except RecursionError:
        raise BadJSON(_too_deep(max_depth)) from None
    # So few brackets cannot lie deeper: small bodies are spared the walk.
    if data.count(b"{") + data.count(b"[") > max_depth and _is_deeper(value, max_depth):
        raise BadJSON(_too_deep(max_depth))
    return value


def _separators(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _has_too_many_values(data: bytes) -> bool:
    """Counted without making any of them: what stands inside of strings is left out."""
    pieces = data.replace(rb"\\", b"").replace(rb"\"", b"")
    if (
        pieces.count(b'"') > 4 * MOST_VALUES
    ):  # a key and a text for each value, two quotes for each of these
        return True
    return _separators(b"".join(pieces.split(b'"')[::2])) > MOST_VALUES


def _too_deep(max_depth: int) -> str:
    return f"Objects and arrays lie more than {max_depth} deep in each other."


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
