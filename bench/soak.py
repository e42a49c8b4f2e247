"""`python -m bench.soak [--minutes N]`: healthy calls beside a provider that sends whatever servers
have ever been seen to send.

Fifty healthy calls a second (whole answers, streams and calls on a trial) go to the fake provider
at a steady pace, whatever the others do; a few calls a second go to a server that answers each with
one of ANSWERS at random. After every three minutes the healthy calls are alone for a minute, so
that what the others add is known whatever else the machine does. At the end the ledger is audited
and must hold each call once. SQLite in a temporary folder, or the empty database that DATABASE_URL
names.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psycopg

from bench.__main__ import KEY, OWN, TRIAL, children, databases, fake_provider, running, say, table
from bench.odd_server import ANSWERS
from tests.command_server import REPOSITORY
from tests.server import Server, free_port

HEALTHY, ODD = 50, 4  # calls a second
ALONE, BESIDE = 60, 180  # seconds without and with the odd ones
LONGEST = 20.0  # seconds that a healthy call may take
GOAL = 50.0  # milliseconds that the odd calls may add to the healthy ones' p99
GROWTH = 1.1  # how much more memory the last quarter may take than the second one

# ------------------------------------------------------------------------------------------ load


@dataclass
class Load:
    """What was sent and how long it took."""

    server: Server
    session: aiohttp.ClientSession
    sent: int = 0
    alone: list[float] = field(default_factory=list)  # seconds of healthy calls
    beside: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)  # MB of the server's processes

    async def run(self, seconds: float) -> None:
        """Take turns: healthy calls alone, and beside odd ones."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > ALONE:
            await self.healthy(self.alone, asyncio.sleep(ALONE))
            await self.healthy(self.beside, self.odd(min(BESIDE, left - ALONE)))

    async def healthy(self, times: list[float], meanwhile: Coroutine[None, None, None]) -> None:
        """Make calls at a steady pace until `meanwhile` ends."""
        ending = asyncio.create_task(meanwhile)
        began, calls = time.monotonic(), []
        while not ending.done():
            calls.append(asyncio.create_task(self._call(times)))
            if len(calls) % (5 * HEALTHY) == 0:
                self.memory.append(resident_megabytes(self.server))
            await asyncio.sleep(max(0.0, began + len(calls) / HEALTHY - time.monotonic()))
        await asyncio.gather(ending, *calls)

    async def _call(self, times: list[float]) -> None:
        self.sent += 1
        body = {
            "model": random.choice((OWN, OWN, TRIAL)),
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": random.random() < 0.4,
        }
        began = time.perf_counter()
        try:
            async with self.session.post(chat_url(self.server), json=body) as answer:
                status, text = answer.status, await answer.read()
        except (TimeoutError, aiohttp.ClientError) as error:
            status, text = 0, type(error).__name__.encode()
        times.append(time.perf_counter() - began)
        self.outcomes["healthy"] += 1
        if status != 200 or not text:
            self.outcomes[f"healthy, but {status} {text[:120]!r}"] += 1

    async def odd(self, seconds: float) -> None:
        """Make odd calls in another process, and wait until the last one has ended."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.odd_calls"),
            cwd=REPOSITORY,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        wanted = {
            "url": chat_url(self.server),
            "key": self.server.app_key,
            "each": ODD,
            "seconds": seconds,
        }
        output, _errors = await process.communicate(json.dumps(wanted).encode() + b"\n")
        outcomes = Counter(json.loads(output))
        self.sent += outcomes.total()
        self.outcomes += outcomes


def chat_url(server: Server) -> str:
    return f"{server.url}/v1/chat/completions"


def resident_megabytes(server: Server) -> float:
    def of(pid: int) -> float:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    return sum(map(of, (server.pid, *children(server.pid))))


def p50(times: list[float]) -> float:
    return 1000 * statistics.median(times)


def p99(times: list[float]) -> float:
    return 1000 * statistics.quantiles(times, n=100)[-1]


async def soak(server: Server, seconds: float) -> Load:
    headers = {"Authorization": f"Bearer {server.app_key}"}
    limits = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        headers=headers, connector=limits, timeout=aiohttp.ClientTimeout(total=LONGEST)
    ) as session:
        load = Load(server, session)
        await load.run(seconds)
        return load


@contextmanager
def odd_server() -> Iterator[int]:
    """The server of odd answers in a process of its own; its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.odd_server", str(port)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # callers that leave
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield port
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def seed(server: Server, port: int) -> None:
    """Set up the server of odd answers; each model's number is the answer's."""
    wanted = {
        "credentials": [
            {
                "provider": "openai_compatible",
                "name": "Odd",
                "values": {"api_key": KEY},
                "base_url": f"http://127.0.0.1:{port}/v1",
            }
        ],
        "models": [
            {"provider": "openai_compatible", "model": f"odd-{number}", "type": "reasoning"}
            for number in range(len(ANSWERS))
        ],
    }
    server.python("-m", "tests.gateway.seed", server.workspace, json.dumps(wanted))


def counts(server: Server) -> tuple[int, int]:
    """Call records, and how many different requests they are of."""
    statement = "SELECT count(*), count(DISTINCT request_id) FROM quotas_callrecord"
    url = server.env["DATABASE_URL"]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)) as connection:
            recorded, distinct = connection.execute(statement).fetchone()
    else:
        with psycopg.connect(url) as postgres:
            recorded, distinct = postgres.execute(statement).fetchone() or (0, 0)
    return recorded, distinct


def faults(load: Load, recorded: int, distinct: int) -> list[str]:
    """What is not as it must be."""
    quarter = len(load.memory) // 4
    early, late = load.memory[quarter : 2 * quarter], load.memory[-quarter:]
    found = [line for line in load.outcomes if line.startswith("healthy, but")]
    if p99(load.beside) - p99(load.alone) > GOAL:
        found.append("healthy calls are slower than they may be")
    if statistics.median(late) > GROWTH * statistics.median(early):
        found.append("memory grows")
    if not recorded == distinct == load.sent:
        found.append(f"{load.sent} calls sent, {recorded} recorded, {distinct} of them distinct")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    seconds = 60 * parser.parse_args().minutes
    with fake_provider("--frames", "20") as provider, odd_server() as port, databases() as fresh:
        name = "PostgreSQL" if os.environ.get("DATABASE_URL") else "SQLite"
        with running(provider, fresh(name), f"http://127.0.0.1:{port}") as server:
            seed(server, port)
            load = asyncio.run(soak(server, seconds))
            time.sleep(15)  # what was left by clients ends
            server.manage("audit_credits")
            recorded, distinct = counts(server)
            log = server.log.read_text(errors="replace")
    rows = [
        (name, str(len(times)), f"{p50(times):.1f} ms", f"{p99(times):.1f} ms")
        for name, times in (("alone", load.alone), ("beside odd answers", load.beside))
    ]
    say(table([("healthy calls", "number", "p50", "p99"), *rows]))
    say("\n".join(f"{count:6} {what}" for what, count in sorted(load.outcomes.items())))
    say(
        "memory, MB: "
        + " ".join(f"{value:.0f}" for value in load.memory[:: len(load.memory) // 12 or 1])
    )
    say(f"{log.count('Traceback')} tracebacks in the log")
    problems = faults(load, recorded, distinct)
    say("\n".join(problems) or "All is as it must be.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
