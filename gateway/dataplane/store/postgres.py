"""The data plane's PostgreSQL connections: many callers share a few, in libpq's pipeline mode."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.types.string import TextLoader

from core.db.dialect import POSTGRES
from core.db.statements import Rows, Statements, run_async
from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.store.postgres_text import conninfo_of, encoded, numbered

logger = logging.getLogger(__name__)
# Connections per process. One more serves reads, so that they never wait for a commit.
SHARED: Final = 2  # for own-key call records: if one waits for a lock, the other continues
ALONE: Final = 3  # for ledger steps
BATCH: Final = 64  # maximum statements per commit
WAIT_SECONDS: Final = 15.0  # per statement, including time in the queue
CONNECT_SECONDS: Final = 5
# How long other connections are preferred to one that could not be opened, and by how much.
REST_SECONDS: Final = 1.0
_RESTING: Final = 1_000
# SQLSTATE classes of a statement's own fault: cardinality, data, constraints. Whatever else
# PostgreSQL refuses (read-only, locks, time limits, a full disk, tables that are not there yet), it
# may take later.
_FAULTS: Final = (b"21", b"22", b"23")
_WORKING: Final = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


class StatementFailed(Exception):
    """PostgreSQL rejected a statement; the text is its error message."""


@dataclass(slots=True)
class _Statement:
    sql: str
    values: list[bytes | None]
    future: asyncio.Future[Rows]
    since: float  # the loop's time
    rows: Rows = ()


class _Batch:
    """One transaction, sent between two syncs. A batch without statements is a PREPARE."""

    __slots__ = ("answered", "problem", "statements")

    def __init__(self, statements: Sequence[_Statement]) -> None:
        self.statements = statements
        self.answered = 0
        self.problem: DatabaseUnavailable | StatementFailed | None = None

    def fail(self, problem: Exception) -> None:
        for statement in self.statements:
            if not statement.future.done():
                statement.future.set_exception(problem)


class Connection:
    """One connection in pipeline mode.

    A statement is done only when its sync returns, because only then is it committed.

    Args:
        together: If true, queued statements share a transaction, one socket write and one commit;
            the next batch is sent when the previous one is done. Use this only for statements that
            never wait for each other's locks. If one fails, each is retried alone, so that the
            others still succeed. If false, each statement is sent at once in its own transaction.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any], *, together: bool) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        for name in ("json", "jsonb"):  # read_json parses what is read, which is seldom
            connection.adapters.register_loader(name, TextLoader)
        self._transformer = Transformer(connection)
        self._loop = asyncio.get_running_loop()
        self._together = together
        self._queue: deque[_Statement] = deque()
        self._sent: deque[_Batch] = deque()
        self._names: dict[str, bytes] = {}
        self._prepared = 0
        self._flushing = False
        self._is_due = False  # a send is scheduled for this loop iteration
        self._timer: asyncio.TimerHandle | None = None
        self.is_open = True
        self._pgconn.nonblocking = 1
        self._pgconn.enter_pipeline_mode()
        self._socket = self._pgconn.socket
        self._loop.add_reader(self._socket, self._readable)

    @property
    def load(self) -> int:
        """The number of pending statements."""
        return len(self._queue) + sum(len(batch.statements) for batch in self._sent)

    def send(self, sql: str, params: tuple[Any, ...]) -> asyncio.Future[Rows]:
        """Send one statement.

        Returns:
            A future for its rows; it raises DatabaseUnavailable if the connection breaks.
        """
        statement = _Statement(
            sql,
            [None if value is None else encoded(value) for value in params],
            self._loop.create_future(),
            self._loop.time(),
        )
        if self._timer is None:
            self._timer = self._loop.call_later(WAIT_SECONDS, self._check_timeout)
        if not self._together:
            self._guarded(self._send_batch, (statement,))
            return statement.future
        self._queue.append(statement)
        if not self._sent and not self._is_due:
            # Statements queued in the same loop iteration go in the same batch.
            self._is_due = True
            self._loop.call_soon(self._guarded, self._send_queue)
        return statement.future

    def _guarded(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            if self.is_open:
                work(*arguments)
        except psycopg.Error as problem:
            self._break(problem)

    def _send_queue(self) -> None:
        self._is_due = False
        if self._queue and not self._sent:
            count = min(len(self._queue), BATCH)
            self._send_batch([self._queue.popleft() for _number in range(count)])

    def _send_batch(self, statements: Sequence[_Statement]) -> None:
        batch = _Batch(statements)
        names = [
            self._names.get(statement.sql) or self._prepare(statement.sql)
            for statement in statements
        ]
        self._sent.append(batch)
        for name, statement in zip(names, statements, strict=True):
            self._pgconn.send_query_prepared(name, statement.values)
        self._pgconn.pipeline_sync()  # writes the buffered messages
        self._flush()

    def _prepare(self, sql: str) -> bytes:
        self._prepared += 1
        name = self._names[sql] = b"m%d" % self._prepared
        self._sent.append(_Batch(()))
        self._pgconn.send_prepare(name, numbered(sql))
        self._pgconn.pipeline_sync()
        return name

    def _flush(self) -> None:
        more = self._pgconn.flush() != 0
        if more and not self._flushing:
            self._loop.add_writer(self._socket, self._guarded, self._flush)
        elif self._flushing and not more:
            self._loop.remove_writer(self._socket)
        self._flushing = more

    def _readable(self) -> None:
        self._guarded(self._read)

    def _read(self) -> None:
        self._pgconn.consume_input()
        if self._flushing:
            self._flush()
        self._take_results()
        if self._queue and not self._sent:
            self._send_queue()

    def _take_results(self) -> None:
        pgconn = self._pgconn
        while self._sent and not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                continue  # the end of one statement's results
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                self._end(self._sent.popleft())
            else:
                self._note(self._sent[0], result)

    def _note(self, batch: _Batch, result: pq.abc.PGresult) -> None:
        if result.status in _WORKING:
            if batch.answered < len(batch.statements):
                self._transformer.set_pgresult(result)
                batch.statements[batch.answered].rows = self._transformer.load_rows(
                    0, result.ntuples, tuple
                )
                batch.answered += 1
        elif batch.problem is None:  # later statements in the batch are merely skipped
            message = result.error_message.decode(errors="replace")
            state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"")[:2]
            batch.problem = (
                StatementFailed(message) if state in _FAULTS else DatabaseUnavailable(message)
            )

    def _end(self, batch: _Batch) -> None:
        if batch.problem is None:
            for statement in batch.statements:
                if not statement.future.done():
                    statement.future.set_result(statement.rows)
        elif not batch.statements:
            # The statement itself fails next. Forget the names so that later calls prepare again:
            # the missing table may exist by then.
            self._names.clear()
            logger.error("PostgreSQL refused to prepare a statement: %s", batch.problem)
        elif len(batch.statements) == 1 or isinstance(batch.problem, DatabaseUnavailable):
            batch.fail(batch.problem)
        else:
            for statement in batch.statements:
                self._send_batch((statement,))

    def _check_timeout(self) -> None:
        """Break the connection if the oldest statement has timed out, else re-arm the timer."""
        self._timer = None
        start_times = [
            statement.since for batch in self._sent for statement in batch.statements[:1]
        ]
        start_times += [statement.since for statement in islice(self._queue, 1)]
        if not start_times:
            return
        remaining = min(start_times) + WAIT_SECONDS - self._loop.time()
        if remaining <= 0:
            self._break(DatabaseUnavailable("PostgreSQL did not answer in time."))
        else:
            self._timer = self._loop.call_later(remaining, self._check_timeout)

    def _break(self, problem: Exception) -> None:
        """Close the connection and fail all pending statements."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        if self._timer is not None:
            self._timer.cancel()
        for batch in (*self._sent, _Batch(tuple(self._queue))):
            batch.fail(DatabaseUnavailable(str(problem)))
        self._sent.clear()
        self._queue.clear()
        self._pgconn.finish()

    def close(self) -> None:
        self._break(DatabaseUnavailable("The connection was closed."))


class _Lane:
    """One connection, reopened after it breaks."""

    def __init__(self, conninfo: dict[str, Any], *, together: bool = False) -> None:
        self._conninfo = conninfo
        self._together = together
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
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

    def send(self, sql: str, params: tuple[Any, ...]) -> Awaitable[Rows]:
        """Send one statement, connecting first if necessary.

        Returns:
            An awaitable of the rows; it raises DatabaseUnavailable if the connection breaks or the
            statement times out.
        """
        connection = self._connection
        if connection is not None and connection.is_open:
            return connection.send(sql, params)
        return self._send_on_new(sql, params)

    async def _send_on_new(self, sql: str, params: tuple[Any, ...]) -> Rows:
        self._waiting += 1
        try:
            connection = await self._reopened()
        finally:
            self._waiting -= 1
        return await connection.send(sql, params)

    async def _reopened(self) -> Connection:
        """Open a new connection; concurrent callers share the same attempt."""
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect())
            self._connecting.add_done_callback(self._connected)
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> Connection:
        try:
            raw = await psycopg.AsyncConnection.connect(
                **{"connect_timeout": CONNECT_SECONDS, **self._conninfo}, autocommit=True
            )
        except (psycopg.Error, OSError) as problem:
            self._rests_until = asyncio.get_running_loop().time() + REST_SECONDS
            raise DatabaseUnavailable(str(problem)) from problem
        self._connection = Connection(raw, together=self._together)
        return self._connection

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

    Reads use one connection. Own-key call records share transactions on others. Ledger steps lock
    rows, so each runs alone on the least loaded connection. Connections open on first use.
    """

    dialect = POSTGRES

    def __init__(self, settings: dict[str, Any]) -> None:
        conninfo = conninfo_of(settings)
        self._reads = _Lane(conninfo, together=True)
        self._shared = [_Lane(conninfo, together=True) for _number in range(SHARED)]
        self._alone = [_Lane(conninfo) for _number in range(ALONE)]

    async def open(self) -> None:
        """Do nothing: connections open lazily, so a server can start before its database."""

    async def close(self) -> None:
        for lane in self._lanes:
            lane.close()

    @property
    def _lanes(self) -> tuple[_Lane, ...]:
        return (self._reads, *self._shared, *self._alone)

    def connections(self) -> tuple[int, int]:
        loads = [lane.load for lane in self._lanes if lane.is_open]
        return len(loads), sum(loads)

    async def fetch_one(self, sql: str, params: tuple[Any, ...]) -> Sequence[Any] | None:
        rows = await _send_with_retry((self._reads,), sql, params)
        return rows[0] if rows else None

    async def execute(self, sql: str, params: tuple[Any, ...]) -> None:
        await self._write_alone(sql, params)

    async def run(self, make: Callable[[], Statements[Any]], *, together: bool = False) -> Any:
        return await run_async(make(), self._write_together if together else self._write_alone)

    def _write_alone(self, sql: str, params: tuple[Any, ...]) -> Awaitable[Rows]:
        return _send_with_retry(self._alone, sql, params)

    def _write_together(self, sql: str, params: tuple[Any, ...]) -> Awaitable[Rows]:
        return _send_with_retry(self._shared, sql, params)


async def _send_with_retry(lanes: Sequence[_Lane], sql: str, params: tuple[Any, ...]) -> Rows:
    """Send a statement on the least loaded connection, and once more if that fails.

    All statements are idempotent. If one connection can't be opened, because the server or a pooler
    has no more to give, another takes the statement.
    """
    try:
        return await min(lanes, key=_load).send(sql, params)
    except DatabaseUnavailable:
        usable = [lane for lane in lanes if lane.is_open] or lanes
        return await min(usable, key=_load).send(sql, params)


def _load(lane: _Lane) -> int:
    return lane.load
