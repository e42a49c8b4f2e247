"""What came of each run, and the table of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS = 240  # for one program; agents take about ten on two cores


@dataclass(frozen=True)
class Result:
    """What a program did with a model. output: what it printed, where that was not it."""

    client: str
    version: str
    model: str
    step: str
    passed: bool
    output: str = ""

    def __str__(self) -> str:
        line = f"{self.client} {self.version}, {self.model}: {self.step}"
        return f"ok     {line}" if self.passed else f"FAILED {line}\n{self.output[-2000:]}\n"


def run(command: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> str:
    """Return what a program printed, stdout and stderr together."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return (error.output or b"").decode(errors="replace") + f"\n(ended after {SECONDS} s)"
    return done.stdout.decode(errors="replace")


def table(results: Iterable[Result]) -> str:
    """Return a Markdown table: a row for each client and model, with the steps that passed."""
    rows: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        rows.setdefault((result.client, result.version, result.model), []).append(result)
    lines = ["| client | version | model | passed | failed |", "|---|---|---|---|---|"]
    for (client, version, model), row in rows.items():
        passed = ", ".join(result.step for result in row if result.passed)
        failed = ", ".join(result.step for result in row if not result.passed)
        lines.append(f"| {client} | {version} | {model} | {passed or '-'} | {failed or '-'} |")
    return "\n".join(lines)
