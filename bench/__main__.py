"""`python -m bench [--quick] [--only NAME]`: CPU of the server's processes per call, and many slow
streams through one process; and of decoding a stream, by bench/decoding.py.

The server runs as an operator starts it (gunicorn, uvicorn worker, one process), the fake provider
and the load generator in processes of their own. CPU is user and system time of the server's
processes, gunicorn's own included, from /proc/<pid>/stat over all calls of a run, divided by their
number. The median of the runs stands beside the best, because other programs on the machine can
only add. PostgreSQL's processes are counted apart. A run takes RUN_SECONDS at most, so that all
rows are there within six minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import decoding
from tests.command_server import REPOSITORY
from tests.postgres import DATABASE
from tests.server import Server, free_port

KEY = "sk-bench-0123456789abcdef0123456789"
OWN, TRIAL = "openai/gpt-4o-mini", "openai/gpt-3.5-turbo"
TICKS = os.sysconf("SC_CLK_TCK")
RUNS = 5
RUN_SECONDS = 7  # of one run
WARM = 400  # calls before anything counts; their speed tells how many a run can make
STREAMS, PIECES, RHYTHM = 2000, 100, 0.1  # 2000 streams of 10 pieces per second


@dataclass(frozen=True)
class Case:
    """One row: a load against a database, and the goal in milliseconds of CPU per call."""

    name: str
    model: str
    goal: float
    calls: int
    stream: bool = False
    connections: int = 32


CASES = (
    Case("own key, whole answer", OWN, 0.6, 8000),
    Case("own key, stream of 100 pieces", OWN, 1.5, 4000, stream=True),
    Case("trial, whole answer, hold and settle", TRIAL, 0.8, 5000),
)


def cpu_seconds(first: int | None) -> float:
    """User and system time of a process and its children, those that have ended included
    (PostgreSQL's autovacuum comes and goes).
    """
    if first is None:
        return 0.0
    ticks = sum(times(first))
    for child in children(first):
        with suppress(FileNotFoundError):  # ended meanwhile
            ticks += sum(times(child)[:2])
    return ticks / TICKS


def times(pid: int) -> list[int]:
    """Ticks of a process: user, system, and both of its ended children."""
    return [
        int(value)
        for value in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    ]


def peak_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def postgres_pid(database_url: str) -> int | None:
    """PostgreSQL's first process; None where it runs on another machine, or there is none."""
    import psycopg

    if not database_url:
        return None
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    try:
        return int((Path(row[0]) / "postmaster.pid").read_text().split("\n", 1)[0])
    except OSError:
        return None


@contextmanager
def fake_provider(*arguments: str) -> Iterator[str]:
    """The fake provider in a process of its own; its URL."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "tests.fakes.provider",
        "--port",
        str(port),
        "--keep",
        "0",
        *arguments,
    ]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def running(provider: str, database_url: str, *others: str) -> Iterator[Server]:
    """A server with one process, an own key for one model and a trial for another.

    Args:
        others: URLs besides `provider` that the server may call.
    """
    allowed = ",".join((provider, *others))
    with Server(env={"MODELKEEP_EGRESS_ALLOW": allowed}, postgres=database_url) as server:
        wanted = {
            "plan": {
                "plan": "openai",
                "limit": 10_000_000,
                "models": {"gpt-3.5-turbo": 1},
                "values": {"api_key": KEY, "base_url": provider},
            },
            "credentials": [
                {
                    "provider": "openai",
                    "name": "Main",
                    "values": {"api_key": KEY},
                    "base_url": provider,
                }
            ],
            "orders": {"openai": "trial_first"},
        }
        server.python("-m", "tests.gateway.seed", server.workspace, json.dumps(wanted))
        yield server


def load(server: Server, **wanted: Any) -> dict[str, Any]:
    """One run of the load generator."""
    result = generated({"port": server.port, "key": server.app_key} | wanted)
    if result["bad"]:
        raise SystemExit(
            f"{result['bad']} calls failed:\n{server.log.read_text(errors='replace')[-3000:]}"
        )
    return result


def generated(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What the load generator says."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.client", json.dumps(wanted)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@dataclass(frozen=True)
class Run:
    """Milliseconds of CPU per call, and the load generator's figures."""

    server: float
    database: float
    seen: dict[str, Any]


def measure(server: Server, database_url: str, case: Case, factor: float) -> list[Run]:
    """The runs of a case, cheapest first."""
    options: dict[str, Any] = {
        "model": case.model,
        "stream": case.stream,
        "connections": case.connections,
    }
    warm = load(server, calls=WARM, **options)
    calls = max(WARM, int(factor * min(case.calls, RUN_SECONDS * warm["good"] / warm["seconds"])))
    ours, theirs = server.pid, postgres_pid(database_url)
    runs = []
    for _number in range(RUNS):
        before, before_database = cpu_seconds(ours), cpu_seconds(theirs)
        seen = load(server, calls=calls, **options)
        used, used_database = cpu_seconds(ours) - before, cpu_seconds(theirs) - before_database
        runs.append(Run(1000 * used / calls, 1000 * used_database / calls, seen))
    return sorted(runs, key=lambda run: run.server)


@contextmanager
def databases() -> Iterator[Callable[[str], str]]:
    """A function from "SQLite" or "PostgreSQL" to the URL of an empty database."""
    import psycopg

    url = os.environ.get("DATABASE_URL", "")

    def fresh(name: str) -> str:
        if name == "SQLite":
            return ""
        database = f"bench_{secrets.token_hex(4)}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return url.removesuffix(f"/{DATABASE}") + f"/{database}"

    yield fresh


def table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join(
        [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
    )


def bench_calls(names: list[str], factor: float, only: str) -> None:
    rows: list[tuple[str, ...]] = [
        (
            "call",
            "database",
            "CPU per call",
            "best run",
            "goal",
            "PostgreSQL's own CPU",
            "calls per second",
            "p50",
            "p99",
        )
    ]
    with fake_provider("--frames", "100") as provider, databases() as fresh:
        for name in names:
            url = fresh(name)
            with running(provider, url) as server:
                rows += [
                    row_of(case, name, measure(server, url, case, factor))
                    for case in CASES
                    if only in case.name
                ]
    say(table(rows))


def row_of(case: Case, database: str, runs: list[Run]) -> tuple[str, ...]:
    middle = runs[len(runs) // 2]
    return (
        case.name,
        database,
        f"{middle.server:.2f} ms",
        f"{runs[0].server:.2f} ms",
        f"{case.goal} ms",
        f"{statistics.median(run.database for run in runs):.2f} ms" if middle.database else "-",
        f"{middle.seen['good'] / middle.seen['seconds']:.0f}",
        f"{middle.seen['ms_p50']:.1f} ms",
        f"{middle.seen['ms_p99']:.1f} ms",
    )


def bench_streams(name: str) -> None:
    with (
        fake_provider("--frames", str(PIECES), "--delay", str(RHYTHM)) as provider,
        databases() as fresh,
        running(provider, fresh(name)) as server,
    ):
        before, began = cpu_seconds(server.pid), time.monotonic()
        seen = load(
            server,
            model=OWN,
            stream=True,
            connections=STREAMS,
            calls=STREAMS,
            late=RHYTHM,
            spread=5,
        )
        cpu = (cpu_seconds(server.pid) - before) / (time.monotonic() - began)
        memory = sum(peak_megabytes(pid) for pid in (server.pid, *children(server.pid)))
    rows = [
        (
            "streams at once",
            "pieces per second",
            "late p50",
            "late p99",
            "goal",
            "memory",
            "goal",
            "CPU of one core",
        ),
        (
            str(STREAMS),
            str(int(STREAMS / RHYTHM)),
            f"{seen['late_p50']:.0f} ms",
            f"{seen['late_p99']:.0f} ms",
            "100 ms",
            f"{memory:.0f} MB",
            "400 MB",
            f"{cpu:.0%}",
        ),
    ]
    say(table(rows))


def say(text: str) -> None:
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="fewer calls, for a first look")
    parser.add_argument(
        "--only", default="", help="a part of a row's name, “streams at once” or “decoding”"
    )
    parser.add_argument("--database", choices=("SQLite", "PostgreSQL"), help="only this one")
    options = parser.parse_args()
    if (
        not os.environ.get("DATABASE_URL", "").startswith("postgres")
        and options.database != "SQLite"
        and options.only != "decoding"
    ):
        # A PostgreSQL of our own, for as long as this takes.
        raise SystemExit(
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "tests.postgres",
                    sys.executable,
                    "-m",
                    "bench",
                    *sys.argv[1:],
                ],
                check=False,
            ).returncode
        )
    say(
        f"{os.cpu_count()} processors, load average of the last minute before this began: "
        f"{os.getloadavg()[0]:.1f}"
    )
    if options.only in ("", "decoding"):
        say(table(decoding.rows(0.25 if options.quick else 1.0)))
    if options.only == "decoding":
        return
    names = [options.database] if options.database else ["PostgreSQL", "SQLite"]
    if options.only != "streams at once":
        bench_calls(names, 0.25 if options.quick else 1.0, options.only)
    if options.only in ("", "streams at once"):
        bench_streams(names[0])


if __name__ == "__main__":
    main()
