"""What calls have taught about servers, kept for a while in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final

MOST: Final = 1024  # facts of one kind; the oldest are forgotten
SECONDS: Final = 3600.0  # that a fact is believed: servers are updated


class Remembered:
    """A bounded set of facts that expire.

    Secrets that belong to a fact are passed as their hash(), which tells nothing outside of this
    process.
    """

    __slots__ = ("_clock", "_expiries")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._expiries: dict[Hashable, float] = {}  # oldest first

    def __bool__(self) -> bool:
        return bool(self._expiries)

    def __contains__(self, fact: Hashable) -> bool:
        # Most processes know no such fact, so this costs nothing.
        return bool(self._expiries) and self._expiries.get(fact, 0.0) > self._clock()

    def add(self, fact: Hashable) -> None:
        self._expiries.pop(fact, None)
        self._expiries[fact] = self._clock() + SECONDS
        if len(self._expiries) > MOST:
            self._expiries.pop(next(iter(self._expiries)), None)

    def discard(self, fact: Hashable) -> None:
        self._expiries.pop(fact, None)

    def clear(self) -> None:
        self._expiries.clear()
