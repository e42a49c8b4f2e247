"""Search by exact look-ups, each of which an index answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Q, QuerySet

# Takes what was entered and returns the condition of its matches; None if it cannot have any.
Lookup = Callable[[str], Q | None]


def equals(column: str) -> Lookup:
    """Look a whole value up. The column needs an index."""
    return lambda text: Q(**{column: text})


def first_matches(rows: QuerySet[Any], text: str, lookups: Sequence[Lookup]) -> QuerySet[Any]:
    """Return the matches of the first look-up that has any.

    Joined by OR, they would keep the database from using their indexes.
    """
    text = text.strip()
    for lookup in lookups:
        condition = lookup(text)
        if condition is not None and rows.filter(condition).order_by()[:1].exists():
            return rows.filter(condition)
    return rows.none()
