"""Record what finished batches used: one call record for each model, written exactly once.

A record's id is chosen before its batch is read, so that processes that read it twice, or after a
crash, write the same records, and the second time changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final
from uuid import UUID
from weakref import WeakValueDictionary

from django.utils import timezone

from gateway.dataplane.errors import Refusal
from gateway.dataplane.store.base import Store
from gateway.dataplane.stored.accounts import Account, Storages, open_account
from gateway.dataplane.stored.creation.credits import GIVEN_UP_AFTER, Part, parts_of, source_of
from gateway.dataplane.stored.creation.lost import Lost
from gateway.dataplane.stored.outputs import Totals, charged, record_of
from gateway.dataplane.threads import in_thread
from models_catalog import queries as catalog
from providers.declaration.errors import ProviderError
from providers.declaration.storage import StorageRequest
from providers.models import StoredBatch
from providers.stored import queries, services
from providers.stored.owners import owner_of
from providers.stored.states import PENDING
from providers.wire.anthropic.batches import BATCHES, MESSAGES
from providers.wire.openai.storage import MOST_CONTENT
from quotas.ledger.records import Record
from quotas.ledger.states import Finish
from tenants.scope import tenant_scope

logger = logging.getLogger(__name__)
# The states in which a batch stays.
FINAL: Final = frozenset({"completed", "failed", "expired", "cancelled", "ended"})
ASKED_AFTER: Final = timedelta(minutes=5)  # the server's own questions about one batch
ASKED_AT_ONCE: Final = 100
ASK_SECONDS: Final = 30.0  # a provider may take to answer such a question
# A batch runs for a day. One on a trial that is gone after that is charged in full.
GONE_AFTER: Final = timedelta(days=1)
PIECE: Final = 1024 * 1024  # bytes of an output that are counted at a time
MOST: Final = MOST_CONTENT - PIECE  # bytes of an output that are counted at all


class Recording:
    """Records finished batches. One per process.

    Args:
        lost: Finds batches whose creation was interrupted.
        run: Runs work in the background.
    """

    def __init__(
        self,
        storages: Storages,
        store: Store,
        lost: Lost,
        run: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._storages = storages
        self._store = store
        self._lost = lost
        self._run = run
        self._reading: set[UUID] = set()
        # A workspace's outputs are read one by one, and keep no other workspace's waiting.
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    def start(self, account: Account, row: StoredBatch) -> None:
        """Record a batch in the background, if it has just finished."""
        if row.status in FINAL and row.recorded is None:
            self._run(self.record(account, row))

    async def ask(self) -> None:
        """Ask about batches that nobody has asked about for a while, and record finished ones.

        All of it goes on in the background: a slow provider keeps nobody else's batch waiting.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        due = partial(services.claim_due, after=ASKED_AFTER, most=ASKED_AT_ONCE)
        for tenant_id, batch_id in await in_thread(due):
            row = await in_thread(partial(_row, tenant_id, batch_id))
            if row is not None and row.pk not in self._reading:
                self._run(self._ask_about(row))

    async def _ask_about(self, row: StoredBatch) -> None:
        patience = GIVEN_UP_AFTER
        try:
            if row.status in PENDING:
                await self._lost.resolve(row)
            else:
                account = await open_account(owner_of(row))
                request = StorageRequest("GET", f"{_batches(row)}/{row.provider_id}")
                answer = await self._storages.ask(account, request, seconds=ASK_SECONDS)
                if answer is not None:
                    await in_thread(partial(_note, row, answer))
                elif account.is_trial:
                    patience = GONE_AFTER
                if row.status in FINAL:
                    await self.record(account, row)
                    return
        except Refusal as refusal:
            logger.warning("Cannot ask about batch %s: %s", row.pk, refusal.code)
        if timezone.now() - row.created > patience:
            await self._give_up(row)

    async def _give_up(self, row: StoredBatch) -> None:
        totals = await in_thread(partial(_totals, row))
        totals.lose()
        await self._write(row, totals, None, {})

    async def record(self, account: Account, row: StoredBatch) -> None:
        """Read a batch's files and record it.

        Raises:
            Refusal: A file cannot be read; a later try may succeed.
            DatabaseUnavailable: The database is unavailable.
        """
        if row.pk in self._reading:
            return
        self._reading.add(row.pk)
        turn = self._turns.setdefault(row.tenant_id, asyncio.Lock())
        try:
            async with turn:
                totals = await in_thread(partial(_totals, row))
                sizes = {}
                if row.path == MESSAGES:
                    path = f"{BATCHES}/{row.provider_id}/results"
                    if await self._read(account, path, totals) is None:
                        totals.lose()  # each request has a result
                elif _lacks_output(row):
                    totals.lose()
                for provider_id in queries.outputs_of(row):
                    size = await self._read(account, f"/files/{provider_id}/content", totals)
                    if size is not None:
                        sizes[provider_id] = size
                    elif provider_id == row.answer.get("output_file_id"):
                        totals.lose()
            await self._write(row, totals, account.storage.price, sizes)
        finally:
            self._reading.discard(row.pk)

    async def _read(self, account: Account, path: str, totals: Totals) -> int | None:
        """Count the lines of a file; return its size, or None if the provider has no such file."""
        stream = await self._storages.content(account, path)
        if stream is None:
            return None
        waiting, size = bytearray(), 0
        try:
            while not stream.ended and size <= MOST:
                for frame in await stream.read():
                    waiting += frame.data
                    size += len(frame.data)
                if len(waiting) >= PIECE:
                    await asyncio.to_thread(totals.feed, bytes(waiting))
                    waiting.clear()
        except ProviderError as error:
            raise Refusal("provider_error", error.message) from None
        finally:
            stream.close()
        await asyncio.to_thread(totals.feed, bytes(waiting))
        totals.finish(cut=size > MOST)
        return size

    async def _write(
        self,
        row: StoredBatch,
        totals: Totals,
        share: Decimal | None,
        sizes: dict[str, int],
    ) -> None:
        first, source = await in_thread(partial(_begin, row))
        parts = {part.model: part for part in parts_of(row)}
        counts = charged(totals, {model: part.lines for model, part in parts.items()})
        for number, model in enumerate(totals.of):
            record_id = UUID(int=first.int + number)
            record = record_of(row, model, totals, share, record_id, source)
            part = parts.get(model)
            if part is None:
                await self._store.finish(Finish(record))
            elif await self._store.finish(_charge(record, part, counts[model], totals)) is None:
                return  # the end of the hold is in the spool: the batch is open until it is written
        await in_thread(
            partial(services.end_recording, tenant_id=row.tenant_id, batch_id=row.pk, sizes=sizes)
        )


