"""Workers that die at every labelled point of a call: the ledger stays exact, and nothing
acknowledged is lost.
"""

from __future__ import annotations

import random
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quotas.ledger import invariants
from quotas.ledger.reap import reap
from quotas.models import CallRecord, CreditPool, Hold
from tenants.scope import all_tenants
from tests import ledger
from tests.faults.conftest import Start, lines
from tests.faults.worker import POINTS

pytestmark = pytest.mark.slow  # worker processes run

LIVES = 6


def live_and_die(pool: CreditPool, start: Start) -> int:
    """One worker that dies at its first call, then three at a time until LIVES have ended; how many
    were killed.

    Whether one of the others reaches its death before a small pool is used up is chance.
    """
    killed = [start(pool, "serve", seed=LIVES, calls=1, mortality=1).wait()].count(-signal.SIGKILL)
    for first in range(0, LIVES, 3):
        workers = [
            start(pool, "serve", seed=seed, calls=25, mortality=0.15)
            for seed in range(first, first + 3)
        ]
        ends = [worker.wait() for worker in workers]
        assert set(ends) <= {0, -signal.SIGKILL}
        killed += ends.count(-signal.SIGKILL)
    return killed


def by(found: list[dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    return {line[name]: line for line in found if name in line}


@pytest.mark.parametrize(("limit", "deaths"), [(10_000, 5), (40, 1)])
def test_kill_9_at_labelled_points(
    pool_of, start: Start, log: Path, limit: int, deaths: int
) -> None:
    pool = pool_of(limit)
    assert live_and_die(pool, start) >= deaths
    found = lines(log)
    assert {line["at"] for line in found if "died" in line} <= set(POINTS)

    assert invariants.audit() == []  # before the reaper as well: open holds are not wrong yet
    reaped = reap(now=datetime.now(UTC) + timedelta(hours=1))
    now = datetime.now(UTC) + timedelta(hours=2)
    assert invariants.audit(now=now) == []
    assert reap(now=now).settled == 0

    with all_tenants():
        holds = {hold.key: hold for hold in Hold.objects.all()}
        records = {record.hold.key: record for record in CallRecord.objects.select_related("hold")}
    died, sent, acknowledged = by(found, "died"), by(found, "provider"), by(found, "acknowledged")
    open_at_death = [key for key, line in died.items() if line["at"] != "after_settle"]
    assert reaped.voided + reaped.settled == len(open_at_death)

    # What a client was told is in the ledger, to the credit.
    for key, line in acknowledged.items():
        assert records[key].credits == holds[key].used == line["used"], key
    # The provider's own count, within the table of charges.
    for key, hold in holds.items():
        assert hold.state in ("settled", "voided")
        assert records[key].credits == hold.used
        if key not in sent:
            assert (hold.state, hold.used, hold.reason) == ("voided", 0, "not_sent"), key
        elif key in open_at_death:
            assert (hold.state, hold.used, hold.reason) == (
                "settled",
                sent[key]["amount"],
                "unknown",
            ), key
        else:
            assert hold.used == (sent[key]["amount"] if sent[key]["ok"] else 0), key
    pool.refresh_from_db()
    assert (pool.held, pool.settled) == (0, sum(hold.used for hold in holds.values()))
    assert pool.settled <= limit


@pytest.mark.parametrize("point", POINTS)
def test_each_point_alone(
    pool_of, start: Start, log: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker dies at one point for certain; a repeat with the same key before and after the
    reaper charges nothing more.
    """
    from tests.faults import worker as script

    pool = pool_of(100)
    seed = next(seed for seed in range(1000) if death_of(seed) == point)
    assert start(pool, "serve", seed=seed, calls=1, mortality=1).wait() == -signal.SIGKILL
    assert by(lines(log), "died")[f"{seed}-0"]["at"] == point

    with all_tenants():
        hold = Hold.objects.get()
    repeat = script.request({"tenant": str(pool.tenant_id), "pool": pool.pk}, hold.key, hold.amount)
    before = ledger.hold(repeat)
    assert before.state == ("repeat_done" if point == "after_settle" else "repeat_in_progress")
    reap(now=datetime.now(UTC) + timedelta(hours=1))
    after = ledger.hold(repeat)
    assert after.state == "repeat_done"
    pool.refresh_from_db()
    assert (pool.held, pool.settled) == (0, after.used)
    if point == "after_hold":
        assert after.used == 0
    if point in ("mid_stream", "before_settle"):
        assert after.used == hold.amount
    assert invariants.audit(now=datetime.now(UTC) + timedelta(hours=2)) == []


def death_of(seed: int) -> str:
    """Where the first call of a worker with this seed dies when mortality is 1: the same choices in
    the same order.
    """
    chance = random.Random(seed)
    chance.choice((1, 1, 5))
    succeeds = chance.random() < 0.8
    chance.random()
    # `serve` asks for the chance before it chooses the point.
    return chance.choice(POINTS) if succeeds else ""
