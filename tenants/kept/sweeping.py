"""Delete what has expired."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from core.db.connection import dialect, execute
from tenants.kept import statements

MOST_BATCHES: Final = 20  # per run; a long backlog is deleted in several


def sweep() -> int:
    """Delete expired items in bounded batches; safe to run concurrently.

    Returns:
        The number of deleted items.
    """
    deleted = 0
    for _batch in range(MOST_BATCHES):
        with transaction.atomic():
            query = statements.sweep(dialect())
            count = len(execute(query.sql, query.params))
        deleted += count
        if count < statements.SWEPT:
            break
    return deleted
