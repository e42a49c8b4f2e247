"""`python -m bench.tenants [--tenants N]`: CPU of an own-key call when N tenants call in turn, as a
ratio to one tenant's.

Each tenant has a key pair, an app key and a credential of its own. "first call" is each tenant's
first one in this process, which opens its key pair; then every tenant calls again and again, always
the one whose last call is longest ago, which is the worst order for whatever a process keeps. CPU
is counted as in bench/__main__.py; the best of RUNS rounds counts, as other programs only add.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass

from bench.__main__ import (
    OWN,
    cpu_seconds,
    databases,
    fake_provider,
    load,
    postgres_pid,
    say,
    table,
)
from tests.server import Server

TENANTS = (1, 100, 1_000, 10_000)
RUNS = 3
CALLS = 6_000  # of one run at least
CONNECTIONS = 32
GOAL = 1.5  # times the cost of one tenant
TIMEOUT = 1800


@dataclass(frozen=True)
class Cost:
    """Milliseconds of CPU per call: of a tenant's first, and of one later; and the database's."""

    first: float
    server: float
    database: float
    p99: float


def measure(url: str, provider: str, tenants: int) -> Cost:
    with Server(env={"MODELKEEP_EGRESS_ALLOW": provider}, postgres=url) as server:
        keys = server.data / "keys"
        subprocess.run(
            [sys.executable, "-m", "bench.tenants.rows", str(tenants), provider, str(keys)],
            env=server.env,
            check=True,
            timeout=TIMEOUT,
        )
        wanted = {"keys": str(keys), "model": OWN, "connections": min(CONNECTIONS, tenants * 8)}
        theirs = postgres_pid(url)
        load(server, **wanted | {"calls": 50})
        spent = cpu_seconds(server.pid)
        load(server, **wanted, calls=max(tenants, 50), first=50)
        first = 1000 * (cpu_seconds(server.pid) - spent) / max(tenants, 50)
        if tenants == 1:
            load(server, **wanted, calls=1000)
        rounds = []
        for number in range(RUNS):
            calls = max(CALLS, tenants)
            before, before_database = cpu_seconds(server.pid), cpu_seconds(theirs)
            seen = load(server, **wanted, calls=calls, first=number * calls)
            used = 1000 * (cpu_seconds(server.pid) - before) / calls
            database = 1000 * (cpu_seconds(theirs) - before_database) / calls
            rounds.append(Cost(first, used, database, seen["ms_p99"]))
    return min(rounds, key=lambda cost: cost.server)


def row_of(name: str, tenants: int, cost: Cost, one: Cost) -> tuple[str, ...]:
    return (
        f"{tenants:,}",
        name,
        f"{cost.server:.2f} ms",
        f"{cost.server / one.server:.2f}",
        f"{GOAL}",
        f"{cost.first:.2f} ms",
        f"{cost.database:.2f} ms" if cost.database else "-",
        f"{cost.p99:.0f} ms",
    )


HEAD: tuple[str, ...] = (
    "active tenants",
    "database",
    "CPU per call",
    "ratio to one",
    "goal",
    "first call",
    "PostgreSQL's own CPU",
    "p99",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tenants")
    parser.add_argument("--tenants", type=int, help="one and this many, instead of up to 10,000")
    parser.add_argument("--database", choices=("SQLite", "PostgreSQL"), help="only this one")
    options = parser.parse_args()
    if not os.environ.get("DATABASE_URL") and options.database != "SQLite":
        command = [sys.executable, "-m", "bench.tenants", *sys.argv[1:]]
        command = [sys.executable, "-m", "tests.postgres", *command]
        raise SystemExit(subprocess.run(command, check=False).returncode)
    numbers = TENANTS if options.tenants is None else sorted({1, options.tenants})
    names = [options.database] if options.database else ["PostgreSQL", "SQLite"]
    rows: list[tuple[str, ...]] = [HEAD]
    with fake_provider("--frames", "100") as provider, databases() as fresh:
        for name in names:
            costs: dict[int, Cost] = {}
            for tenants in numbers:
                costs[tenants] = measure(fresh(name), provider, tenants)
                rows.append(row_of(name, tenants, costs[tenants], costs[1]))
                say(table([HEAD, rows[-1]]))
    say(table(rows))


if __name__ == "__main__":
    main()
