"""`python -m bench.compare [CHECKOUT ...]`: CPU per call of this checkout beside that of others,
such as a worktree of an earlier commit.

A server of each checkout runs all the time, and they are called by turns, in short rounds: whatever
else the machine does meets all of them alike. A round's CPU is read from the kernel's clock of each
process, so a few hundred calls suffice. The table shows the best round and the median of each, and
how this checkout compares with the last one: its best round with the other's, its median, and the
median of what each round is beside the other's neighbouring one, which chance moves least.
Processes of one checkout may differ by 2 % by chance (the places of their code and data in memory);
`--starts` starts the servers several times.

`--decoding` compares decoders instead, without sockets (bench/decoding.py).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.__main__ import CASES, PIECES, WARM, Case, children, databases, fake_provider, say, table
from tests.command_server import REPOSITORY

SCRIPT = Path(__file__).with_name("checkout.py")
Spent = dict[tuple[str, Path], list[float]]  # (case, checkout) -> milliseconds of each round


@dataclass(frozen=True)
class Served:
    """A running server of a checkout."""

    checkout: Path
    pid: int
    port: int
    app_key: str

    def spent(self) -> float:
        """Return the seconds of CPU that its processes have used."""
        return sum(map(process_clock, (self.pid, *children(self.pid))))


def process_clock(pid: int) -> float:
    """Return the CPU seconds of another process, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)


@contextmanager
def serving(checkout: Path, provider: str, database_url: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "serve", provider, database_url],
        cwd=checkout,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Served(checkout, **json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def load(server: Served, case: Case, calls: int) -> None:
    """Make calls. Raises SystemExit if one fails."""
    wanted = {
        "port": server.port,
        "key": server.app_key,
        "model": case.model,
        "stream": case.stream,
        "connections": case.connections,
        "calls": calls,
    }
    command = [sys.executable, "-m", "bench.client", json.dumps(wanted)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    if json.loads(done.stdout)["bad"]:
        raise SystemExit(f"calls of {server.checkout} failed: {done.stdout}")


def round_of(server: Served, case: Case, calls: int) -> float:
    """Return the milliseconds of CPU per call."""
    before = server.spent()
    load(server, case, calls)
    return 1000 * (server.spent() - before) / calls


def compare_calls(checkouts: Sequence[Path], options: argparse.Namespace) -> Spent:
    spent: Spent = defaultdict(list)
    cases = [case for case in CASES if options.only in case.name]
    with fake_provider("--frames", str(PIECES)) as provider, databases() as fresh:
        for _start in range(options.starts):
            with ExitStack() as stack:
                servers = [
                    stack.enter_context(serving(path, provider, fresh(options.database)))
                    for path in checkouts
                ]
                for case in cases:
                    _rounds(servers, case, options, spent)
    return spent


def _rounds(
    servers: Sequence[Served], case: Case, options: argparse.Namespace, spent: Spent
) -> None:
    for server in servers:
        load(server, case, WARM)
    for number in range(options.rounds):
        # Every other round backwards: the first one of a pair may find the caches colder.
        for server in servers[:: 1 if number % 2 else -1]:
            spent[case.name, server.checkout].append(round_of(server, case, options.calls))


def compare_decoding(checkouts: Sequence[Path], options: argparse.Namespace) -> Spent:
    spent: Spent = defaultdict(list)
    for _round in range(options.starts):
        for checkout in checkouts:
            done = subprocess.run(
                [sys.executable, str(SCRIPT), "decode", str(options.rounds)],
                cwd=checkout,
                capture_output=True,
                text=True,
                check=True,
            )
            for name, times in json.loads(done.stdout).items():
                if options.only in name:
                    spent[name, checkout] += times
    return spent


def result(spent: Mapping[tuple[str, Path], Sequence[float]], checkouts: Sequence[Path]) -> str:
    """Return a table, in which × is a multiple of the last checkout's."""
    names = [f"{path.name}: best, median" for path in checkouts]
    rows = [("CPU, ms", *names, "best", "median", "in pairs")]
    for name in dict.fromkeys(name for name, _checkout in spent):
        figures = [
            (min(times), statistics.median(times))
            for times in (spent[name, path] for path in checkouts)
        ]
        ratios = [now / then for now, then in zip(figures[0], figures[-1], strict=True)]
        pairs = zip(spent[name, checkouts[0]], spent[name, checkouts[-1]], strict=True)
        ratios.append(statistics.median(now / then for now, then in pairs))
        rows.append(
            (
                name,
                *(f"{best:.3f}, {median:.3f}" for best, median in figures),
                *(f"×{ratio:.3f}" for ratio in ratios),
            )
        )
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.compare")
    parser.add_argument("checkouts", nargs="*", type=Path, help="the last one is compared with")
    parser.add_argument("--decoding", action="store_true", help="decoders instead of calls")
    parser.add_argument("--only", default="", help="a part of a row's name")
    parser.add_argument("--database", choices=("SQLite", "PostgreSQL"), default="SQLite")
    parser.add_argument("--calls", type=int, default=400, help="per round")
    parser.add_argument("--rounds", type=int, default=12, help="of each checkout and start")
    parser.add_argument("--starts", type=int, default=1)
    options = parser.parse_args()
    checkouts = [REPOSITORY, *(path.resolve() for path in options.checkouts)]
    compare: Callable[..., Any] = compare_decoding if options.decoding else compare_calls
    say(result(compare(checkouts, options), checkouts))


if __name__ == "__main__":
    main()
