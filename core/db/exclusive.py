"""Let one process at a time prepare or prune the database, on whichever machine it runs."""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from core.db.connection import separate

logger = logging.getLogger(__name__)
# PostgreSQL's advisory locks have numbers; these are only ours.
PREPARING: Final = 0x6D6B_7072
PRUNING: Final = 0x6D6B_7075
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
    with _locked(PREPARING, "preparing"):
        _held = True
        try:
            yield
        finally:
            _held = False


@contextmanager
def pruning() -> Iterator[None]:
    """Wait until no other process archives and deletes old rows, and keep others waiting."""
    with _locked(PRUNING, "pruning"):
        yield


def _locked(number: int, name: str) -> AbstractContextManager[None]:
    return _postgres(number, name) if connection.vendor == "postgresql" else _file(name)


@contextmanager
def _postgres(number: int, name: str) -> Iterator[None]:
    own = separate()  # because the lock lasts as long as its session
    try:
        # Waiting within the statement would hold a snapshot, for which the other process's
        # CREATE INDEX CONCURRENTLY waits in turn.
        _poll(lambda: bool(_value(own, "SELECT pg_try_advisory_lock(%s)", number)), name)
        yield
    finally:
        own.close()  # which frees the lock


def _value(own: BaseDatabaseWrapper, sql: str, *params: int) -> object:
    with own.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0]


@contextmanager
def _file(name: str) -> Iterator[None]:
    database = Path(str(connection.settings_dict["NAME"]))
    if not database.parent.is_dir():  # in memory, or reported by the first query
        yield
        return
    with database.with_name(f".{database.name}.{name}").open("w") as file:
        _poll(lambda: _is_locked(file.fileno()), name)
        yield


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _poll(take: Callable[[], bool], name: str) -> None:
    if take():
        return
    logger.warning("Waiting for another process that is %s the database", name)
    while not take():
        time.sleep(POLL_SECONDS)
