"""The state that all calls of one process share: store, upstream, routes, relay and timers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings

from core.asgi import large_bodies
from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.measures import notes as measures
from gateway.dataplane.measures import table
from gateway.dataplane.relay import Relay
from gateway.dataplane.routing.routes import Routes
from gateway.dataplane.store.base import Store, make_database
from gateway.dataplane.store.intents import Intents
from gateway.dataplane.store.notes import Notes
from gateway.dataplane.store.spool import Spool
from gateway.dataplane.stored.endpoints import Endpoints
from gateway.dataplane.threads import in_thread
from gateway.dataplane.tracing.exporting import make_tracing
from gateway.dataplane.tracing.interface import Tracing
from models_catalog.facts import refresh
from providers.transport.async_client import Upstream
from quotas.ledger.reap import count_open, reap
from quotas.usage import rollups
from tenants.audit import openings
from tenants.kept.sweeping import sweep
from tenants.services.retention import prune

logger = logging.getLogger(__name__)
# Garbage collector threshold. A call allocates a few hundred objects, hardly any in cycles.
COLLECT_AFTER = 20_000
ROLL_UP_SECONDS = 5.0  # per run; a backlog after an upgrade is processed in pieces
ROLL_UP_PAUSE = 0.005  # after each of its transactions, so that it takes no more than a part
CATALOG_SECONDS = 5.0  # between checks for a newer catalog
NOTES_SECONDS = 1.0  # between writes of last uses and credentials' health
NOTES_PAUSE = 10.0  # after one that failed
TRACES_SECONDS = 5.0  # how long the last spans may take to be sent
DRAIN_SECONDS = 10.0  # how long background tasks may finish when the server stops


class Runtime:
    """The process-wide runtime; start() creates everything bound to the event loop."""

    def __init__(self) -> None:
        self.spool = Spool(Path(settings.DATA_DIR))
        self.intents = Intents(Path(settings.DATA_DIR))
        self.notes = Notes()
        self.routes = Routes(self.notes)
        self.store: Store
        self.upstream: Upstream
        self.relay: Relay
        self.stored: Endpoints
        self.tracing: Tracing | None = None
        self.calls: set[asyncio.Task[Any]] = set()  # that are being answered
        self._started = False
        self._starting = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: tuple[asyncio.Task[None], ...] = ()

    @property
    def is_losing(self) -> bool:
        """Whether the end of the last call could be kept nowhere."""
        return self._started and self.store.is_losing

    async def ready(self) -> None:
        """Start if the server did not send a lifespan event."""
        if not self._started:
            await self.start()

    async def start(self) -> None:
        async with self._starting:
            if self._started:
                return
            self.store = Store(
                make_database(settings.DATABASES["default"]), self.spool, self.intents
            )
            await self.store.open()
            self.upstream = Upstream(
                allow=frozenset(settings.MODELKEEP_EGRESS_ALLOW),
                connect_timeout=settings.MODELKEEP_CONNECT_TIMEOUT,
                idle_timeout=settings.MODELKEEP_IDLE_TIMEOUT,
            )
            self.relay = Relay(
                store=self.store,
                upstream=self.upstream,
                routes=self.routes,
                deadline=settings.MODELKEEP_CALL_DEADLINE,
            )
            self.stored = Endpoints(
                routes=self.routes,
                store=self.store,
                upstream=self.upstream,
                run=self.run_in_background,
            )
            self.tracing = make_tracing()
            _tune_garbage_collector()
            await self._once("read the catalog", self._reload_catalog())
            loop = asyncio.get_running_loop()
            self._timers = (
                loop.create_task(self._run_timer()),
                loop.create_task(self._run_catalog()),
                loop.create_task(self._run_batches()),
                loop.create_task(self._run_notes()),
            )
            openings.collect(on=True)
            self._started = True

    async def stop(self) -> None:
        """Let calls and background tasks finish, then close pools and connections.

        When the grace time is over, the server has cancelled the calls: they still tell their
        clients so and are recorded.
        """
        if not self._started:
            return
        self._started = False
        for timer in self._timers:
            timer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await timer
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self.calls:
                    await asyncio.wait(self.calls)
                await asyncio.gather(*self._tasks, return_exceptions=True)
        openings.collect(on=False)
        await self._write_notes()
        await self.upstream.close()
        await self.store.close()
        if self.tracing is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(self.tracing.close), TRACES_SECONDS)

    def run_in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a task; failures are only logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._log_failure)

    def _log_failure(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.warning("A background task failed: %s", task.exception())

    async def _run_timer(self) -> None:
        """Periodically replay the spool, reap holds and roll up usage.

        Every process does this; the order does not matter.
        """
        while True:
            await self._once("replay the spool", self._replay())
            await self._once("record the calls of dead processes", self._recover())
            await self._once("reap holds", in_thread(reap))
            await self._once("count open holds", self._count_holds())
            await self._once(
                "roll up usage",
                in_thread(partial(rollups.roll_up, seconds=ROLL_UP_SECONDS, pause=ROLL_UP_PAUSE)),
            )
            await self._once("delete what was kept for calls", in_thread(sweep))
            await self._once("delete what is too old", in_thread(prune))
            self.routes.drop_expired()
            await asyncio.to_thread(large_bodies.return_memory)
            await asyncio.sleep(settings.MODELKEEP_REAPER_PERIOD * random.uniform(0.8, 1.2))  # noqa: S311 - staggers the processes

    async def _run_catalog(self) -> None:
        """Periodically check for a catalog loaded on any machine, so that calls need no query."""
        while True:
            await asyncio.sleep(CATALOG_SECONDS)
            await self._once("check for a newer catalog", self._reload_catalog())

    async def _run_notes(self) -> None:
        """Write what calls noted about once a second, more seldom while the database is away."""
        while True:
            due = time.monotonic() + NOTES_SECONDS
            await asyncio.sleep(NOTES_SECONDS)
            table.LOOP_LATE.set(time.monotonic() - due)
            measures.pool_seen()
            measures.connections_seen(self.store, self.upstream)
            table.LOSING.set(self.is_losing)
            if not await self._write_notes():
                await asyncio.sleep(NOTES_PAUSE)

    async def _write_notes(self) -> bool:
        uses = await self._once("write last uses", self.notes.write(self.store))
        if not openings.is_waiting():
            return uses
        return await self._once("count opened keys", in_thread(openings.write)) and uses

    async def _run_batches(self) -> None:
        """Periodically ask about batches that nobody asks about."""
        while True:
            await asyncio.sleep(settings.MODELKEEP_REAPER_PERIOD * random.uniform(0.8, 1.2))  # noqa: S311 - staggers the processes
            await self._once("ask about batches", self.stored.recording.ask())

    async def _reload_catalog(self) -> None:
        if await in_thread(refresh.reload):
            self.routes.clear()

    async def _count_holds(self) -> None:
        table.OPEN_HOLDS.set(await in_thread(count_open))

    async def _replay(self) -> None:
        try:
            count = await self.spool.replay(self.store.write)
        except OSError as problem:
            logger.warning("The spool in DATA_DIR cannot be read: %s", problem)
            return
        if count:
            logger.info("Wrote %d finished calls from the spool to the database", count)

    async def _recover(self) -> None:
        try:
            count = await self.intents.recover(self.store.write)
        except OSError as problem:
            logger.warning("The calls of dead processes in DATA_DIR cannot be read: %s", problem)
            return
        if count:
            logger.warning("Recorded %d calls of processes that died as unknown", count)

    async def _once(self, what: str, work: Coroutine[Any, Any, Any]) -> bool:
        """Await `work`, count it, log its failure, and return whether it succeeded."""
        began = time.monotonic()
        succeeded = await self._tried(what, work)
        measures.job_ended(what, time.monotonic() - began, failed=not succeeded)
        return succeeded

    async def _tried(self, what: str, work: Coroutine[Any, Any, Any]) -> bool:
        try:
            await work
            return True
        except DatabaseUnavailable as problem:
            logger.warning("Cannot %s, database unavailable: %s", what, problem)
        except Exception:
            logger.exception("Cannot %s", what)
        return False


def _tune_garbage_collector() -> None:
    """Exempt everything loaded so far from garbage collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)
