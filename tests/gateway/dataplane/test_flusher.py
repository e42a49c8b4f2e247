"""What calls do at the same time shares transactions, and no call suffers from another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from core.db.connection import separate
from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.store import flusher as module
from gateway.dataplane.store.base import Database, Store, make_database
from gateway.dataplane.store.flusher import Flusher
from gateway.dataplane.store.spool import FILE, Spool
from quotas.ledger import invariants
from quotas.ledger.states import Finish, HoldState, Mark, UnknownHold, UnknownPool
from quotas.models import CallRecord, CreditPool, Hold
from tenants.scope import all_tenants
from tests.factories import make_tenant
from tests.quotas.conftest import make_plan, make_pool, record_for, request_for

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
Work = Callable[[Flusher], Awaitable[Any]]


@pytest.fixture
def pools() -> list[CreditPool]:
    """One of 10 credits for each of two workspaces."""
    plan = make_plan(limit=10)
    return [make_pool(make_tenant(name, with_keys=False), plan=plan) for name in ("acme", "globex")]


def run(work: Work) -> tuple[Any, list[int]]:
    """Return what `work` returns, and how many members each transaction had."""
    sizes: list[int] = []

    async def main() -> Any:
        database = make_database(connection.settings_dict)
        await database.open()
        flusher = Flusher(counting(database, sizes))
        try:
            return await work(flusher)
        finally:
            await flusher.close()
            await database.close()

    return asyncio.run(main()), sizes


def counting(database: Any, sizes: list[int]) -> Any:
    """Note how many statements each transaction has."""
    commit = database.transaction

    async def transaction(make: Any, lock_seconds: float | None = None) -> None:
        steps = make()
        sizes.append(len(steps))
        await commit(lambda: steps, lock_seconds)

    database.transaction = transaction
    return database


async def together(flusher: Flusher, *members: Any) -> list[Any]:
    return await asyncio.gather(*map(flusher.write, members), return_exceptions=True)


def sound(pool: CreditPool) -> tuple[int, int]:
    """Return what is used and held of a pool, once the audit finds nothing."""
    assert invariants.audit() == []
    pool.refresh_from_db()
    return pool.settled, pool.held


def test_what_arrives_together_shares_a_transaction(pools: list[CreditPool]) -> None:
    """Five kinds of members of two workspaces: three transactions, one statement a kind."""
    requests = [request_for(pool, key) for pool in pools for key in "abc"]

    async def work(flusher: Flusher) -> Any:
        held = await together(flusher, *requests)
        marks = [Mark(request.tenant_id, request.hold_id) for request in requests]
        own = [Finish(record_for(pool.tenant)) for pool in pools]
        marked = await together(flusher, *marks, *own)
        first, second, third = requests[:3]
        record = record_for(pools[0].tenant)
        ended = await together(
            flusher,
            Finish(record, first.hold_id),
            Finish(record_for(pools[0].tenant, status="error"), second.hold_id, voided=True),
            request_for(pools[0], "d"),
            Finish(record_for(pools[0].tenant), third.hold_id, used=0),
        )
        return held, marked, ended

    (held, marked, ended), statements = run(work)
    assert [result.state for result in held] == [HoldState.HELD] * 6
    assert [result.hold_id for result in held] == [request.hold_id for request in requests]
    assert marked == [True] * 6 + [None] * 2
    assert [(end.state, end.used) for end in (ended[0], ended[1], ended[3])] == [
        ("settled", 1),
        ("voided", 0),
        ("settled", 0),
    ]
    assert ended[2].state is HoldState.HELD
    locks = connection.vendor == "postgresql"
    assert statements == [1, 2, 3 if locks else 2]
    assert sound(pools[0]) == (1, 1)
    assert sound(pools[1]) == (0, 3)


def test_exactly_the_limit_is_held_and_refusals_are_explained(pools: list[CreditPool]) -> None:
    """First come, first served; those that don't fit are tried alone, and may be smaller."""
    amounts = [4, 4, 4, 1, 1, 1]
    requests = [
        request_for(pools[0], f"k{number}", amount=amount) for number, amount in enumerate(amounts)
    ]
    results, _statements = run(lambda flusher: together(flusher, *requests))
    states = [result.state for result in results]
    assert states[:3] == [HoldState.HELD, HoldState.HELD, HoldState.EXHAUSTED]
    assert sorted(states[3:]) == [HoldState.EXHAUSTED, HoldState.HELD, HoldState.HELD]
    [refused] = [result for result in results[3:] if result.state is HoldState.EXHAUSTED]
    assert (refused.settled, refused.held, refused.left) == (0, 10, 0)
    assert sound(pools[0]) == (0, 10)


