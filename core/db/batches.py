"""Read long lists in batches, so that no query stays open while somebody reads slowly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.db.models import Q, QuerySet

SIZE: Final = 1000  # rows


def newest_first(rows: QuerySet[Any], *columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield the columns of rows that have a time and a sortable key, newest first."""
    ordered = rows.order_by("-time", "-pk").values_list(*columns, "time", "pk")
    batch = list(ordered[:SIZE])
    while batch:
        yield from (row[:-2] for row in batch)
        time, pk = batch[-1][-2:]
        older = ordered.filter(time__lte=time).filter(Q(time__lt=time) | Q(pk__lt=pk))
        batch = list(older[:SIZE]) if len(batch) == SIZE else []
