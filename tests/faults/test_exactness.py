"""Credits under many threads and processes: exactly the limit is spent, whatever races."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from quotas.ledger import invariants
from quotas.models import CallRecord, Hold
from tenants.scope import all_tenants
from tests.faults.conftest import Start, lines

pytestmark = pytest.mark.slow  # worker processes run


def spent(log: Path) -> Counter[str]:
    return Counter(line["state"] for line in lines(log))


def test_200_threads_on_a_pool_of_10_get_exactly_10(pool_of, start: Start, log: Path) -> None:
    pool = pool_of(10)
    assert start(pool, "spend", threads=200, calls=1).wait() == 0

    assert spent(log) == {"held": 10, "exhausted": 190}
    pool.refresh_from_db()
    assert (pool.settled, pool.held) == (10, 0)
    assert invariants.audit() == []


def test_a_trial_of_500_under_32_threads_in_4_processes_serves_exactly_500(
    pool_of, start: Start, log: Path
) -> None:
    pool = pool_of(500)
    workers = [start(pool, "spend", threads=8, calls=600) for _number in range(4)]
    assert [worker.wait() for worker in workers] == [0, 0, 0, 0]

    assert spent(log) == {"held": 500, "exhausted": 32}
    pool.refresh_from_db()
    assert (pool.settled, pool.held) == (500, 0)
    with all_tenants():
        assert CallRecord.objects.filter(credits=1, status="ok").count() == 500
        assert Hold.objects.filter(state="settled").count() == Hold.objects.count() == 500
        assert len({record.request_id for record in CallRecord.objects.all()}) == 500
    assert invariants.audit() == []
