"""The data plane's PostgreSQL connections: many callers share a few, each statement its own transaction, in libpq's pipeline mode."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from gateway.store import DatabaseAway
from quotas import statements
from quotas.statements import POSTGRES, Rows, Steps

logger = logging.getLogger(__name__)
CONNECTIONS: Final = 4  # per process, for steps; one more serves the reads, which never wait for a commit
WAIT_SECONDS: Final = 15.0  # for one statement, the time in the queue included
CONNECT_SECONDS: Final = 5
_WORKING: Final = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


class StatementFailed(Exception):
    """PostgreSQL refused a statement. The text is its message."""


class _Waiting(NamedTuple):
    future: asyncio.Future[Rows] | None  # None: the answer to a PREPARE


class Connection:
    """One connection in pipeline mode. Statements are sent at once and answered in order; a sync after each makes it a transaction
    of its own, so one that fails does not touch its neighbours."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._transformer = Transformer(connection)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._names: dict[str, bytes] = {}
        self._prepared = 0
        self._failure: Exception | None = None
        self._flushing = False
        self.is_open = True
        self._pgconn.nonblocking = 1
        self._pgconn.enter_pipeline_mode()
        self._socket = self._pgconn.socket
        self._loop.add_reader(self._socket, self._readable)

    @property
    def load(self) -> int:
        """How many statements are on their way."""
        return len(self._waiting)

    def send(self, sql: str, params: tuple[Any, ...]) -> asyncio.Future[Rows]:
        """Send one statement; the future brings its rows. Raises DatabaseAway where the connection is broken."""
        future: asyncio.Future[Rows] = self._loop.create_future()
        try:
            name = self._names.get(sql) or self._prepare(sql)
            self._pgconn.send_query_prepared(name, [_dump(value) for value in params])
            self._pgconn.pipeline_sync()
            self._waiting.append(_Waiting(future))
            self._flush()
        except psycopg.Error as problem:
            self._break(problem)
            raise DatabaseAway(str(problem)) from problem
        return future

    def _prepare(self, sql: str) -> bytes:
        self._prepared += 1
        name = self._names[sql] = b"m%d" % self._prepared
        self._pgconn.send_prepare(name, _numbered(sql))
        self._pgconn.pipeline_sync()
        self._waiting.append(_Waiting(None))
        return name

    def _flush(self) -> None:
        more = self._pgconn.flush() != 0
        if more and not self._flushing:
            self._loop.add_writer(self._socket, self._writable)
        elif self._flushing and not more:
            self._loop.remove_writer(self._socket)
        self._flushing = more

    def _writable(self) -> None:
        try:
            self._flush()
        except psycopg.Error as problem:
            self._break(problem)

    def _readable(self) -> None:
        try:
            self._pgconn.consume_input()
            if self._flushing:
                self._flush()
            self._take_results()
        except psycopg.Error as problem:
            self._break(problem)

    def _take_results(self) -> None:
        pgconn = self._pgconn
        while self._waiting and not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                continue  # the end of one statement's results; its sync follows
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                self._waiting.popleft()
            else:
                self._answer(self._waiting[0].future, result)

    def _answer(self, future: asyncio.Future[Rows] | None, result: pq.abc.PGresult) -> None:
        if result.status in _WORKING:
            if future is not None and not future.done():
                self._transformer.set_pgresult(result)
                future.set_result(self._transformer.load_rows(0, result.ntuples, tuple))
            return
        message = result.error_message.decode(errors="replace")
        if future is None:
            # What was to run it fails next. Forgetting the names makes later ones prepare anew: a table may exist by then.
            self._names.clear()
            logger.error("PostgreSQL refused to prepare a statement: %s", message)
        elif not future.done():
            away = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"")[:2] in (b"57", b"08", b"53")
            future.set_exception(DatabaseAway(message) if away else StatementFailed(message))

    def _break(self, problem: Exception) -> None:
        """Nothing more comes: all who wait are told."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        for waiting in self._waiting:
            if waiting.future is not None and not waiting.future.done():
                waiting.future.set_exception(DatabaseAway(str(problem)))
        self._waiting.clear()
        self._pgconn.finish()

    def close(self) -> None:
        self._break(DatabaseAway("The connection was closed."))


def _numbered(sql: str) -> bytes:
    pieces = sql.split("%s")
    return "".join(piece + (f"${number}" if number < len(pieces) else "") for number, piece in enumerate(pieces, 1)).encode()


def _dump(value: Any) -> bytes | None:
    """A parameter in PostgreSQL's text form; the server knows the types from the statement."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    if value is True or value is False:
        return b"t" if value else b"f"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().encode()
    if isinstance(value, UUID | int | float | Decimal):
        return str(value).encode()
    raise TypeError(f"no text form for {type(value).__name__}")


