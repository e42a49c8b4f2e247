"""Let one process at a time prepare the database, on whichever machine it runs."""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from core.db.connection import separate

logger = logging.getLogger(__name__)
# PostgreSQL's advisory locks have numbers; this one is only ours.
PREPARING: Final = 0x6D6B_7072
POLL_SECONDS: Final = 0.2
_held = False  # by this process


@contextmanager
def preparing() -> Iterator[None]:
    """Wait until no other process migrates or fills this database, and keep others waiting.

    A process that dies frees the others. Within itself, a process may nest this.
    """
    global _held
    if _held:
        yield
        return
    with _postgres() if connection.vendor == "postgresql" else _file():
        _held = True
        try:
            yield
        finally:
            _held = False


@contextmanager
def _postgres() -> Iterator[None]:
    own = separate()  # because the lock lasts as long as its session
    try:
        # Waiting within the statement would hold a snapshot, for which the other process's
        # CREATE INDEX CONCURRENTLY waits in turn.
        _poll(lambda: bool(_value(own, "SELECT pg_try_advisory_lock(%s)", PREPARING)))
        yield
    finally:
        own.close()  # which frees the lock


def _value(own: BaseDatabaseWrapper, sql: str, *params: int) -> object:
    with own.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0]


@contextmanager
def _file() -> Iterator[None]:
    database = Path(str(connection.settings_dict["NAME"]))
    if not database.parent.is_dir():  # in memory, or reported by the first query
        yield
        return
    with database.with_name(f".{database.name}.preparing").open("w") as file:
        _poll(lambda: _is_locked(file.fileno()))
        yield


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _poll(take: Callable[[], bool]) -> None:
    if take():
        return
    logger.warning("Waiting for another process that prepares the database")
    while not take():
        time.sleep(POLL_SECONDS)
