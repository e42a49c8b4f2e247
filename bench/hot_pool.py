"""`python -m bench.hot_pool [CHECKOUT ...]`: trial calls through one credit pool on PostgreSQL with
fsync, of this checkout beside others, by turns.

The table shows the best round's calls a second, the CPU of the server and of PostgreSQL per call,
and how often PostgreSQL waited for the disk. The load generator, the provider and PostgreSQL share
the processors with the server.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from bench.__main__ import TRIAL, WARM, cpu_seconds, fake_provider, postgres_pid, say, table
from bench.compare import Served, serving
from tests.command_server import REPOSITORY
from tests.postgres import Postgres


class Round(NamedTuple):
    """Calls a second; milliseconds of the server and of PostgreSQL, and waits, per call."""

    speed: float
    server: float
    database: float
    syncs: float


def syncs(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        query = "SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'"
        return int(connection.execute(query).fetchall()[0][0])


def load(server: Served, calls: int, connections: int) -> dict[str, Any]:
    wanted = {
        "port": server.port,
        "key": server.app_key,
        "model": TRIAL,
        "connections": connections,
        "calls": calls,
    }
    command = [sys.executable, "-m", "bench.client", json.dumps(wanted)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    seen: dict[str, Any] = json.loads(done.stdout)
    if seen["bad"]:
        raise SystemExit(f"calls of {server.checkout} failed: {done.stdout}")
    return seen


def round_of(server: Served, url: str, options: argparse.Namespace) -> Round:
    database = postgres_pid(url)
    before = server.spent(), cpu_seconds(database), syncs(url)
    seen = load(server, options.calls, options.connections)
    time.sleep(1)  # until PostgreSQL has added up its processes' figures
    calls = options.calls
    return Round(
        calls / seen["seconds"],
        1000 * (server.spent() - before[0]) / calls,
        1000 * (cpu_seconds(database) - before[1]) / calls,
        (syncs(url) - before[2]) / calls,
    )


def compare(checkouts: Sequence[Path], options: argparse.Namespace) -> dict[Path, list[Round]]:
    rounds: dict[Path, list[Round]] = defaultdict(list)
    with Postgres() as postgres, fake_provider() as provider, ExitStack() as stack:
        servers = []
        for number, path in enumerate(checkouts):
            with psycopg.connect(postgres.url, autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "hot_{number}"')
            url = postgres.url.rpartition("/")[0] + f"/hot_{number}"
            servers.append((stack.enter_context(serving(path, provider, url)), url))
        for server, _url in servers:
            load(server, WARM, options.connections)
        for _number in range(options.rounds):
            for server, url in servers:
                rounds[server.checkout].append(round_of(server, url, options))
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hot_pool")
    parser.add_argument("checkouts", nargs="*", type=Path)
    parser.add_argument("--calls", type=int, default=2000, help="per round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    checkouts = [REPOSITORY, *(path.resolve() for path in options.checkouts)]
    rows: list[tuple[str, ...]] = [
        ("checkout", "calls a second", "CPU", "PostgreSQL's CPU", "fsyncs a call")
    ]
    for path, rounds in compare(checkouts, options).items():
        best = max(rounds)
        cheapest = [min(getattr(one, name) for one in rounds) for name in ("server", "database")]
        rows.append(
            (
                path.name,
                f"{best.speed:.0f}",
                *(f"{milliseconds:.2f} ms" for milliseconds in cheapest),
                f"{best.syncs:.2f}",
            )
        )
    say(table(rows))


if __name__ == "__main__":
    main()
