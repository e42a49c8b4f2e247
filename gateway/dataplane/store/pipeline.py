"""One connection to PostgreSQL in libpq's pipeline mode, which many callers share."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.types.string import TextLoader

from core.db.statements import Query, Rows
from gateway.dataplane.errors import DatabaseLocked, DatabaseSilent, DatabaseUnavailable
from gateway.dataplane.store.postgres_text import encoded, numbered

logger = logging.getLogger(__name__)
BATCH: Final = 64  # maximum statements per commit
WAIT_SECONDS: Final = 5.0  # per statement, including time in the queue
# SQLSTATE classes of a statement's own fault: cardinality, data, constraints. Whatever else
# PostgreSQL refuses (read-only, locks, time limits, a full disk, tables that are not there yet), it
# may take later.
_FAULTS: Final = (b"21", b"22", b"23")
_UNPREPARED: Final = b"26000"
_LOCKED: Final = (b"55P03", b"57014")  # the time-outs of locks and of statements
_WORKING: Final = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


class StatementFailed(Exception):
    """PostgreSQL rejected a statement; the text is its error message."""


@dataclass(slots=True)
class _Statement:
    sql: str
    values: list[bytes | None]
    since: float  # the loop's time
    future: asyncio.Future[Rows] | None = None  # unless it is part of a transaction
    rows: Rows = ()


class _Batch:
    """One transaction, sent between two syncs. A batch without statements is a PREPARE."""

    __slots__ = ("answered", "problem", "statements")

    def __init__(self, statements: Sequence[_Statement]) -> None:
        self.statements = statements
        self.answered = 0
        self.problem: DatabaseUnavailable | StatementFailed | None = None

    @property
    def is_divisible(self) -> bool:
        return len(self.statements) > 1

    def succeed(self) -> None:
        for statement in self.statements:
            if statement.future is not None and not statement.future.done():
                statement.future.set_result(statement.rows)

    def fail(self, problem: Exception) -> None:
        for statement in self.statements:
            if statement.future is not None and not statement.future.done():
                statement.future.set_exception(problem)


class _Transaction(_Batch):
    """Statements that are committed together or not at all."""

    __slots__ = ("future", "skipped")

    def __init__(
        self, statements: Sequence[_Statement], skipped: int, future: asyncio.Future[list[Rows]]
    ) -> None:
        super().__init__(statements)
        self.skipped = skipped
        self.future = future

    @property
    def is_divisible(self) -> bool:
        return False

    def succeed(self) -> None:
        if not self.future.done():
            self.future.set_result(
                [statement.rows for statement in self.statements[self.skipped :]]
            )

    def fail(self, problem: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(problem)


class Connection:
    """One connection in pipeline mode.

    A statement is done only when its sync returns, because only then is it committed.

    Args:
        setup: Settings that every transaction has to make first.
        together: If true, queued statements share a transaction, one socket write and one commit;
            the next batch is sent when the previous one is done. Use this only for statements that
            never wait for each other's locks. If one fails, each is retried alone, so that the
            others still succeed. If false, each statement is sent at once in its own transaction.
    """

    def __init__(
        self,
        connection: psycopg.AsyncConnection[Any],
        *,
        setup: Query | None = None,
        together: bool = False,
    ) -> None:
        self._connection = connection
        self._setup = setup
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
        self._refused: DatabaseUnavailable | StatementFailed | None = None  # the last PREPARE
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
        statement = self._statement(sql, params)
        future = statement.future = self._loop.create_future()
        if not self._together:
            self._guarded(self._send_batch, _Batch((statement,)))
            return future
        self._queue.append(statement)
        if not self._sent and not self._is_due:
            # Statements queued in the same loop iteration go in the same batch.
            self._is_due = True
            self._loop.call_soon(self._guarded, self._send_queue)
        return future

    def transaction(
        self, queries: Sequence[Query], setup: Query | None = None
    ) -> asyncio.Future[list[Rows]]:
        """Send statements that are committed together.

        Args:
            setup: Settings of this transaction.

        Returns:
            A future for the rows of each.
        """
        future: asyncio.Future[list[Rows]] = self._loop.create_future()
        first = setup or self._setup
        statements = [
            self._statement(*query) for query in ((first, *queries) if first else queries)
        ]
        self._guarded(
            self._send_batch, _Transaction(statements, len(statements) - len(queries), future)
        )
        return future

    def _statement(self, sql: str, params: tuple[Any, ...]) -> _Statement:
        if self._timer is None:
            self._timer = self._loop.call_later(WAIT_SECONDS, self._check_timeout)
        values = [None if value is None else encoded(value) for value in params]
        return _Statement(sql, values, self._loop.time())

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
            self._send_batch(_Batch([self._queue.popleft() for _number in range(count)]))

    def _send_batch(self, batch: _Batch) -> None:
        names = [
            self._names.get(statement.sql) or self._prepare(statement.sql)
            for statement in batch.statements
        ]
        self._sent.append(batch)
        for name, statement in zip(names, batch.statements, strict=True):
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
            problem = _problem_of(result)
            is_unprepared = result.error_field(pq.DiagnosticField.SQLSTATE) == _UNPREPARED
            batch.problem = (is_unprepared and self._refused) or problem

    def _end(self, batch: _Batch) -> None:
        if batch.problem is None:
            batch.succeed()
        elif not batch.statements:
            # The statement itself fails next. Forget the names so that later calls prepare again:
            # the missing table may exist by then.
            self._names.clear()
            self._refused = batch.problem
            logger.error("PostgreSQL refused to prepare a statement: %s", batch.problem)
        elif batch.is_divisible and isinstance(batch.problem, StatementFailed):
            for statement in batch.statements:
                self._send_batch(_Batch((statement,)))
        else:
            batch.fail(batch.problem)

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
            self._break(DatabaseSilent("PostgreSQL did not answer in time."))
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
        if not isinstance(problem, DatabaseUnavailable):
            problem = DatabaseUnavailable(str(problem))
        for batch in (*self._sent, _Batch(tuple(self._queue))):
            batch.fail(problem)
        self._sent.clear()
        self._queue.clear()
        self._pgconn.finish()

    def close(self) -> None:
        self._break(DatabaseUnavailable("The connection was closed."))


def _problem_of(result: pq.abc.PGresult) -> DatabaseUnavailable | StatementFailed:
    message = result.error_message.decode(errors="replace")
    state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
    if state[:2] in _FAULTS:
        return StatementFailed(message)
    return (DatabaseLocked if state in _LOCKED else DatabaseUnavailable)(message)
