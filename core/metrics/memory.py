"""The numbers that a server's workers count, in memory that they share.

Each worker writes to a row of its own, so that counting takes no lock and costs one addition: the
event loop counts, and no other thread. Whoever is asked adds the rows up. The row of a worker that
ended is added to the first one, and given to another worker.
"""

from __future__ import annotations

import mmap
from array import array
from typing import Final, TypeAlias

Row: TypeAlias = "array[float] | memoryview[float]"
_BYTES: Final = 8


class Memory:
    """The rows. Until share() is called there is one."""

    def __init__(self) -> None:
        self._first = array("d")
        self.row: Row = self._first
        self.rows: list[Row] = [self.row]
        self._free: list[int] = []
        self._resets: list[int] = []

    def reserve(self, count: int, *, lasting: bool = True) -> int:
        """Return the first of so many new places.

        Args:
            lasting: The numbers outlive the worker that counted them.
        """
        assert len(self.rows) == 1, "metrics are declared before the server starts workers"
        start = len(self._first)
        self._first.extend([0.0] * count)
        if not lasting:
            self._resets.extend(range(start, start + count))
        return start

    def share(self, workers: int) -> None:
        """Move the numbers into memory that this process's children share."""
        size = len(self._first)
        cells = memoryview(mmap.mmap(-1, _BYTES * size * (workers + 1))).cast("d")
        self.rows = [cells[size * row : size * (row + 1)] for row in range(workers + 1)]
        self._free = list(range(1, workers + 1))
        self.row = self.rows[0]
        for place, value in enumerate(self._first):
            self.row[place] = value

    def lend(self) -> int:
        """Return a row for a worker; the first one if there are more workers than expected."""
        return self._free.pop(0) if self._free else 0

    def use(self, row: int) -> None:
        """Count in this row from now on, in a worker."""
        self.row = self.rows[row]

    def take_back(self, row: int) -> None:
        """Keep what a worker counted that has ended."""
        if row == 0:
            return
        cells, kept = self.rows[row], self.rows[0]
        for place in self._resets:
            cells[place] = 0.0
        for place, value in enumerate(cells):
            kept[place] += value
            cells[place] = 0.0
        self._free.append(row)


memory: Final = Memory()
