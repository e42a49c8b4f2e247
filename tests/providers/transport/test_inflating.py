"""Bodies that are compressed although nobody asked for it."""

from __future__ import annotations

import gzip
import zlib

import pytest

from providers.transport.failures import TransportFailure
from providers.transport.inflating import PIECE, Inflater, inflater_of

TEXT = b'data: {"a": 1}\n\n' * 1000


def inflated(encoding: str, data: bytes, size: int) -> bytes:
    inflater = inflater_of(encoding)
    assert inflater is not None
    pieces = []
    for start in range(0, len(data), size):
        pieces.append(inflater.feed(data[start : start + size]))
        while inflater.waits:
            pieces.append(inflater.feed(b""))
    return b"".join(pieces) + inflater.rest()


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT[:5000]) + gzip.compress(TEXT[5000:])),
        ("GZIP", TEXT),  # the label is wrong
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)[2:-4]),  # without a header, as some servers understand it
    ],
    ids=["gzip", "two members", "a wrong label", "zlib", "deflate"],
)
def test_bodies_are_inflated_however_they_are_cut(encoding: str, data: bytes, size: int) -> None:
    assert inflated(encoding, data, size) == TEXT


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_nothing_is_lost_between_two_pieces(size: int) -> None:
    assert inflated("gzip", gzip.compress(b"\0" * size), 100) == b"\0" * size


def test_a_bomb_comes_in_pieces() -> None:
    inflater = Inflater("gzip")
    assert len(inflater.feed(gzip.compress(b"\0" * 8 * PIECE))) == PIECE
    assert inflater.waits


def test_a_damaged_body_is_a_broken_connection() -> None:
    inflater = Inflater("gzip")
    with pytest.raises(OSError, match="damaged"):
        inflater.feed(gzip.compress(TEXT)[:12] + b"\xff" * 50)


def test_other_encodings_are_refused() -> None:
    assert inflater_of("identity") is None
    assert inflater_of("") is None
    with pytest.raises(TransportFailure):
        inflater_of("br")
