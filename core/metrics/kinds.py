"""Counters, gauges and histograms, and how Prometheus reads them (text format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from core.metrics.memory import memory

Labels = tuple[str, ...]
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metric:
    """Numbers of one name, one for each combination of labels.

    Args:
        names: Of the labels.
        series: Their combinations. There are no others, so that nobody can make more.
    """

    kind = "counter"
    lasting = True
    size = 1  # places of each series

    def __init__(
        self, name: str, about: str, names: Labels = (), series: Sequence[Labels] = ((),)
    ) -> None:
        self.name, self.about, self.names = name, about, names
        start = memory.reserve(len(series) * self.size, lasting=self.lasting)
        self._places = {labels: start + self.size * n for n, labels in enumerate(series)}
        METRICS.append(self)

    @property
    def most(self) -> int:
        """How many lines of numbers it can have."""
        return len(self._places) * self.size

    def lines(self) -> Iterator[str]:
        """Yield its lines, without those of labels that never occurred."""
        yield f"# HELP {self.name} {self.about}"
        yield f"# TYPE {self.name} {self.kind}"
        for labels, place in self._places.items():
            value = self._value(place)
            if value or not labels:
                yield _line(self.name, zip(self.names, labels, strict=True), value)

    def _value(self, place: int) -> float:
        return sum(row[place] for row in memory.rows)


class Counter(Metric):
    def add(self, *labels: str, by: float = 1.0) -> None:
        """Count. Labels that were not declared are left out."""
        place = self._places.get(labels)
        if place is not None:
            memory.row[place] += by


class Told(Metric):
    """A count that something else keeps, in each worker for itself."""

    def set(self, value: float, *labels: str) -> None:
        memory.row[self._places[labels]] = value


class Gauge(Metric):
    """A number that each worker sets for itself; those of all are added up."""

    kind = "gauge"
    lasting = False

    def set(self, value: float, *labels: str) -> None:
        memory.row[self._places[labels]] = value

    def move(self, by: float, *labels: str) -> None:
        memory.row[self._places[labels]] += by


class Latest(Gauge):
    """A number that all workers find for the whole server: the highest is told."""

    def _value(self, place: int) -> float:
        return max(row[place] for row in memory.rows)


class Histogram(Metric):
    """How long things took, in seconds.

    Args:
        bounds: Of its buckets.
    """

    kind = "histogram"
    CALLS: Final = (0.25, 1.0, 4.0, 15.0, 60.0)
    STATEMENTS: Final = (0.005, 0.05, 0.5, 5.0)

    def __init__(
        self,
        name: str,
        about: str,
        names: Labels = (),
        series: Sequence[Labels] = ((),),
        *,
        bounds: tuple[float, ...] = CALLS,
    ) -> None:
        self.bounds = bounds
        self.size = len(bounds) + 3  # the bounds, infinity, sum and count
        super().__init__(name, about, names, series)

    def add(self, seconds: float, *labels: str) -> None:
        place = self._places.get(labels)
        if place is not None:
            row, size = memory.row, self.size
            row[place + bisect_left(self.bounds, seconds)] += 1
            row[place + size - 2] += seconds
            row[place + size - 1] += 1

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self.about}"
        yield f"# TYPE {self.name} {self.kind}"
        bounds = [*map(str, self.bounds), "+Inf"]
        for values, place in self._places.items():
            labels = list(zip(self.names, values, strict=True))
            *counts, total, count = (self._value(place + n) for n in range(self.size))
            if not count:
                continue
            below = 0.0
            for bound, inside in zip(bounds, counts, strict=True):
                below += inside
                yield _line(f"{self.name}_bucket", [*labels, ("le", bound)], below)
            yield _line(f"{self.name}_sum", labels, total)
            yield _line(f"{self.name}_count", labels, count)


METRICS: Final[list[Metric]] = []


def exposition() -> str:
    """Return all metrics as Prometheus reads them."""
    return "".join(f"{line}\n" for metric in METRICS for line in metric.lines())


def _line(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    inside = ",".join(f'{label}="{text}"' for label, text in labels)
    number = int(value) if value.is_integer() else round(value, 6)
    return f"{name}{{{inside}}} {number}" if inside else f"{name} {number}"
