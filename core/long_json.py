"""Parse long JSON texts within bounds, so that the process can do other work meanwhile.

Parsers written in C keep all other threads waiting until they return.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import orjson


@dataclass(frozen=True, slots=True)
class Limit:
    """The largest JSON text that is parsed.

    Args:
        values: Most values.
        members: Most names, lists and objects, which cost far more than numbers.
    """

    values: int
    members: int


# A batch of token ids to embed, the largest legitimate request, has 300,000 values. Parsing 30 MiB
# of commas would block the process for 20 seconds and use 1 GB.
REQUEST: Final = Limit(values=500_000, members=150_000)
# In 16 MiB, embeddings have 1,400,000 values, and the likeliest alternatives of 8,000 tokens have
# 800,000 members. Freeing many more would take longer than anything else here.
ANSWER: Final = Limit(values=2_000_000, members=800_000)
AT_ONCE: Final = 150_000  # members that are parsed in one go, which takes about 50 ms
PIECE: Final = 1024 * 1024  # bytes
MOST_VECTORS: Final = 10_000
_VECTOR: Final = re.compile(rb'"embedding"\s*:\s*\[')
_NUMERIC: Final = b"0123456789+-.eE, \t\r\n"
_VALUE_BYTES: Final = 2  # of the shortest value, with its comma
_MEMBER_BYTES: Final = 3  # of the shortest list, with its comma


class TooManyValues(ValueError):
    """A JSON text has more values than its limit."""


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object, in Python, so that other threads may run before it."""
    return dict(pairs)


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def loads(data: bytes, limit: Limit = ANSWER) -> Any:
    """Parse a JSON text.

    Raises:
        ValueError: It is not JSON, or has more values than the limit.
    """
    if len(data) < _MEMBER_BYTES * AT_ONCE or (
        _members(data) <= AT_ONCE and _values(data) <= limit.values
    ):
        return orjson.loads(data)
    structure = outside_strings(data, limit)
    if structure is None or _values(structure) > limit.values:
        raise TooManyValues
    members = _members(structure)
    if members <= AT_ONCE:
        return orjson.loads(data)
    if members > limit.members or _longest_run(structure) > AT_ONCE:
        raise TooManyValues
    try:
        return _decoder.decode(str(data, "utf-8"))
    except RecursionError:
        raise TooManyValues from None


def _longest_run(structure: bytes) -> int:
    """Return the most names and lists that follow each other without an object in between.

    Nothing else can run meanwhile, because only objects are made in Python.
    """
    return max(piece.count(b":") + piece.count(b"[") for piece in structure.split(b"{"))


def too_many_values(data: bytes, limit: Limit) -> bool:
    """Return whether a JSON text has more values or members than the limit.

    Texts that are too short for that are not looked at, and strings are skipped.
    """
    if len(data) < min(_VALUE_BYTES * limit.values, _MEMBER_BYTES * limit.members):
        return False
    if _values(data) <= limit.values and _members(data) <= limit.members:
        return False
    structure = outside_strings(data, limit)
    return (
        structure is None
        or _values(structure) > limit.values
        or _members(structure) > limit.members
    )


def without_vectors(data: bytes) -> tuple[bytes, list[bytes]]:
    """Return a JSON text with each vector replaced by its number, from 0 on, and the vectors.

    A vector is an array of nothing but numbers under the name "embedding". A name can't be mistaken
    for text: within a string, its quotes are escaped. The vectors aren't checked otherwise.
    """
    parts: list[bytes] = []
    vectors: list[bytes] = []
    end = 0
    while (name := _VECTOR.search(data, end)) is not None:
        start = name.end() - 1
        stop = data.find(b"]", start) + 1
        if not stop or len(vectors) == MOST_VECTORS:
            break
        vector = data[start:stop]
        if vector.translate(None, _NUMERIC) == b"[]":
            parts += (data[end:start], b"%d" % len(vectors))
            vectors.append(vector)
        else:
            parts.append(data[end:stop])
        end = stop
    return b"".join((*parts, data[end:])), vectors


def outside_strings(data: bytes, limit: Limit) -> bytes | None:
    """Return a JSON text without its strings; None if it has more quotes than the limit allows.

    Works piece by piece, so that other threads can run in between.
    """
    outside: list[bytes] = []
    quotes = 0
    for piece in _pieces(data):
        parts = piece.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')
        outside.append(b"".join(parts[quotes % 2 :: 2]))
        quotes += len(parts) - 1
        if quotes > 4 * limit.values:
            return None
    return b"".join(outside)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut a text into pieces of about PIECE bytes, never inside an escape."""
    start = 0
    while start < len(data):
        piece = data[start : start + PIECE]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece = data[start : start + PIECE + 1]
        yield piece
        start += len(piece)


def _values(data: bytes) -> int:
    return count(data, b",", b"[", b"{")


def _members(data: bytes) -> int:
    return count(data, b":", b"[", b"{")


def count(data: bytes, *marks: bytes) -> int:
    """Count some characters, piece by piece, so that other threads can run in between."""
    starts = range(0, len(data), PIECE)
    return sum(data.count(mark, start, start + PIECE) for start in starts for mark in marks)
