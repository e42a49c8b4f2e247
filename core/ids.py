"""Row ids, which sort by time, and request ids."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime
from uuid import UUID

_RANDOM = (1 << 62) - 1
_CHUNK = 12  # bytes of randomness that an id takes at most
_CHUNKS = 256
_random: list[bytes] = []
# A forked process must not make its parent's ids.
os.register_at_fork(after_in_child=_random.clear)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def uuid7() -> UUID:
    """Make a version 7 UUID (RFC 9562).

    It holds 48 bits of milliseconds, 12 bits of their fraction, then random bits. Ids made in one
    process sort in creation order, to the resolution of the fraction (a quarter of a microsecond).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = nanoseconds * 4096 // 1_000_000
    random = int.from_bytes(_random_chunk(), "big") & _RANDOM
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | random)


def first_of(moment: datetime) -> UUID:
    """Return the smallest id that `uuid7` can make at or after a time, as the start of a range."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def new_request_id() -> str:
    """Make a request id of 24 characters."""
    return _random_chunk().hex()


def _random_chunk() -> bytes:
    """Return random bytes of the system, which are read for many ids at a time: for each reading,
    the interpreter's lock is handed to another thread.
    """
    try:
        return _random.pop()
    except IndexError:
        fresh = os.urandom(_CHUNK * _CHUNKS)
        chunks = [fresh[start : start + _CHUNK] for start in range(0, len(fresh), _CHUNK)]
        _random.extend(chunks[1:])
        return chunks[0]


def is_request_id(text: str) -> bool:
    """Return whether a client's X-Request-Id is acceptable."""
    return _REQUEST_ID.fullmatch(text) is not None
