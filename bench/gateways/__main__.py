"""`python -m bench.gateways` prints one table: what a call costs here and in other gateways.

Those that aren't installed have a line that says so; `make bench-gateways` installs all but nginx.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from bench.__main__ import (
    OWN,
    cpu_seconds,
    databases,
    fake_provider,
    generated,
    running,
    say,
    table,
)
from bench.gateways import others
from bench.gateways.others import OTHERS, Gateway
from tests.postgres import DATABASE

CONNECTIONS = 64
PIECES = 100
ROUNDS = 3
ALONE = 200  # calls one after the other
# Whole calls and streams for each gateway: the slow ones get fewer.
CALLS, STREAMS = 3000, 600
SLOW_CALLS, SLOW_STREAMS = 400, 60


@dataclass
class Spent:
    """Milliseconds: of CPU per whole call and per stream, and until a call alone is answered."""

    whole: float
    stream: float | None
    alone: float | None


def measured(gateway: Gateway, *, is_slow: bool) -> Spent:
    def cost(calls: int, *, stream: bool) -> float:
        run_at(gateway, stream=stream, connections=CONNECTIONS, calls=max(64, calls // 4))
        costs = []
        for _round in range(ROUNDS):
            before = cpu_seconds(gateway.pid)
            run_at(gateway, stream=stream, connections=CONNECTIONS, calls=calls)
            costs.append(1000 * (cpu_seconds(gateway.pid) - before) / calls)
        return statistics.median(costs)

    whole = cost(SLOW_CALLS if is_slow else CALLS, stream=False)
    alone = run_at(gateway, stream=False, connections=1, calls=ALONE)["ms_p50"]
    stream = None
    with contextlib.suppress(OSError):  # some of the others break off long streams
        stream = cost(SLOW_STREAMS if is_slow else STREAMS, stream=True)
    return Spent(whole, stream, alone)


def run_at(gateway: Gateway, **wanted: object) -> dict[str, float]:
    """One run of the load generator.

    Raises:
        OSError: A call failed.
    """
    result = generated(
        {
            "port": gateway.port,
            "key": gateway.key,
            "model": gateway.model,
            "headers": dict(gateway.headers),
            **wanted,
        }
    )
    if result["bad"]:
        raise OSError(f"{result['bad']} calls failed")
    return result


@contextmanager
def ours(provider: str, database_url: str) -> Iterator[Gateway]:
    with running(provider, database_url) as server:
        yield Gateway(server.pid, server.port, server.app_key, OWN)


def row(name: str, measure: Callable[[], Spent], direct: float) -> tuple[str, ...]:
    try:
        spent = measure()
    except (OSError, SystemExit, subprocess.SubprocessError) as problem:
        return (name, "-", "-", str(problem).splitlines()[0][:60])
    return (
        name,
        f"{spent.whole:.2f} ms",
        "fails" if spent.stream is None else f"{spent.stream:.2f} ms",
        "-" if spent.alone is None else f"{spent.alone - direct:.1f} ms",
    )


def embedded(provider: str) -> Spent:
    costs = [
        statistics.median(
            others.tensorzero(provider, calls, stream=stream)["cpu_ms"] for _round in range(ROUNDS)
        )
        for calls, stream in ((CALLS, False), (STREAMS // 4, True))
    ]
    return Spent(costs[0], costs[1], None)


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.gateways", description=__doc__).parse_args()
    rows: list[tuple[str, ...]] = [
        ("gateway", "CPU per call", f"stream of {PIECES} pieces", "added p50 alone")
    ]
    with fake_provider("--frames", str(PIECES)) as provider, databases() as fresh:
        at_provider = Gateway(0, int(provider.rpartition(":")[2]))
        direct = run_at(at_provider, stream=False, connections=1, calls=ALONE)["ms_p50"]

        def started(start: others.Start, *, is_slow: bool) -> Spent:
            with others.running(start, provider) as gateway:
                return measured(gateway, is_slow=is_slow)

        def own(database: str) -> Spent:
            with ours(provider, fresh(database)) as gateway:
                return measured(gateway, is_slow=False)

        for name, start in OTHERS.items():
            measure = partial(started, start, is_slow=start is not others.nginx)
            rows.append(row(name, measure, direct))
        rows.append(row("TensorZero, embedded, no log", partial(embedded, provider), direct))
        rows += [
            row(f"Modelkeep, own key, {database}", partial(own, database), direct)
            for database in ("SQLite", "PostgreSQL")
        ]
    say(f"{os.cpu_count()} processors, load average before: {os.getloadavg()[0]:.1f}")
    say(table(rows))


if __name__ == "__main__":
    if not os.environ.get("DATABASE_URL", "").endswith(f"/{DATABASE}"):
        os.execv(
            sys.executable,
            [sys.executable, "-m", "tests.postgres", sys.executable, "-m", "bench.gateways"],
        )
    main()
