"""Identifiers that sort by time."""

from __future__ import annotations

import os
import time
from datetime import datetime
from uuid import UUID

_RANDOM = (1 << 62) - 1


def uuid7() -> UUID:
    """A version 7 UUID (RFC 9562): 48 bits of milliseconds, 12 bits of their fraction, then random bits.

    Ids made one after the other in a process sort in that order, as far as its clock tells them apart (a quarter of a microsecond).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = nanoseconds * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & _RANDOM
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | random)


def first_of(moment: datetime) -> UUID:
    """The smallest id that `uuid7` can make at or after this moment: what a range of ids begins with."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
