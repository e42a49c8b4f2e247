"""Latency histograms whose buckets can be added up, and their median. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

# Upper bounds in milliseconds; a last bucket counts everything slower. From 150 ms to 20 s each
# bound is at most a third above the previous one, so an interpolated median is off by about a sixth
# at most, and usually by far less.
BOUNDS: Final = (
    *(
        50,
        100,
        150,
        200,
        260,
        330,
        420,
        520,
        650,
        800,
        1000,
        1300,
        1600,
        2000,
        2500,
        3200,
        4000,
        5000,
        6500,
        8000,
        10_000,
        13_000,
    ),
    *(16_000, 20_000, 30_000, 45_000, 60_000, 120_000, 300_000),
)
COLUMNS: Final = tuple(f"latency_{number}" for number in range(len(BOUNDS) + 1))


def bounds_of(number: int) -> tuple[int, int | None]:
    """Return the bucket's bounds [low, high) in milliseconds; high is None in the last bucket."""
    return BOUNDS[number - 1] if number else 0, BOUNDS[number] if number < len(BOUNDS) else None


def median(counts: Sequence[int], least: int, most: int) -> int | None:
    """Estimate the median in milliseconds, interpolating inside its bucket.

    Args:
        counts: Counts by bucket.
        least: Shortest duration counted, in milliseconds; a lower bound of the estimate.
        most: Longest duration counted, in milliseconds; an upper bound of the estimate.

    Returns:
        None if nothing was counted.
    """
    sums = list(accumulate(counts))
    if not sums or not sums[-1]:
        return None
    middle = sums[-1] / 2
    number = bisect_left(sums, middle)
    low, high = bounds_of(number)
    low, high = max(low, least), min(most, most if high is None else high)
    before = sums[number] - counts[number]
    return round(low + max(0, high - low) * (middle - before) / counts[number])
