"""The data plane's PostgreSQL connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import psycopg

from core.db.dialect import POSTGRES
from core.db.statements import Query, Rows, Statements, run_async
from gateway.dataplane.errors import DatabaseLocked, DatabaseSilent, DatabaseUnavailable
from gateway.dataplane.store.pipeline import Connection
from gateway.dataplane.store.postgres_text import conninfo_of

R = TypeVar("R")
# Connections per process. One more serves reads, so that they never wait for a commit.
WRITES: Final = 3  # one for the flusher; single steps that wait for locks take the others
CONNECTIONS: Final = 1 + WRITES
CONNECT_SECONDS: Final = 5
# How long other connections are preferred to one that could not be opened, and by how much.
REST_SECONDS: Final = 1.0
_RESTING: Final = 1_000
LOCK_SECONDS: Final = 1.5  # how long a transaction waits for each lock
# Every statement finds its rows by unique keys, which plans made while tables are small, and kept
# for long, have to do too.
SETTINGS: Final = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
_OPTIONS: Final = "".join(
    f" -c {name}={value}"
    for name, value in (SETTINGS | {"lock_timeout": str(int(LOCK_SECONDS * 1000))}).items()
)
_SET: Final = ", ".join(
    f"set_config('{name}', '{value}', TRUE)" for name, value in SETTINGS.items()
)


def setup(lock_seconds: float) -> Query:
    """Return the statement that makes the settings for one transaction."""
    milliseconds = str(int(lock_seconds * 1000))
    return Query(f"SELECT set_config('lock_timeout', %s, TRUE), {_SET}", (milliseconds,))


class _Lane:
    """One connection, reopened after it breaks."""

    def __init__(self, conninfo: dict[str, Any], *, together: bool = False) -> None:
        self._conninfo = conninfo
        self._together = together
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._takes_options = True
        self._waiting = 0  # statements, for a connection
        self._rests_until = 0.0  # the loop's time

    @property
    def is_open(self) -> bool:
        return self._connection is not None and self._connection.is_open

    @property
    def load(self) -> int:
        """The number of pending statements. A connection that is not open yet has its turn too."""
        if self._connection is not None and self.is_open:
            return self._waiting + self._connection.load
        is_resting = asyncio.get_running_loop().time() < self._rests_until
        return self._waiting + (_RESTING if is_resting else 0)

    def use(self, send: Callable[[Connection], Awaitable[R]]) -> Awaitable[R]:
        """Send something, connecting first if necessary.

        Returns:
            An awaitable of its rows; it raises DatabaseUnavailable if the connection breaks or a
            statement times out.
        """
        connection = self._connection
        if connection is not None and connection.is_open:
            return send(connection)
        return self._use_new(send)

    async def _use_new(self, send: Callable[[Connection], Awaitable[R]]) -> R:
        self._waiting += 1
        try:
            connection = await self._reopened()
        finally:
            self._waiting -= 1
        return await send(connection)

    async def _reopened(self) -> Connection:
        """Open a new connection; concurrent callers share the same attempt."""
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect())
            self._connecting.add_done_callback(self._connected)
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> Connection:
        try:
            raw = await self._connected_raw()
        except (psycopg.Error, OSError) as problem:
            self._rests_until = asyncio.get_running_loop().time() + REST_SECONDS
            is_silent = isinstance(problem, psycopg.errors.ConnectionTimeout)
            kind = DatabaseSilent if is_silent else DatabaseUnavailable
            raise kind(str(problem)) from problem
        settings = None if self._takes_options else setup(LOCK_SECONDS)
        self._connection = Connection(raw, setup=settings, together=self._together)
        return self._connection

    async def _connected_raw(self) -> psycopg.AsyncConnection[Any]:
        """Connect with the settings, or without if a pooler in between doesn't take them."""
        conninfo = {"connect_timeout": CONNECT_SECONDS, **self._conninfo}
        plain = psycopg.AsyncConnection.connect
        if not self._together and self._takes_options:
            options = f"{conninfo.get('options', '')}{_OPTIONS}"
            try:
                return await plain(**conninfo | {"options": options}, autocommit=True)
            except psycopg.OperationalError as problem:
                if "startup parameter" not in str(problem):
                    raise
                self._takes_options = False
        return await plain(**conninfo, autocommit=True)

    def _connected(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PostgresDatabase:
    """The PostgreSQL backend.

    Reads use one connection. What is written goes to the least loaded of the others. Connections
    open on first use.
    """

    dialect = POSTGRES

    def __init__(self, settings: dict[str, Any]) -> None:
        conninfo = conninfo_of(settings)
        self._reads = _Lane(conninfo, together=True)
        self._writes = [_Lane(conninfo) for _number in range(WRITES)]

    async def open(self) -> None:
        """Do nothing: connections open lazily, so a server can start before its database."""

    async def close(self) -> None:
        for lane in self._lanes:
            lane.close()

    @property
    def _lanes(self) -> tuple[_Lane, ...]:
        return (self._reads, *self._writes)

    def connections(self) -> tuple[int, int]:
        loads = [lane.load for lane in self._lanes if lane.is_open]
        return len(loads), sum(loads)

    async def fetch_one(self, sql: str, params: tuple[Any, ...]) -> Sequence[Any] | None:
        rows = await _use((self._reads,), lambda connection: connection.send(sql, params))
        return rows[0] if rows else None

    async def execute(self, sql: str, params: tuple[Any, ...]) -> None:
        await self._write(sql, params)

    async def run(self, make: Callable[[], Statements[Any]]) -> Any:
        return await run_async(make(), self._write)

    async def transaction(
        self, make: Callable[[], Sequence[Statements[None]]], lock_seconds: float | None = None
    ) -> None:
        steps = make()
        queries = [next(step) for step in steps]
        settings = None if lock_seconds is None else setup(lock_seconds)
        answers = await _use(
            self._writes, lambda connection: connection.transaction(queries, settings)
        )
        for step, rows in zip(steps, answers, strict=True):
            with contextlib.suppress(StopIteration):
                step.send(rows)
                raise AssertionError("a step of a transaction has one query")

    async def _write(self, sql: str, params: tuple[Any, ...]) -> Rows:
        query = Query(sql, params)
        [rows] = await _use(self._writes, lambda connection: connection.transaction([query]))
        return rows


async def _use(lanes: Sequence[_Lane], send: Callable[[Connection], Awaitable[R]]) -> R:
    """Send something on the least loaded connection, and once more if that fails.

    All statements are idempotent. If one connection can't be opened, because the server or a pooler
    has no more to give, another takes the statements. What has waited for long is not sent again.
    """
    try:
        return await min(lanes, key=_load).use(send)
    except (DatabaseLocked, DatabaseSilent):
        raise
    except DatabaseUnavailable:
        usable = [lane for lane in lanes if lane.is_open] or lanes
        return await min(usable, key=_load).use(send)


def _load(lane: _Lane) -> int:
    return lane.load