class _Lane:
    """One connection and the way to a new one when it breaks."""

    def __init__(self, conninfo: dict[str, Any]) -> None:
        self._conninfo = conninfo
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None

    @property
    def load(self) -> int:
        return self._connection.load if self._connection is not None and self._connection.is_open else 1_000

    async def send(self, sql: str, params: tuple[Any, ...]) -> Rows:
        """Raises DatabaseAway, also where the answer takes too long."""
        connection = self._connection
        if connection is None or not connection.is_open:
            connection = await self._reopened()
        future = connection.send(sql, params)
        timer = asyncio.get_running_loop().call_later(WAIT_SECONDS, _give_up, connection, future)
        try:
            return await future
        finally:
            timer.cancel()

    async def _reopened(self) -> Connection:
        """A new connection; all who want one at the same time wait for the same."""
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect())
            self._connecting.add_done_callback(self._connected)
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> Connection:
        try:
            raw = await psycopg.AsyncConnection.connect(**self._conninfo, autocommit=True, connect_timeout=CONNECT_SECONDS)
        except (psycopg.Error, OSError) as problem:
            raise DatabaseAway(str(problem)) from problem
        self._connection = Connection(raw)
        return self._connection

    def _connected(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _give_up(connection: Connection, future: asyncio.Future[Rows]) -> None:
    if not future.done():
        future.set_exception(DatabaseAway("PostgreSQL did not answer in time."))
        connection.close()


class PostgresDatabase:
    """Reads go through one connection, steps through the one that has least to do. Both are opened when first used."""

    dialect = POSTGRES

    def __init__(self, settings: dict[str, Any]) -> None:
        conninfo = _conninfo(settings)
        self._reads = _Lane(conninfo)
        self._lanes = [_Lane(conninfo) for _number in range(CONNECTIONS)]

    async def open(self) -> None:
        """The connections come with the first statements: a server starts while its database is still away."""

    async def close(self) -> None:
        for lane in (self._reads, *self._lanes):
            lane.close()

    async def fetch_one(self, sql: str, params: tuple[Any, ...]) -> Sequence[Any] | None:
        rows = await self._again(self._reads, sql, params)
        return rows[0] if rows else None

    async def execute(self, sql: str, params: tuple[Any, ...]) -> None:
        await self._write(sql, params)

    async def run(self, make: Callable[[], Steps[Any]]) -> Any:
        return await statements.run_async(make(), self._write)

    async def _write(self, sql: str, params: tuple[Any, ...]) -> Rows:
        return await self._again(min(self._lanes, key=_load), sql, params)

    async def _again(self, lane: _Lane, sql: str, params: tuple[Any, ...]) -> Rows:
        """Every statement here may be made twice: one that met a broken connection is sent once more on a new one."""
        with contextlib.suppress(DatabaseAway):
            return await lane.send(sql, params)
        return await lane.send(sql, params)


def _load(lane: _Lane) -> int:
    return lane.load


def _conninfo(settings: dict[str, Any]) -> dict[str, Any]:
    named = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    options = {name: value for name, value in settings.get("OPTIONS", {}).items() if isinstance(value, str | int)}
    return options | {name: settings[key] for name, key in named.items() if settings.get(key)}