def _charge(record: Record, part: Part, count: int, totals: Totals) -> Finish:
    """Return the end of a hold: answered lines are charged, the others given back."""
    if not count:
        reason = record.error_code or "no_answer"
        return Finish(record, part.hold_id, voided=True, reason=reason)
    reason = "unknown" if totals.is_lost else ""
    return Finish(record, part.hold_id, used=count * part.credits, reason=reason)


def _lacks_output(row: StoredBatch) -> bool:
    """Tell whether lines of a finished batch were answered, and no file has the answers."""
    counts = row.answer.get("request_counts")
    answered = counts.get("completed") if isinstance(counts, dict) else None
    is_answered = isinstance(answered, int) and answered > 0
    return is_answered and not row.answer.get("output_file_id")


def _batches(row: StoredBatch) -> str:
    return BATCHES if row.path == MESSAGES else "/batches"


def _row(tenant_id: UUID, batch_id: UUID) -> StoredBatch | None:
    with tenant_scope(tenant_id):
        return queries.batch(tenant_id=tenant_id, batch_id=batch_id)


def _note(row: StoredBatch, answer: dict[str, Any]) -> None:
    with tenant_scope(row.tenant_id):
        services.note_answer(batch=row, answer=answer)


def _begin(row: StoredBatch) -> tuple[UUID, str]:
    with tenant_scope(row.tenant_id):
        return services.begin_recording(batch=row), source_of(row)


def _totals(row: StoredBatch) -> Totals:
    with tenant_scope(row.tenant_id):
        entries = {
            model: catalog.entry(tenant_id=row.tenant_id, provider=row.provider, model=model)
            for model in row.model_names
        }
    return Totals(
        {model: entry.prices.at(row.created) if entry else None for model, entry in entries.items()}
    )
