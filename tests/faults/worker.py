"""A process that spends credits through tests.ledger, and may kill itself at a labelled
point. Run by tests, not imported.

`python -m tests.faults.worker '<json>'`: see `spend` and `serve` for the arguments. What it does is
written to files with one write per line, so that nothing a dead process said is lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import threading
from typing import Any
from uuid import UUID

import django

POINTS = ("after_hold", "mid_stream", "before_settle", "after_settle")


class Log:
    """Lines in a file, each in the system's hands once `write` returns."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, **line: Any) -> None:
        os.write(self._file, (json.dumps(line) + "\n").encode())


def request(arguments: dict[str, Any], key: str, amount: int) -> Any:
    from quotas.ledger.states import HoldRequest

    return HoldRequest(
        tenant_id=UUID(arguments["tenant"]),
        pool_id=arguments["pool"],
        key=key,
        fingerprint="f" * 64,
        amount=amount,
        model="small",
        request_id=key,
        deadline_seconds=600,
    )


def record(arguments: dict[str, Any], key: str, status: str) -> Any:
    from quotas.ledger.records import Record

    return Record(
        tenant_id=UUID(arguments["tenant"]),
        request_id=key,
        operation="chat.completions",
        status=status,
    )


def spend(arguments: dict[str, Any]) -> None:
    """`threads` threads start at once and spend until the pool is empty, each at most `calls`
    times.
    """
    from django.db import connection

    from quotas.ledger.states import HoldState
    from tests import ledger

    log, start = Log(arguments["log"]), threading.Barrier(arguments["threads"])

    def work(number: int) -> None:
        start.wait()
        try:
            for call in range(arguments["calls"]):
                key = f"{os.getpid()}-{number}-{call}"
                held = ledger.hold(request(arguments, key, 1))
                log.write(key=key, state=held.state)
                if held.state is not HoldState.HELD:
                    return
                ledger.mark_sent(tenant_id=UUID(arguments["tenant"]), hold_id=held.hold_id)
                ledger.settle(hold_id=held.hold_id, record=record(arguments, key, "ok"))
        finally:
            connection.close()

    threads = [
        threading.Thread(target=work, args=(number,)) for number in range(arguments["threads"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def serve(arguments: dict[str, Any]) -> None:
    """`calls` calls, one after the other; each provider call and each acknowledged answer is
    logged; death is likely.
    """
    from quotas.ledger.states import HoldState
    from tests import ledger

    log, chance = Log(arguments["log"]), random.Random(arguments["seed"])

    for number in range(arguments["calls"]):
        key, amount = f"{arguments['seed']}-{number}", chance.choice((1, 1, 5))
        succeeds = chance.random() < 0.8
        death = chance.choice(POINTS) if chance.random() < arguments["mortality"] else ""

        def pass_by(point: str, key: str = key, death: str = death) -> None:
            if point == death:
                log.write(died=key, at=point)
                os.kill(os.getpid(), signal.SIGKILL)

        held = ledger.hold(request(arguments, key, amount))
        if held.state is not HoldState.HELD:
            log.write(refused=key, state=held.state)
            continue
        pass_by("after_hold")
        if not ledger.mark_sent(tenant_id=UUID(arguments["tenant"]), hold_id=held.hold_id):
            continue
        log.write(provider=key, amount=amount, ok=succeeds)
        pass_by("mid_stream")
        pass_by("before_settle")
        if succeeds:
            ledger.settle(hold_id=held.hold_id, record=record(arguments, key, "ok"))
        else:
            ledger.void(
                hold_id=held.hold_id,
                record=record(arguments, key, "error"),
                reason="provider_error",
            )
        pass_by("after_settle")
        log.write(acknowledged=key, used=amount if succeeds else 0)


def travel(arguments: dict[str, Any]) -> None:
    """`callers` make calls at the same time, as the gateway does, until the pool is empty or each
    has made `calls`; each provider call and each acknowledged answer is logged.
    """
    asyncio.run(_travel(arguments, Log(arguments["log"])))


async def _travel(arguments: dict[str, Any], log: Log) -> None:
    from django.db import connection

    from core.db.dialect import SQLITE
    from gateway.dataplane.store.flusher import Flusher
    from gateway.dataplane.store.postgres import PostgresDatabase
    from gateway.dataplane.store.sqlite import SQLiteDatabase

    settings = connection.settings_dict
    is_sqlite = connection.vendor == SQLITE.name
    database = SQLiteDatabase(str(settings["NAME"])) if is_sqlite else PostgresDatabase(settings)
    await database.open()
    flusher = Flusher(database)
    callers = (_calls(arguments, log, flusher, number) for number in range(arguments["callers"]))
    await asyncio.gather(*callers)
    await flusher.close()
    await database.close()


async def _calls(arguments: dict[str, Any], log: Log, flusher: Any, number: int) -> None:
    from gateway.dataplane.errors import DatabaseUnavailable
    from quotas.ledger.states import Finish, HoldState, Mark

    tenant = UUID(arguments["tenant"])
    for call in range(arguments["calls"]):
        key = f"{os.getpid()}-{number}-{call}"
        try:
            held = await flusher.write(request(arguments, key, 1))
            if held.state is not HoldState.HELD:
                log.write(refused=key, state=held.state, left=held.left)
                return
            if not await flusher.write(Mark(tenant, held.hold_id)):
                continue
            log.write(provider=key)
            await flusher.write(Finish(record(arguments, key, "ok"), held.hold_id))
            log.write(acknowledged=key)
            own = record(arguments, f"own-{key}", "ok")
            await flusher.write(Finish(own))
            log.write(recorded=own.request_id)
        except DatabaseUnavailable:
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.faults.settings")
    django.setup()
    given = json.loads(sys.argv[1])
    {"spend": spend, "serve": serve, "travel": travel}[given["mode"]](given)
