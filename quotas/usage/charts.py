"""Bar charts of usage, in SVG user units. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from quotas.usage.summaries import SummaryRow

STEP: Final = 12
WIDTH: Final = 9
HEIGHT: Final = 120


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: its position and the heights of its parts, from the bottom up."""

    row: SummaryRow
    x: int
    ok: str
    ok_y: str
    bad: str
    bad_y: str
    is_today: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """Answered calls with errors stacked on top, one bar per day; the last one is today so far.

    Attributes:
        most: Calls on the busiest day.
        top: Calls at the upper end of the scale.
    """

    bars: Sequence[Bar]
    width: int
    most: int
    top: int
    height: int = HEIGHT
    bar: int = WIDTH
    step: int = STEP


def calls_per_day(days: Sequence[SummaryRow]) -> Chart:
    most = max((row.calls for row in days), default=0)
    top = nice(most)
    bars = [
        _bar(row, number, top, is_today=number == len(days) - 1) for number, row in enumerate(days)
    ]
    return Chart(bars, max(1, len(bars)) * STEP, most, top)


def _bar(row: SummaryRow, number: int, top: int, *, is_today: bool) -> Bar:
    ok, bad = (HEIGHT * part / top for part in (row.answered, row.errors))
    return Bar(
        row,
        number * STEP + (STEP - WIDTH) // 2,
        f"{ok:.2f}",
        f"{HEIGHT - ok:.2f}",
        f"{bad:.2f}",
        f"{HEIGHT - ok - bad:.2f}",
        is_today,
    )


def nice(value: int) -> int:
    """Round up to the next of 1, 2, 5, 10, 20 ..., for a scale that is easy to read."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size >= value:
                return factor * size
        size *= 10
