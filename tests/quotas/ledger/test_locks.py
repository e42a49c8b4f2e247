"""The order in which the ledger locks, so that no transactions wait for each other in a circle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from core.db.connection import separate
from quotas.ledger import groups, holds
from quotas.ledger.reap import Reaped, reap
from quotas.ledger.states import Finish
from quotas.models import CreditPool, Hold
from tenants.scope import all_tenants
from tests import ledger
from tests.factories import make_tenant
from tests.quotas.conftest import make_plan, make_pool, record_for, request_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one lock"),
]
GROUPS = {"POOLS": ("hold",), "OWNERS": ("end",), "LOCKED": ("hold", "end")}
WITHIN = 20.0  # seconds


@pytest.fixture
def pools() -> list[CreditPool]:
    plan = make_plan(limit=10)
    made = [make_pool(make_tenant(name, with_keys=False), plan=plan) for name in ("acme", "globex")]
    for pool in made:
        ledger.hold(request_for(pool, "open"))
    return made


@contextmanager
def beside() -> Iterator[Callable[..., list[Any]]]:
    """Another transaction: what runs its statements."""
    other = separate()
    with other.cursor() as cursor:

        def run(sql: str, *params: Any) -> list[Any]:
            cursor.execute(sql, params)
            return list(cursor.fetchall()) if cursor.description else []

        run("BEGIN")
        yield run
        run("ROLLBACK")
    other.close()


@contextmanager
def waiting(work: Callable[[], Any]) -> Iterator[None]:
    """Do something in a thread that waits for a lock, which is free afterwards."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    with beside() as other:
        until = time.monotonic() + WITHIN
        while not other("SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert time.monotonic() < until, "nothing waits"
            time.sleep(0.01)
    yield
    thread.join(WITHIN)


def locked_meanwhile(pools: list[CreditPool], kinds: tuple[str, ...]) -> tuple[bool, bool]:
    """Return whether a group that waits for the second pool holds locks of the first one, and of
    any hold.
    """
    members: list[Any] = []
    for pool in reversed(pools):
        if "hold" in kinds:
            members.append(request_for(pool, "new"))
        if "end" in kinds:
            with all_tenants():
                hold_id = Hold.objects.get(pool=pool).pk
            members.append(Finish(record_for(pool.tenant), hold_id))
    with beside() as blocker:
        blocker("SELECT 1 FROM quotas_creditpool WHERE id = %s FOR UPDATE", pools[1].pk)
        with waiting(lambda: ledger.write(members)):
            with beside() as other:
                skip = "FOR UPDATE SKIP LOCKED"
                pool = other(f"SELECT 1 FROM quotas_creditpool WHERE id = %s {skip}", pools[0].pk)
                free = other(f"SELECT 1 FROM quotas_hold {skip}")
            blocker("COMMIT")
    return not pool, len(free) < len(pools)


@pytest.mark.parametrize("part", GROUPS)
def test_pools_are_locked_in_order_and_before_holds(pools: list[CreditPool], part: str) -> None:
    assert locked_meanwhile(pools, GROUPS[part]) == (True, False)


@pytest.mark.parametrize("part", GROUPS)
def test_another_order_is_noticed(
    pools: list[CreditPool], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = holds if hasattr(holds, part) else groups
    original: Any = getattr(module, part)
    text = original.sql.replace("ORDER BY id", "ORDER BY id DESC")
    assert text != original.sql
    monkeypatch.setattr(module, part, original._replace(sql=text))
    assert locked_meanwhile(pools, GROUPS[part])[0] is False


def test_the_reaper_locks_the_pool_before_the_hold(pools: list[CreditPool]) -> None:
    reaped: list[Reaped] = []
    later = datetime.now(UTC) + timedelta(days=1)
    with beside() as blocker:
        blocker("SELECT 1 FROM quotas_creditpool WHERE id = %s FOR UPDATE", pools[0].pk)
        with waiting(lambda: reaped.append(reap(now=later))):
            with beside() as other:
                free = other("SELECT 1 FROM quotas_hold FOR UPDATE SKIP LOCKED")
            blocker("COMMIT")
    assert len(free) == 2
    assert reaped == [Reaped(voided=2)]