def test_a_member_at_fault_takes_no_other_with_it(pools: list[CreditPool], tmp_path: Path) -> None:
    """It asks for more than it held, and has a text that no database stores."""
    tenant = pools[0].tenant
    requests = [request_for(pools[0], f"k{number}") for number in range(7)]

    async def work(flusher: Flusher) -> Any:
        await together(flusher, *requests)
        ends = [Finish(record_for(tenant), request.hold_id) for request in requests]
        ends[3] = Finish(record_for(tenant), requests[3].hold_id, used=2)
        broken = request_for(pools[0], "k\0" if connection.vendor == "postgresql" else "\ud800")
        return await together(flusher, *ends, broken, Finish(record_for(tenant)))

    results, _statements = run(work)
    failed = [number for number, result in enumerate(results) if isinstance(result, Exception)]
    assert failed == [3, 7]
    assert sound(pools[0]) == (6, 1)
    with all_tenants():
        assert CallRecord.objects.count() == 7


def test_the_same_end_twice_is_written_once(pools: list[CreditPool]) -> None:
    request = request_for(pools[0], "a")
    own = Finish(record_for(pools[0].tenant))

    async def work(flusher: Flusher) -> Any:
        await flusher.write(request)
        end = Finish(record_for(pools[0].tenant), request.hold_id)
        return await together(flusher, end, own, end, own, end)

    results, _statements = run(work)
    assert [result.applied for result in results[::2]] == [True, False, False]
    assert sound(pools[0]) == (1, 0)
    with all_tenants():
        assert CallRecord.objects.count() == 2


def test_strangers_reach_nothing_through_a_shared_transaction(pools: list[CreditPool]) -> None:
    """A workspace with another's ids, and one without a pool, beside the owner's own step."""
    owner, other = pools
    stranger = make_tenant("stranger", with_keys=False)
    held = request_for(owner, "a")

    async def work(flusher: Flusher) -> Any:
        await flusher.write(held)
        return await together(
            flusher,
            Finish(record_for(other.tenant), held.hold_id),
            request_for(owner, "theirs", tenant_id=other.tenant_id),
            request_for(owner, "b", tenant_id=stranger.pk),
            request_for(owner, "c"),
        ) + await together(
            flusher, Mark(other.tenant_id, held.hold_id), Mark(stranger.pk, held.hold_id)
        )

    results, _statements = run(work)
    assert [type(result) for result in results[:3]] == [UnknownHold, UnknownPool, UnknownPool]
    assert results[3].state is HoldState.HELD
    assert results[4:] == [False, False]
    assert sound(owner) == (0, 2)
    with all_tenants():
        assert not CallRecord.objects.exists()
        assert not Hold.objects.filter(sent=True).exists()


def test_many_callers_spend_a_pool_to_its_last_credit(pools: list[CreditPool]) -> None:
    async def call(flusher: Flusher, number: int) -> str:
        request = request_for(pools[0], f"k{number}")
        held = await flusher.write(request)
        if held.state is not HoldState.HELD:
            return str(held.state)
        assert await flusher.write(Mark(request.tenant_id, request.hold_id))
        await flusher.write(Finish(record_for(pools[0].tenant), request.hold_id))
        return "served"

    async def work(flusher: Flusher) -> Any:
        return await asyncio.gather(*(call(flusher, number) for number in range(64)))

    results, statements = run(work)
    assert (results.count("served"), results.count("exhausted")) == (10, 54)
    assert len(statements) < 10
    assert sound(pools[0]) == (10, 0)


