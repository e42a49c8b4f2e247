"""Calls that share transactions: exact at the limit, and nothing acknowledged is lost, whoever dies
in the middle of one.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection

from quotas.ledger import invariants
from quotas.ledger.reap import reap
from quotas.models import CallRecord, CreditPool, Hold
from tenants.scope import all_tenants
from tests.faults.conftest import Start, lines

pytestmark = pytest.mark.slow  # worker processes run
PoolOf = Callable[[int], CreditPool]
WITHIN = 60.0  # seconds


def logged(log: Path, name: str) -> list[str]:
    return [line[name] for line in lines(log) if name in line] if log.exists() else []


def wait_for(log: Path, count: int) -> None:
    until = time.monotonic() + WITHIN
    while len(logged(log, "acknowledged")) < count:
        assert time.monotonic() < until
        time.sleep(0.01)


def check(pool: CreditPool, log: Path) -> None:
    """Everything acknowledged is in the ledger; what was sent is charged, and nothing else."""
    assert invariants.audit() == []
    reap(now=datetime.now(UTC) + timedelta(hours=1))
    assert invariants.audit(now=datetime.now(UTC) + timedelta(hours=2)) == []
    with all_tenants():
        used = {hold.key: hold.used for hold in Hold.objects.all()}
        marked = set(Hold.objects.filter(sent=True).values_list("key", flat=True))
        records = list(CallRecord.objects.values_list("request_id", flat=True))
    assert len(records) == len(set(records))
    assert set(logged(log, "recorded")) <= set(records)
    assert {used[key] for key in logged(log, "acknowledged")} <= {1}
    assert set(logged(log, "provider")) <= marked
    assert all(amount == (key in marked) for key, amount in used.items())
    pool.refresh_from_db()
    assert (pool.settled, pool.held) == (sum(used.values()), 0)


def test_two_processes_of_64_callers_spend_exactly_the_limit(
    pool_of: PoolOf, start: Start, log: Path
) -> None:
    pool = pool_of(200)
    workers = [start(pool, "travel", callers=64, calls=50) for _number in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert len(logged(log, "acknowledged")) == len(logged(log, "recorded")) == 200
    assert len(logged(log, "refused")) == 128
    assert {line["state"] for line in lines(log) if "refused" in line} == {"exhausted"}
    check(pool, log)
    pool.refresh_from_db()
    assert pool.settled == 200


def test_kill_9_in_the_middle_of_a_group(pool_of: PoolOf, start: Start, log: Path) -> None:
    pool = pool_of(100_000)
    for count in (40, 160):
        worker = start(pool, "travel", callers=32, calls=10_000)
        wait_for(log, count)
        worker.kill()
        assert worker.wait() == -signal.SIGKILL
    check(pool, log)


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no server")
def test_connections_end_in_the_middle_of_a_group(pool_of: PoolOf, start: Start, log: Path) -> None:
    """As when the server crashes: every connection of the worker is gone at once, repeatedly."""
    pool = pool_of(100_000)
    worker = start(pool, "travel", callers=32, calls=40)
    for count in (40, 200, 400):
        wait_for(log, count)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    assert worker.wait() == 0
    check(pool, log)
