"""A process that dies while it creates a batch on a trial: nothing is lost or charged twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.utils import timezone

from core.db.connection import execute
from gateway.dataplane.store.base import Store, make_database
from gateway.dataplane.store.spool import Spool
from gateway.dataplane.stored.accounts import Account
from gateway.dataplane.stored.creation import creating
from gateway.dataplane.stored.creation import lost as lost_batches
from gateway.dataplane.stored.creation.creating import Creating
from gateway.dataplane.stored.creation.credits import Credits
from gateway.dataplane.stored.creation.lost import Lost
from gateway.dataplane.stored.creation.new import Created, NewBatch
from gateway.dataplane.stored.recording import Recording
from providers.declaration import registry
from providers.declaration.spec import Access, Frame
from providers.declaration.storage import StorageRequest
from providers.models import StoredBatch
from providers.stored.owners import Owner
from providers.stored.services import Calls
from providers.stored.states import HOLDING
from quotas.ledger import invariants
from quotas.models import CreditPool, TrialPlan, TrialPlanModel
from tenants.scope import tenant_scope
from tests.factories import Workspace
from tests.gateway.dataplane.stored.conftest import MODEL, make_principal
from tests.gateway.dataplane.stored.test_recording import lines
from tests.quotas.conftest import make_pool

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
DEAR = "gpt-4o"


class Died(BaseException):
    """The process is gone: nothing after this runs."""


class Provider:
    """In place of Storages: keeps batches, and dies when it is asked for one, if it is told to."""

    def __init__(self) -> None:
        self.batches: list[dict[str, Any]] = []
        self.dies = ""
        self.wait: Callable[[], Coroutine[Any, Any, Any]] | None = None

    async def send(self, _account: Account, request: StorageRequest) -> Mapping[str, Any]:
        if self.dies == "before":
            raise Died
        assert request.body is not None
        made = {"status": "in_progress", "created_at": int(timezone.now().timestamp())}
        self.batches.insert(0, {"id": f"batch_{len(self.batches)}", **made, **request.body})
        if self.dies == "after":
            raise Died
        return self.batches[0]

    async def ask(self, _account: Account, _request: Any, *, seconds: float) -> dict[str, Any]:
        assert seconds
        return {"data": self.batches, "has_more": False}

    async def content(self, _account: Account, _path: str) -> Content:
        return Content(self.wait)


class Content:
    """The answers to two lines."""

    ended = False

    def __init__(self, wait: Callable[[], Coroutine[Any, Any, Any]] | None) -> None:
        self.wait = wait

    async def read(self) -> list[Frame]:
        if self.wait is not None:
            await self.wait()
        self.ended = True
        return [Frame(lines(2))]

    def close(self) -> None:
        pass


class Process:
    """One process of the server."""

    def __init__(self, provider: Any, store: Store) -> None:
        credits = Credits(store)
        self.lost = Lost(provider, credits)
        self.creating = Creating(provider, credits, self.lost)
        self.recording = Recording(provider, store, self.lost, asyncio.ensure_future)


def play(work: Callable[[list[Process]], Coroutine[Any, Any, Any]], path: Path, fake: Any) -> None:
    """Run with two processes."""

    async def run() -> None:
        database = settings.DATABASES["default"]
        stores = [Store(make_database(database), Spool(path)) for _number in range(2)]
        for store in stores:
            await store.open()
        try:
            await work([Process(fake, store) for store in stores])
        finally:
            for store in stores:
                await store.close()

    asyncio.run(run())


@pytest.fixture
def trial(acme: Workspace) -> CreditPool:
    plan, _made = TrialPlan.objects.get_or_create(slug="openai", defaults={"limit": 20})
    TrialPlan.objects.filter(pk=plan.pk).update(provider="openai", is_on=True)
    plan.models.all().delete()
    for model, credits in ((MODEL, 1), (DEAR, 3)):
        TrialPlanModel.objects.create(plan=plan, model=model, credits=credits)
    return make_pool(acme.tenant, limit=20, plan=plan)


def new_batch(pool: CreditPool, *, has_metadata: bool = True) -> NewBatch:
    provider = registry.get("openai" if has_metadata else "anthropic")
    storage = provider.storage or provider.message_batches
    assert storage is not None
    owner = Owner(pool.tenant_id, "openai", plan_id=pool.plan_id)
    return NewBatch(
        account=Account(owner, provider, storage, Access({}), ()),
        principal=make_principal(pool.tenant_id),
        request_id="req-batch",
        calls=Calls("/v1/chat/completions", {MODEL: 3, DEAR: 2}),
        request=StorageRequest("POST", "/batches", {"input_file_id": "file-1"}),
        input_id="file-1",
    )


def pool_of(pool: CreditPool) -> tuple[int, int]:
    """(used, held); the ledger is sound."""
    assert invariants.audit() == []
    with tenant_scope(pool.tenant_id):
        pool.refresh_from_db()
    return pool.settled, pool.held


def the_batch(pool: CreditPool) -> StoredBatch | None:
    with tenant_scope(pool.tenant_id):
        return StoredBatch.objects.select_related("credential").first()


def die(*_arguments: Any, **_options: Any) -> Any:
    raise Died


# Where it dies: what is replaced, and what the provider does; then what is held before and after
# another process has looked for the batch, and whether there is one.
DEATHS = {
    "noted": ("holding", "", 0, (0, 0), False),
    "held": ("asking", "", 9, (0, 0), False),
    "asking": ("", "before", 9, (0, 0), False),
    "asked": ("", "after", 9, (0, 9), True),
    "answered": ("noting", "", 9, (0, 9), True),
}


@pytest.mark.parametrize("at", DEATHS)
def test_a_death_loses_no_batch_and_no_credits(
    trial: CreditPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    step, dies, held, settled, is_found = DEATHS[at]
    provider, new = Provider(), new_batch(trial)
    provider.dies = dies

    async def opened(_owner: Owner) -> Account:
        return new.account

    monkeypatch.setattr(lost_batches, "open_account", opened)
    steps = {
        "holding": patch.object(Credits, "hold", die),
        "asking": patch.object(creating, "_note_asked", die),
        "noting": patch.object(lost_batches, "note_created", die),
    }

    async def work(processes: list[Process]) -> None:
        with steps.get(step, patch.object(provider, "dies", dies)), pytest.raises(Died):
            await processes[0].creating.create(new)
        row = await asyncio.to_thread(the_batch, trial)
        assert row is not None
        assert await asyncio.to_thread(pool_of, trial) == (0, held)
        await processes[1].lost.resolve(row)  # too early: it may be created right now
        assert await asyncio.to_thread(pool_of, trial) == (0, held)
        row.created -= timedelta(hours=1)
        await asyncio.gather(*(process.lost.resolve(row) for process in processes))

    play(work, tmp_path, provider)
    assert pool_of(trial) == settled
    row = the_batch(trial)
    assert (row is not None) is is_found
    assert len(provider.batches) == is_found
    if row is not None:
        assert (row.provider_id, row.status) == ("batch_0", "in_progress")


def test_a_batch_that_cannot_be_found_is_charged_as_unknown(
    trial: CreditPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anthropic's batches have nothing by which one could be told from another's."""
    provider, new = Provider(), new_batch(trial, has_metadata=False)
    provider.dies = "after"

    async def opened(_owner: Owner) -> Account:
        return new.account

    monkeypatch.setattr(lost_batches, "open_account", opened)

    async def work(processes: list[Process]) -> None:
        with pytest.raises(Died):
            await processes[0].creating.create(new)
        assert "metadata" not in provider.batches[0]
        row = await asyncio.to_thread(the_batch, trial)
        assert row is not None
        row.created -= timedelta(hours=1)
        await processes[1].lost.resolve(row)

    play(work, tmp_path, provider)
    assert pool_of(trial) == (9, 0)
    assert execute("SELECT DISTINCT reason, state FROM quotas_hold") == [("unknown", "settled")]


