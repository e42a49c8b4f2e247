"""A finished batch is recorded once, whoever reads it, how often, and where it broke off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from core.db.connection import execute
from gateway.dataplane.errors import DatabaseUnavailable, Refusal
from gateway.dataplane.store.base import Store, make_database
from gateway.dataplane.store.spool import Spool
from gateway.dataplane.stored import accounts, recording
from gateway.dataplane.stored.accounts import Account
from gateway.dataplane.stored.creation.credits import Credits
from gateway.dataplane.stored.creation.lost import Lost
from gateway.dataplane.stored.recording import Recording
from providers.declaration import registry
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Access, Frame
from providers.models import StoredBatch, StoredFile
from providers.stored import services
from providers.stored.owners import Owner, owner_of
from quotas.ledger.states import Finish
from quotas.models import CallRecord
from tenants.scope import tenant_scope
from tests.factories import Workspace, make_credential

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
MODEL = "gpt-4o-mini"
ANSWER = {"status": "completed", "output_file_id": "file-out", "error_file_id": "file-err"}


def lines(count: int, tokens: int = 10) -> bytes:
    usage = {"prompt_tokens": tokens, "completion_tokens": 1}
    body = {"model": MODEL, "usage": usage}
    return (json.dumps({"response": {"status_code": 200, "body": body}}).encode() + b"\n") * count


class Content:
    """A stream of pieces. `wait`: awaited before the first one."""

    def __init__(self, data: bytes, wait: Callable[[], Coroutine[Any, Any, Any]] | None) -> None:
        self.pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)]
        self.ended = not self.pieces
        self.wait = wait
        self.closed = False

    async def read(self) -> Sequence[Frame]:
        if self.wait is not None:
            await self.wait()
            self.wait = None
        piece = self.pieces.pop(0)
        if piece == b"break":
            raise ProviderError(Failure.ERROR, "broken")
        self.ended = not self.pieces
        return (Frame(piece),)

    def close(self) -> None:
        self.closed = True


class Provider:
    """In place of Storages: what the provider keeps."""

    def __init__(self, **files: bytes) -> None:
        self.files = files or {"out": lines(3), "err": b""}
        self.answer: dict[str, Any] | None = dict(ANSWER)
        self.wait: Callable[[], Coroutine[Any, Any, Any]] | None = None
        self.opened: list[Content] = []
        self.asked = 0

    async def content(self, _account: Account, path: str) -> Content | None:
        data = self.files.get(path.removesuffix("/content").removeprefix("/files/file-"))
        if data is None:
            return None
        self.opened.append(Content(data, self.wait))
        return self.opened[-1]

    async def ask(
        self, _account: Account, _request: Any, *, seconds: float
    ) -> dict[str, Any] | None:
        assert seconds
        self.asked += 1
        return self.answer


def make_batch(acme: Workspace, **more: Any) -> StoredBatch:
    with tenant_scope(acme.tenant):
        credential = make_credential(acme.tenant)
        values = {"status": "completed", "answer": ANSWER, "request_id": "req-batch"} | more
        return StoredBatch.objects.create(
            tenant=acme.tenant,
            credential=credential,
            provider="openai",
            provider_id="batch_1",
            input_id="file-1",
            path="/v1/chat/completions",
            model_names=[MODEL],
            **values,
        )


def account_of(batch: StoredBatch) -> Account:
    provider = registry.get("openai")
    assert provider.storage is not None
    return Account(owner_of(batch), provider, provider.storage, Access({}), ())


def play(
    provider: Provider,
    work: Callable[[list[Recording]], Coroutine[Any, Any, Any]],
    tmp_path: Path,
    store: type[Store] = Store,
) -> None:
    """Run with the recordings of two processes."""

    async def run() -> None:
        stores = [
            store(make_database(settings.DATABASES["default"]), Spool(tmp_path)) for _ in range(2)
        ]
        storages: Any = provider
        background: list[asyncio.Task[None]] = []

        def start(task: Coroutine[Any, Any, None]) -> None:
            background.append(asyncio.get_running_loop().create_task(task))

        for one in stores:
            await one.open()
        try:
            credits = [Credits(one) for one in stores]
            await work(
                [
                    Recording(storages, one, Lost(storages, credit), start)
                    for one, credit in zip(stores, credits, strict=True)
                ]
            )
            await asyncio.gather(*background)
        finally:
            for one in stores:
                await one.close()

    asyncio.run(run())


def records(acme: Workspace) -> list[CallRecord]:
    with tenant_scope(acme.tenant):
        return list(CallRecord.objects.filter(operation="batches"))


def test_two_processes_that_read_it_at_once_write_one_record(
    acme: Workspace, tmp_path: Path
) -> None:
    batch, provider, both = make_batch(acme), Provider(), asyncio.Barrier(2)
    provider.wait = both.wait

    async def work(processes: list[Recording]) -> None:
        reading = [process.record(account_of(batch), batch) for process in processes]
        await asyncio.gather(*reading)

    play(provider, work, tmp_path)
    (record,) = records(acme)
    assert (record.prompt_tokens, record.completion_tokens) == (30, 3)
    assert record.usage_source == "reported"
    with tenant_scope(acme.tenant):
        assert StoredBatch.objects.get().recorded is not None
    assert all(content.closed for content in provider.opened)


class Dying(Store):
    """A process that dies when it writes a record: `before` or after that."""

    before = True
    deaths = 1

    async def finish(self, finish: Finish) -> Any:
        if not self.before:
            await super().finish(finish)
        if type(self).deaths:
            type(self).deaths -= 1
            raise DatabaseUnavailable("died")
        return await super().finish(finish)


@pytest.mark.parametrize("before", [True, False])
def test_a_process_that_dies_meanwhile_leaves_it_to_another(
    acme: Workspace, tmp_path: Path, before: bool
) -> None:
    batch, provider = make_batch(acme), Provider()
    dying = type("DyingOnce", (Dying,), {"before": before, "deaths": 1})

    async def work(processes: list[Recording]) -> None:
        with pytest.raises(DatabaseUnavailable):
            await processes[0].record(account_of(batch), batch)
        with tenant_scope(acme.tenant):
            again = await asyncio.to_thread(StoredBatch.objects.select_related("credential").get)
        assert again.recorded is None
        await processes[1].record(account_of(again), again)

    play(provider, work, tmp_path, dying)
    assert [record.prompt_tokens for record in records(acme)] == [30]


def test_a_file_that_breaks_off_is_read_again_later(acme: Workspace, tmp_path: Path) -> None:
    batch, provider = make_batch(acme), Provider(out=lines(1).ljust(1000) + b"break", err=b"")

    async def work(processes: list[Recording]) -> None:
        with pytest.raises(Refusal):
            await processes[0].record(account_of(batch), batch)
        assert not await asyncio.to_thread(records, acme)
        provider.files["out"] = lines(2)
        await processes[0].record(account_of(batch), batch)

    play(provider, work, tmp_path)
    assert [record.prompt_tokens for record in records(acme)] == [20]


def test_a_slow_output_keeps_no_other_workspace_waiting(
    acme: Workspace, globex: Workspace, tmp_path: Path
) -> None:
    slow, quick = make_batch(acme), make_batch(globex)
    provider, other = Provider(), asyncio.Event()

    async def work(processes: list[Recording]) -> None:
        provider.wait = other.wait
        processes[0].start(account_of(slow), slow)
        while not provider.opened:
            await asyncio.sleep(0)
        provider.wait = None
        await processes[0].record(account_of(quick), quick)
        assert not await asyncio.to_thread(records, acme)
        other.set()

    play(provider, work, tmp_path)
    assert len(records(acme)) == len(records(globex)) == 1


def test_a_giant_file_is_read_in_part(
    acme: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST", 5000)
    batch, provider = make_batch(acme), Provider(out=lines(1000))
    play(provider, lambda processes: processes[0].record(account_of(batch), batch), tmp_path)
    (record,) = records(acme)
    assert (record.usage_source, record.cost) == ("estimated", None)
    assert 0 < (record.prompt_tokens or 0) < 10_000
    assert len(provider.opened[0].pieces) > 50


def test_one_process_asks_about_what_nobody_asks_about(
    acme: Workspace, globex: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    batch = make_batch(acme, checked=long_ago, status="in_progress", answer={})
    make_batch(globex, status="in_progress", answer={})  # somebody has just asked
    provider = Provider(out=lines(1))
    monkeypatch.setattr(recording, "open_account", _opened)
    assert accounts.open_account is not _opened

    async def work(processes: list[Recording]) -> None:
        await asyncio.gather(*(process.ask() for process in processes))

    play(provider, work, tmp_path)
    assert provider.asked == 1
    assert len(records(acme)) == 1
    assert not records(globex)
    with tenant_scope(acme.tenant):
        assert StoredBatch.objects.get(pk=batch.pk).status == "completed"
        output = StoredFile.objects.get(provider_id="file-out")
        assert (output.purpose, output.size) == ("batch_output", len(lines(1)))


async def _opened(owner: Owner) -> Account:
    provider = registry.get("openai")
    assert provider.storage is not None
    return Account(owner, provider, provider.storage, Access({}), ())


def test_a_batch_that_is_gone_is_given_up_in_the_end(
    acme: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its usage is unknown then, which is not nothing."""
    long_ago = timezone.now() - timedelta(days=31)
    make_batch(acme, checked=long_ago, created=long_ago, status="in_progress", answer={})
    provider = Provider()
    provider.answer = None
    monkeypatch.setattr(recording, "open_account", _opened)
    play(provider, lambda processes: processes[0].ask(), tmp_path)
    (record,) = records(acme)
    assert (record.status, record.cost, record.usage_source) == ("error", None, "none")


def test_each_batch_is_claimed_once(acme: Workspace) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    batch = make_batch(acme, checked=long_ago)
    after = timedelta(minutes=5)
    assert services.claim_due(after=after, most=20) == [(acme.tenant.pk, batch.pk)]
    assert services.claim_due(after=after, most=20) == []
    assert execute("SELECT count(*) FROM providers_storedbatch") == [(1,)]
