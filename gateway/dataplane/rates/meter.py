"""Count requests, tokens and open calls of the last minute, in memory that all workers share.

No minute, from whichever moment on, has more requests than its limit: they are counted by the
second, and the second that ended a minute ago still counts. Tokens of a request count when it is
sent, as far as its prompt goes; those of its answer count when it ends.

What a worker that was killed had under way is forgotten when the server takes its row back.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tenants.limits.rates import Rate

SECONDS: Final = 61  # that may overlap the last minute
_REQUESTS: Final = 2  # the first place of each ring in a slot, after the key and the last second
_TOKENS: Final = _REQUESTS + SECONDS
_SLOT: Final = 128  # numbers of 8 bytes: a kilobyte, of which the system provides what is used
SLOTS: Final = 16_384  # workspaces, members and app keys with rates that are active at once
_TRIED: Final = 64  # slots that a key may be in


class MeterFull(Exception):
    """So many rates are in use at once that no slot is left for another one."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A limit, which a call would go beyond unless `wait` is 0.

    Args:
        measure: Such as "requests_per_minute".
        used: What counts against the limit now.
        wait: Seconds until the call fits if no other comes; None if it never does.
    """

    rate: Rate
    measure: str
    limit: int
    used: int
    wait: float | None


@dataclass(slots=True)
class Admitted:
    """What a call under way takes of its rates."""

    slots: tuple[int, ...]
    second: int
    tokens: int


class Meter:
    """The counters. Until share() is called, they are of this process."""

    def __init__(self, slots: int = SLOTS) -> None:
        self._slots = slots
        self._cells = memoryview(mmap.mmap(-1, 8 * _SLOT * slots)).cast("q")
        self._lock = _unnamed_file()  # open as long as the process
        self._rows, self._row = 1, 0
        self._calls = memoryview(mmap.mmap(-1, 4 * slots)).cast("i")

    def share(self, rows: int) -> None:
        """Make room for the open calls of so many processes, before they are started."""
        self._rows = rows
        self._calls = memoryview(mmap.mmap(-1, 4 * self._slots * rows)).cast("i")

    def use(self, row: int) -> None:
        """Count open calls in this row from now on, in a worker."""
        self._row = row

    def take_back(self, row: int) -> None:
        """Forget the open calls of a worker that ended."""
        with self._locked():
            for slot in range(self._slots):
                self._calls[slot * self._rows + row] = 0

    def admit(self, rates: Sequence[Rate], tokens: int, now: float) -> Admitted | Standing:
        """Count a call against all its rates, or against none if one is reached.

        Args:
            tokens: An estimate of the prompt's.
            now: time.monotonic(), which all processes of a machine share.

        Raises:
            MeterFull: There is no place for one more rate.
        """
        second = int(now)
        with self._locked():
            slots = tuple(self._slot(rate.key, second) for rate in rates)
            for rate, slot in zip(rates, slots, strict=True):
                reached = self._reached(rate, slot, tokens, now)
                if reached is not None:
                    return reached
            for slot in slots:
                self._add(slot, _REQUESTS, second, 1)
                self._add(slot, _TOKENS, second, tokens)
                self._calls[slot * self._rows + self._row] += 1
        return Admitted(slots, second, tokens)

    def release(self, admitted: Admitted, tokens: int | None, now: float) -> None:
        """Count a call that has ended, and what it took besides its estimate.

        Args:
            tokens: All that it took; None if nobody knows.
        """
        second = int(now)
        more = 0 if tokens is None else tokens - admitted.tokens
        with self._locked():
            for slot in admitted.slots:
                self._calls[slot * self._rows + self._row] -= 1
                self._turn(slot, second)
                if more > 0:
                    self._add(slot, _TOKENS, second, more)
                elif second - admitted.second < SECONDS:
                    self._add(slot, _TOKENS, admitted.second, more)

    def usage(self, rates: Sequence[Rate], now: float) -> list[Standing]:
        """Return each limit with what counts against it now, reached or not.

        The wait is until one more request, or token, fits.
        """
        with self._locked():
            return [
                limit
                for rate in rates
                for limit in self._limits(rate, self._slot(rate.key, int(now)), 1, now)
            ]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes out. A lock of a process that dies ends with it."""
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def _slot(self, key: int, second: int) -> int:
        """Return the slot of a key, turned to this second; take a free one if it has none."""
        free = -1
        for step in range(_TRIED):
            slot = (key + step) % self._slots
            found = self._cells[slot * _SLOT]
            if found == key:
                self._turn(slot, second)
                return slot
            if free < 0 and (not found or self._is_idle(slot, second)):
                free = slot
            if not found:
                break
        if free < 0:
            raise MeterFull
        start = free * _SLOT
        self._cells[start] = key
        self._cells[start + 1] = second
        for place in range(start + _REQUESTS, start + _TOKENS + SECONDS):
            self._cells[place] = 0
        return free

    def _is_idle(self, slot: int, second: int) -> bool:
        return second - self._cells[slot * _SLOT + 1] >= SECONDS and not self._open(slot)

    def _turn(self, slot: int, second: int) -> None:
        """Empty the places of the seconds that have passed since the slot was last turned."""
        start = slot * _SLOT
        last = self._cells[start + 1]
        for passed in range(max(last + 1, second - SECONDS + 1), second + 1):
            place = passed % SECONDS
            self._cells[start + _REQUESTS + place] = 0
            self._cells[start + _TOKENS + place] = 0
        if second > last:
            self._cells[start + 1] = second

    def _add(self, slot: int, ring: int, second: int, count: int) -> None:
        place = slot * _SLOT + ring + second % SECONDS
        self._cells[place] = max(0, self._cells[place] + count)

    def _open(self, slot: int) -> int:
        start = slot * self._rows
        return sum(self._calls[start : start + self._rows])

    def _reached(self, rate: Rate, slot: int, tokens: int, now: float) -> Standing | None:
        """Return the limit that the call would go beyond, if any."""
        limits = self._limits(rate, slot, tokens, now)
        return next((limit for limit in limits if limit.wait != 0), None)

    def _limits(self, rate: Rate, slot: int, tokens: int, now: float) -> Iterator[Standing]:
        if rate.calls is not None:
            under_way = self._open(slot)
            wait = 0 if under_way < rate.calls else 1
            yield Standing(rate, "calls_at_once", rate.calls, under_way, wait)
        if rate.requests is not None:
            yield self._limit(rate, slot, _REQUESTS, 1, now)
        if rate.tokens is not None:
            # A prompt of which nobody knows the tokens waits as well until there is room for one.
            yield self._limit(rate, slot, _TOKENS, max(tokens, 1), now)

    def _limit(self, rate: Rate, slot: int, ring: int, count: int, now: float) -> Standing:
        measure, limit = "requests_per_minute", rate.requests
        if ring == _TOKENS:
            measure, limit = "tokens_per_minute", rate.tokens
        assert limit is not None
        start = slot * _SLOT + ring
        used = sum(self._cells[start : start + SECONDS])
        excess = used + count - limit
        wait: float | None = 0
        if excess > 0:
            wait = None if count > limit else self._wait(slot, ring, excess, now)
        return Standing(rate, measure, limit, used, wait)

    def _wait(self, slot: int, ring: int, excess: int, now: float) -> float:
        """Return the seconds until so much no longer counts."""
        start = slot * _SLOT + ring
        second = int(now)
        for passed in range(second - SECONDS + 1, second + 1):
            excess -= self._cells[start + passed % SECONDS]
            if excess <= 0:
                return max(passed + SECONDS - now, 0.001)
        return float(SECONDS)


def _unnamed_file() -> int:
    """Return the descriptor of a file that only this process and its children have."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("modelkeep-rates")
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    return descriptor


meter: Final = Meter()
