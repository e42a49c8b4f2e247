"""Tell the constraint that an INSERT or UPDATE broke."""

from __future__ import annotations

from django.db import IntegrityError

# SQLSTATE of PostgreSQL, and names of SQLite's errors.
_UNIQUE = frozenset({"23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})


def is_duplicate(error: IntegrityError) -> bool:
    """Return whether the row exists already; False if a value is missing or not allowed."""
    cause = error.__cause__
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", "")
    return code in _UNIQUE
