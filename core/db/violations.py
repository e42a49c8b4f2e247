"""Tell why the database refused a statement."""

from __future__ import annotations

from django.db import DatabaseError, IntegrityError, InterfaceError, InternalError, OperationalError

# SQLSTATE of statements that PostgreSQL ended because they took too long, or waited too long.
_SLOW = frozenset({"57014", "55P03"})
# SQLSTATE of PostgreSQL, and names of SQLite's errors.
_UNIQUE = frozenset({"23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})


def is_duplicate(error: IntegrityError) -> bool:
    """Return whether the row exists already; False if a value is missing or not allowed."""
    cause = error.__cause__
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", "")
    return code in _UNIQUE


def is_unavailable(error: BaseException | None) -> bool:
    """Return whether the database is to blame, not the statement: it may be taken later."""
    # An InternalError is PostgreSQL's when it is read-only, a plain DatabaseError SQLite's when its
    # file is malformed; without a cause, it is Django's own.
    return isinstance(error, OperationalError | InterfaceError | InternalError) or (
        type(error) is DatabaseError and error.__cause__ is not None
    )


def is_slow(error: BaseException | None) -> bool:
    """Return whether the database answers, but took too long for this statement."""
    return getattr(getattr(error, "__cause__", None), "sqlstate", None) in _SLOW
