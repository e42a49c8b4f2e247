"""Row ids, which sort by time, and request ids."""

from __future__ import annotations

import os
import re
import secrets
import time
from datetime import datetime
from uuid import UUID

_RANDOM = (1 << 62) - 1
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def uuid7() -> UUID:
    """Make a version 7 UUID (RFC 9562).

    It holds 48 bits of milliseconds, 12 bits of their fraction, then random bits. Ids made in one
    process sort in creation order, to the resolution of the fraction (a quarter of a microsecond).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = nanoseconds * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & _RANDOM
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | random)


def first_of(moment: datetime) -> UUID:
    """Return the smallest id that `uuid7` can make at or after a time, as the start of a range."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def new_request_id() -> str:
    """Make a request id of 24 characters."""
    return secrets.token_hex(12)


def is_request_id(text: str) -> bool:
    """Return whether a client's X-Request-Id is acceptable."""
    return _REQUEST_ID.fullmatch(text) is not None