def test_a_batch_that_was_given_up_is_not_sent(trial: CreditPool, tmp_path: Path) -> None:
    """A process that wakes up after another one has given the credits back asks no provider."""
    provider, new = Provider(), new_batch(trial)

    async def work(processes: list[Process]) -> None:
        hold = Credits.hold

        async def slow(self: Credits, *arguments: Any) -> int:
            row = await asyncio.to_thread(the_batch, trial)
            assert row is not None
            assert row.status == HOLDING
            row.created -= timedelta(hours=1)
            await processes[1].lost.resolve(row)
            return await hold(self, *arguments)

        with patch.object(Credits, "hold", slow), pytest.raises(Exception, match="Send it again"):
            await processes[0].creating.create(new)

    play(work, tmp_path, provider)
    assert not provider.batches
    assert pool_of(trial) == (0, 0)


def test_two_processes_that_settle_it_at_once_charge_it_once(
    trial: CreditPool, tmp_path: Path
) -> None:
    provider, new = Provider(), new_batch(trial)

    async def work(processes: list[Process]) -> None:
        created: Created = await processes[0].creating.create(new)
        created.row.status, created.row.answer = "completed", {"output_file_id": "file-out"}
        provider.wait = asyncio.Barrier(2).wait
        rows = [created.row, created.row]
        await asyncio.gather(
            *(
                process.recording.record(new.account, row)
                for process, row in zip(processes, rows, strict=True)
            )
        )

    play(work, tmp_path, provider)
    assert pool_of(trial) == (2, 0)
    records = execute("SELECT model, credits FROM quotas_callrecord ORDER BY id")
    assert records == [(MODEL, 2), (DEAR, 0)]
