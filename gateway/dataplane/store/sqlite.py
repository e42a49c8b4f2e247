"""The data plane's SQLite connections: a group-committing writer thread and a reader."""

from __future__ import annotations

import asyncio
import queue
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.db.dialect import SQLITE
from core.db.statements import Query, Rows, Statements, run
from gateway.dataplane.errors import DatabaseUnavailable

BUSY_SECONDS: Final = 2.0  # how long a writer waits for another process
# Between two attempts. SQLite's own pauses grow to 100 ms, so that one process of several that
# write all the time could find the file locked at each of its few attempts.
BUSY_PAUSES: Final = (0.001, 0.004)
GROUP: Final = 64  # maximum steps per commit
PRAGMAS: Final = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-4000")
# The statement or its values are to blame, and would be again.
_FAULTS: Final = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)


@dataclass(slots=True)
class _Job:
    make: Callable[[], Statements[Any]]
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class SQLiteDatabase:
    """The SQLite backend.

    Steps run in a writer thread. Queued steps share one IMMEDIATE transaction, so that one commit
    and one fsync make all of them durable before any caller resumes.

    Reads by unique key run on the event loop's thread: under WAL readers never wait for a writer,
    and switching threads costs five times the lookup.
    """

    dialect = SQLITE

    def __init__(self, path: str) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._reader: sqlite3.Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Write all queued jobs, then stop the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def connections(self) -> tuple[int, int]:
        return sum((self._thread is not None, self._reader is not None)), self._jobs.qsize()

    async def fetch_one(self, sql: str, params: tuple[Any, ...]) -> Sequence[Any] | None:
        try:
            if self._reader is None:
                self._reader = _connect(self._path)
                self._reader.execute("PRAGMA query_only=ON")
            row: Sequence[Any] | None = self._reader.execute(sql, params).fetchone()
        except sqlite3.Error as problem:
            _close(self._reader)
            self._reader = None
            raise DatabaseUnavailable(str(problem)) from problem
        return row

    async def execute(self, sql: str, params: tuple[Any, ...]) -> None:
        def steps() -> Statements[None]:
            yield Query(sql, params)

        await self.run(steps)

    async def run(self, make: Callable[[], Statements[Any]]) -> Any:
        """Run a step. Those that are queued at the same time share a transaction."""
        assert self._loop is not None, "call open() first"
        future = self._loop.create_future()
        self._jobs.put(_Job(make, future))
        return await asyncio.shield(future)

    async def transaction(
        self, make: Callable[[], Sequence[Statements[None]]], lock_seconds: float | None = None
    ) -> None:
        def steps() -> Statements[None]:
            for step in make():
                yield from step

        await self.run(steps)

    # -- writer thread -----------------------------------------------------------------------------

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        while jobs := self._next_jobs():
            try:
                connection = connection or _connected(self._path)
                _write_together(connection, jobs)
            except Exception as problem:  # ending the thread would leave every later call waiting
                _close(connection)
                connection = None
                for job in jobs:
                    job.error = DatabaseUnavailable(str(problem))
            self._deliver(jobs)
        _close(connection)

    def _next_jobs(self) -> list[_Job]:
        """Wait for a job, then take all queued ones; an empty list means stop."""
        first = self._jobs.get()
        jobs = [first] if first is not None else []
        while jobs and len(jobs) < GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)  # stop after the jobs already queued
                break
            jobs.append(job)
        return jobs

    def _deliver(self, jobs: list[_Job]) -> None:
        assert self._loop is not None, "call open() first"
        try:
            self._loop.call_soon_threadsafe(_resolve, jobs)
        except RuntimeError:
            return  # the loop is closed, so there are no waiters left


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _connected(path: str) -> sqlite3.Connection:
    """Connect for writing: `_begin` waits for other processes, and nothing else has to."""
    connection = _connect(path)
    connection.execute("PRAGMA busy_timeout=0")
    return connection


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        connection.close()


def _write_together(connection: sqlite3.Connection, jobs: list[_Job]) -> None:
    """Run all jobs in one transaction.

    If one fails, none has written anything, and each runs again in a transaction of its own.
    """
    try:
        _write(connection, jobs)
    except Exception as problem:
        if _is_unavailable(problem):
            raise
        connection.execute("ROLLBACK")
        for job in jobs:
            _write_alone(connection, job)


def _write_alone(connection: sqlite3.Connection, job: _Job) -> None:
    try:
        _write(connection, [job])
    except Exception as problem:
        if _is_unavailable(problem):
            raise
        connection.execute("ROLLBACK")
        job.error = problem


def _is_unavailable(problem: Exception) -> bool:
    """Tell whether the file is to blame: locked, read-only, full, missing or malformed."""
    return isinstance(problem, sqlite3.DatabaseError) and not isinstance(problem, _FAULTS)


def _write(connection: sqlite3.Connection, jobs: list[_Job]) -> None:
    def execute(sql: str, params: tuple[Any, ...]) -> Rows:
        return connection.execute(sql, params).fetchall()

    _begin(connection)
    for job in jobs:
        job.result = run(job.make(), execute)
    connection.execute("COMMIT")


def _begin(connection: sqlite3.Connection) -> None:
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as problem:
            is_busy = problem.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > until:
                raise
            time.sleep(random.uniform(*BUSY_PAUSES))  # noqa: S311 - staggers the processes
        else:
            return


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.cancelled():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
