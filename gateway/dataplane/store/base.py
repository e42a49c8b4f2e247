"""The data plane's store: runs the hot path's few statements on dedicated connections.

PostgreSQL uses pipelines, SQLite a single writer thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import orjson

from core.db.dialect import Dialect
from core.db.statements import Statements
from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.measures import table
from gateway.dataplane.store.flusher import Flusher
from providers.credentials import health
from quotas.ledger.states import Finish, FinishResult, HoldRequest, HoldResult, HoldState, Mark
from tenants.auth import origins
from tenants.auth.principal import PRINCIPAL_SQL, touch
from tenants.kept import statements as kept
from tenants.kept.statements import Item

logger = logging.getLogger(__name__)
R = TypeVar("R")


class Database(Protocol):
    """A database backend: reads, ledger steps and their SQL dialect."""

    dialect: Dialect

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def connections(self) -> tuple[int, int]:
        """Return how many connections are open, and how many statements wait for an answer."""

    async def fetch_one(self, sql: str, params: tuple[Any, ...]) -> Sequence[Any] | None: ...

    async def execute(self, sql: str, params: tuple[Any, ...]) -> None: ...

    async def run(self, make: Callable[[], Statements[R]]) -> R:
        """Run a step. On PostgreSQL, each of its queries is a transaction."""

    async def transaction(
        self, make: Callable[[], Sequence[Statements[None]]], lock_seconds: float | None = None
    ) -> None:
        """Run steps in one transaction. On PostgreSQL, each has one query.

        Args:
            lock_seconds: How long to wait for each lock, if not as long as usual.
        """


class Spool(Protocol):
    async def open(self) -> None: ...

    def close(self) -> None: ...

    async def append(self, finish: Finish) -> None: ...

    async def probe(self) -> None: ...


class Intents(Protocol):
    async def open(self) -> None: ...

    def close(self) -> None: ...

    def note(self, record_id: UUID, facts: Mapping[str, Any]) -> None: ...

    def end(self, record_id: UUID) -> None: ...


class Store:
    """The data plane's view of the database.

    Attributes:
        is_losing: Neither the database nor the disk took the end of the last call.
    """

    def __init__(self, database: Database, spool: Spool, intents: Intents | None = None) -> None:
        self.is_losing = False
        self._database = database
        self._flusher = Flusher(database)
        self._keeping: set[asyncio.Task[None]] = set()
        self._spool = spool
        self._intents = intents
        self._dialect = database.dialect
        self._principal_sql = PRINCIPAL_SQL.format(p=self._dialect.mark)
        self._any_origin_sql = origins.ANY_SQL.format(p=self._dialect.mark)
        self._own_origin_sql = origins.OWN_SQL.format(p=self._dialect.mark)

    async def open(self) -> None:
        await self._spool.open()
        if self._intents is not None:
            await self._intents.open()
        await self._database.open()

    async def close(self) -> None:
        await self._flusher.close()
        if self._keeping:
            await asyncio.wait(self._keeping)
        await self._database.close()
        self._spool.close()
        if self._intents is not None:
            self._intents.close()

    async def check_recording(self) -> None:
        """Check that the end of a call can be kept, if the last one could not.

        Raises:
            DatabaseUnavailable: It can't, so no provider must be asked.
        """
        if not self.is_losing:
            return
        try:
            await self._spool.probe()
        except OSError as problem:
            raise DatabaseUnavailable(f"The spool in DATA_DIR takes no lines: {problem}") from None
        self.is_losing = False

    def connections(self) -> tuple[int, int]:
        """Return how many connections are open, and how much waits for an answer."""
        count, waiting = self._database.connections()
        return count, waiting + self._flusher.waiting

    async def principal_row(self, digest: str) -> Sequence[Any] | None:
        """Return the PRINCIPAL_SQL row for a key digest.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        return await _timed(self._database.fetch_one(self._principal_sql, (digest,)), "read")

    async def allows_origin(self, origin: str, tenant_id: UUID | None = None) -> bool:
        """Return whether web pages of an origin may call models.

        Args:
            tenant_id: The workspace; None for any.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        if tenant_id is None:
            row = await self._database.fetch_one(self._any_origin_sql, (origin,))
        else:
            owner = self._dialect.value(tenant_id)
            row = await self._database.fetch_one(self._own_origin_sql, (owner, origin))
        return row is not None

    async def note_uses(
        self, app_key_ids: Collection[UUID], credential_ids: Collection[UUID]
    ) -> list[tuple[UUID, UUID]]:
        """Write that app keys and credentials were used just now.

        Returns:
            What `health.note_uses` returns.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        now = datetime.now(UTC)

        def steps() -> Statements[list[tuple[UUID, UUID]]]:
            if app_key_ids:
                yield touch(app_key_ids, now, self._dialect)
            if not credential_ids:
                return []
            return (yield from health.note_uses(credential_ids, now, self._dialect))

        return await self._database.run(steps)

    async def keep(self, item: Item) -> None:
        """Write an item that a later call needs.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        await self._database.run(lambda: kept.keep(item, self._dialect))

    async def kept(self, tenant_id: UUID, key: str) -> str | None:
        """Return the sealed text of an item; None if there is none, or no longer.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        query = kept.find(tenant_id, key, self._dialect)
        row = await self._database.fetch_one(query.sql, query.params)
        return None if row is None else str(row[0])

    async def forget(self, tenant_id: UUID, key: str) -> None:
        """Delete an item.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        query = kept.forget(tenant_id, key, self._dialect)
        await self._database.execute(query.sql, query.params)

    async def hold(self, request: HoldRequest) -> HoldResult:
        """Reserve credits.

        Raises:
            DatabaseUnavailable: The database is unavailable; the request must not be sent.
        """
        result: HoldResult = await _timed(self._flusher.write(request), "hold")
        if result.state is HoldState.IN_PROGRESS and result.hold_id == request.hold_id:
            # Our own insert, repeated after the connection broke.
            return HoldResult(
                HoldState.HELD, result.hold_id, result.settled, result.held, result.left
            )
        return result

    async def mark_sent(self, *, tenant_id: UUID, hold_id: UUID) -> bool:
        """Mark the hold as sent, just before sending the request.

        Returns:
            False if the hold is already finished and the request must not be sent.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        is_open: bool = await self._flusher.write(Mark(tenant_id, hold_id))
        return is_open

    def intend(self, record_id: UUID, facts: Mapping[str, Any]) -> None:
        """Note that a call without a hold is about to be sent, in case that this process dies.

        Args:
            record_id: Of the record that its end will have.
            facts: Fields of that record.
        """
        if self._intents is not None:
            self._intents.note(record_id, facts)

    def end_intent(self, record_id: UUID) -> None:
        """Note that the call ended, or that it is not sent after all."""
        if self._intents is not None:
            self._intents.end(record_id)

    async def finish(self, finish: Finish) -> FinishResult | None:
        """Settle or void the hold and record the call.

        The result is durable: in the database or, if that is unavailable or refuses it, in the
        spool, whose lines are tried again and then set aside for an operator.

        Raises:
            OSError: The spool cannot be written either.
        """
        future = self._flusher.write(finish, self._orphaned)
        try:
            result: FinishResult | None = await _timed(future, "record")
        except asyncio.CancelledError:
            problem = future.exception() if future.done() and not future.cancelled() else None
            if isinstance(problem, Exception):
                self._keep(finish, problem)
            raise
        except Exception as problem:
            await asyncio.shield(self._keep(finish, problem))
            return None
        self.end_intent(finish.record.id)
        return result

    async def write(self, finish: Finish) -> FinishResult | None:
        """Write to the database only, without falling back to the spool.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        result: FinishResult | None = await _timed(self._flusher.write(finish), "record")
        return result

    def _orphaned(self, finish: Finish, problem: Exception | None) -> None:
        if problem is None:
            self.end_intent(finish.record.id)
        else:
            self._keep(finish, problem)

    def _keep(self, finish: Finish, problem: Exception) -> asyncio.Task[None]:
        """Spool the end of a call, whether or not its caller still waits for it."""
        task = asyncio.get_running_loop().create_task(self._append(finish, problem))
        self._keeping.add(task)
        task.add_done_callback(self._kept)
        return task

    def _kept(self, task: asyncio.Task[None]) -> None:
        self._keeping.discard(task)
        if not task.cancelled():
            task.exception()  # it is in the log

    async def _append(self, finish: Finish, problem: Exception) -> None:
        """Spool the end of a call that the database did not take.

        Raises:
            OSError: The spool cannot be written either.
        """
        request_id = finish.record.request_id
        if isinstance(problem, DatabaseUnavailable):
            logger.warning("Database unavailable: spooling the end of call %s", request_id)
        else:
            logger.error(
                "The database refused the end of call %s: spooling it",
                request_id,
                exc_info=problem,
            )
        try:
            await self._spool.append(finish)
            self.end_intent(finish.record.id)
        except OSError:
            self.is_losing = True
            logger.error(
                "The end of call %s reached neither the database nor the disk: %s",
                request_id,
                orjson.dumps(asdict(finish), default=str).decode(),
            )
            raise


async def _timed(answer: Awaitable[R], step: str) -> R:
    """Await the database and note how long it took."""
    began = time.perf_counter()
    try:
        return await answer
    finally:
        table.STORE_SECONDS.add(time.perf_counter() - began, step)


def make_database(settings: dict[str, Any]) -> Database:
    """Make the backend for Django's DATABASES["default"]."""
    if settings["ENGINE"] == "django.db.backends.sqlite3":
        from gateway.dataplane.store.sqlite import SQLiteDatabase

        return SQLiteDatabase(str(settings["NAME"]))
    from gateway.dataplane.store.postgres import PostgresDatabase

    return PostgresDatabase(settings)
