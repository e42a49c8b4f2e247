"""Identifiers: of rows, which sort by time, and of requests."""

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
    """A version 7 UUID (RFC 9562): 48 bits of milliseconds, 12 bits of their fraction, then random
    bits.

    Ids made one after the other in a process sort in that order, as far as its clock tells them
    apart (a quarter of a microsecond).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = nanoseconds * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & _RANDOM
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | random)


def first_of(moment: datetime) -> UUID:
    """The smallest id that `uuid7` can make at or after this moment: what a range of ids begins
    with.
    """
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def new_request_id() -> str:
    """Make the id of a request, 24 characters."""
    return secrets.token_hex(12)


def is_request_id(text: str) -> bool:
    """Whether a client's X-Request-Id can be taken over."""
    return _REQUEST_ID.fullmatch(text) is not None
