"""Tell how long each migration takes, and what it keeps others from doing meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

# Locks of this session that make writers, or everyone, wait; not of tables that it has just made.
HELD_SQL: Final = """
SELECT relation::regclass::text, mode FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted AND mode IN
('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
AND relation = ANY (SELECT unnest(%s::text[])::regclass::oid)
"""
STATEMENT_CHARACTERS: Final = 100


@dataclass
class Lock:
    """What is locked and how, since when, by which statement, and for how many seconds."""

    table: str
    mode: str
    statement: str
    since: float
    seconds: float = 0.0


@dataclass
class Step:
    """A migration: its name, how long it took, its locks and its slowest statement."""

    name: str
    began: float
    seconds: float = 0.0
    locks: dict[tuple[str, str], Lock] = field(default_factory=dict)
    slowest: float = 0.0
    slowest_statement: str = ""

    def lines(self) -> Iterator[str]:
        yield f"{self.name}: {self.seconds:.2f} s"
        if self.slowest >= 0.1:
            yield f"    slowest statement {self.slowest:.2f} s: {self.slowest_statement}"
        for lock in self.locks.values():
            yield f"    {lock.mode} on {lock.table} for {lock.seconds:.3f} s, by {lock.statement}"


class Watch:
    """Records each migration. `note` is a progress callback of Django's executor."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._tables: list[str] = []

    def note(self, action: str, migration: Any = None, fake: bool = False) -> None:
        now = time.monotonic()
        if action == "apply_start":
            self._tables = [f'"{name}"' for name in connection.introspection.table_names()]
            self.steps.append(Step(f"{migration.app_label}.{migration.name}", now))
        elif action == "apply_success":
            step = self.steps[-1]
            step.seconds = now - step.began
            for lock in step.locks.values():
                lock.seconds = now - lock.since  # its transaction has just ended

    @contextmanager
    def watching(self) -> Iterator[None]:
        with connection.execute_wrapper(self._execute):
            yield

    def _execute(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        began = time.monotonic()
        result = execute(sql, params, many, context)
        if self.steps and not self.steps[-1].seconds:
            self._count(self.steps[-1], str(sql), began)
        return result

    def _count(self, step: Step, sql: str, began: float) -> None:
        statement = " ".join(sql.split())[:STATEMENT_CHARACTERS]
        seconds = time.monotonic() - began
        if seconds > step.slowest:
            step.slowest, step.slowest_statement = seconds, statement
        if connection.vendor != "postgresql":
            step.locks.setdefault(
                ("the database", "write"), Lock("the database", "write lock", statement, began)
            )
            return
        with connection.connection.cursor() as cursor:
            held = cursor.execute(HELD_SQL, [self._tables]).fetchall()
        for table, mode in held:
            step.locks.setdefault((table, mode), Lock(table, mode, statement, began))
