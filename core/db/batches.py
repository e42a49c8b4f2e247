"""Read long lists in batches, so that no query stays open while somebody reads slowly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.db.models import Q, QuerySet

SIZE: Final = 1000  # rows


def newest_first(
    rows: QuerySet[Any], *columns: str, by_time: bool = True
) -> Iterator[tuple[Any, ...]]:
    """Yield the columns of rows, newest first.

    Each batch looks for its beginning, so the order needs an index.

    Args:
        by_time: Order by `time` and then by primary key; False if primary keys sort by time.
    """
    keys = ("time", "pk") if by_time else ("pk",)
    ordered = rows.order_by(*(f"-{key}" for key in keys)).values_list(*columns, *keys)
    batch = list(ordered[:SIZE])
    while batch:
        yield from (row[: len(columns)] for row in batch)
        older = Q(pk__lt=batch[-1][-1])
        if by_time:
            time = batch[-1][-2]
            older = Q(time__lte=time) & (Q(time__lt=time) | older)
        batch = list(ordered.filter(older)[:SIZE]) if len(batch) == SIZE else []