@pytest.mark.one_database
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_an_end_survives_its_caller(
    pools: list[CreditPool], tmp_path: Path, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is cancelled while its end travels; the database takes it, or the spool."""

    async def main(end: Finish, *, is_away: bool = False) -> None:
        database: Database = make_database(connection.settings_dict)
        if is_away:
            monkeypatch.setattr(database, "transaction", refusing)
        store = Store(database, Spool(tmp_path))
        await store.open()
        task = asyncio.create_task(store.finish(end))
        for _turn in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await store.close()

    taken, refused = (Finish(record_for(pools[0].tenant, request_id=name)) for name in "xy")
    asyncio.run(main(taken))
    with all_tenants():
        assert CallRecord.objects.get().request_id == "x"
    asyncio.run(main(refused, is_away=True))
    assert b'"request_id":"y"' in (tmp_path / FILE).read_bytes()


async def refusing(_make: Any, _lock_seconds: float | None = None) -> None:
    raise DatabaseUnavailable("gone")


@contextmanager
def locked(statement: str, *params: Any) -> Iterator[None]:
    """Another transaction that holds a lock."""
    other = separate()
    try:
        other.ensure_connection()
        with other.cursor() as cursor:
            cursor.execute("BEGIN" if connection.vendor == "postgresql" else "BEGIN IMMEDIATE")
            cursor.execute(statement, params)
            yield
            cursor.execute("ROLLBACK")
    finally:
        other.close()


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for locks for as short a time as the tests can tell from none."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    monkeypatch.setattr("gateway.dataplane.store.sqlite.BUSY_SECONDS", 0.2)
    monkeypatch.setattr("gateway.dataplane.store.postgres._OPTIONS", " -c lock_timeout=200")
    monkeypatch.setattr(module, "HURRIED_LOCK_SECONDS", 0.05)


@pytest.mark.postgres
@pytest.mark.usefixtures("briefly")
def test_a_locked_pool_fails_its_own_calls_only(pools: list[CreditPool]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks the whole file")
    locked_pool, free = pools
    ends = [request_for(pool, "end") for pool in pools]

    async def work(flusher: Flusher) -> Any:
        await together(flusher, *ends)
        row = "SELECT 1 FROM quotas_creditpool WHERE id = %s FOR UPDATE"
        with locked(row, locked_pool.pk):
            return await together(
                flusher,
                *(request_for(pool, "hold") for pool in pools),
                *(
                    Finish(record_for(pool.tenant), request.hold_id)
                    for pool, request in zip(pools, ends, strict=True)
                ),
                Finish(record_for(free.tenant)),
            )

    (refused, held, lost, settled, recorded), _statements = run(work)
    assert isinstance(refused, DatabaseUnavailable)
    assert isinstance(lost, DatabaseUnavailable)
    assert (held.state, settled.state, recorded) == (HoldState.HELD, "settled", None)
    assert sound(free) == (1, 1)
    assert sound(locked_pool) == (0, 1)


@pytest.mark.usefixtures("briefly")
def test_a_locked_ledger_is_told_soon(pools: list[CreditPool]) -> None:
    """One attempt, then the ends go to the spool; holds need only the tables of holds."""
    is_postgres = connection.vendor == "postgresql"
    statement = (
        "LOCK TABLE quotas_callrecord IN SHARE MODE"
        if is_postgres
        else "UPDATE quotas_hold SET used = 0"
    )

    async def work(flusher: Flusher) -> Any:
        with locked(statement):
            async with asyncio.timeout(3):
                return await together(
                    flusher, Finish(record_for(pools[0].tenant)), request_for(pools[0])
                )

    (ended, held), _statements = run(work)
    assert isinstance(ended, DatabaseUnavailable)
    if is_postgres:
        assert held.state is HoldState.HELD
    else:
        assert isinstance(held, DatabaseUnavailable)


def test_a_hold_and_its_end_see_each_other_within_a_call(pools: list[CreditPool]) -> None:
    """An end frees what the hold beside it needs."""
    first = request_for(pools[0], "a", amount=10)

    async def work(flusher: Flusher) -> Any:
        await flusher.write(first)
        return await together(
            flusher,
            request_for(pools[0], "b", amount=9),
            Finish(record_for(pools[0].tenant), first.hold_id, used=1),
            Finish(record_for(pools[0].tenant), uuid4()),
        )

    (held, _settled, unknown), _statements = run(work)
    assert held.state is HoldState.HELD
    assert isinstance(unknown, UnknownHold)
    assert sound(pools[0]) == (1, 9)
