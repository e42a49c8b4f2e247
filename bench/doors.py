"""`python -m bench.doors [--runs N]`: CPU of calls to /v1/messages and /v1/responses beside chats,
on SQLite.

A format is passed on to a provider that speaks it, or converted for one that does not. The cases
take turns, run after run, so that whatever else the machine does slows all of them down alike; of
each, the cheapest run counts.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any, Final

from bench.__main__ import KEY, OWN, cpu_seconds, fake_provider, load, running, say, table

CALLS, PIECES = 400, 100
QUESTION: Final = "What is the capital of France?"
CHAT: Final[dict[str, Any]] = {"path": "/chat/completions", "model": OWN}
MESSAGES: Final[dict[str, Any]] = {
    "path": "/messages",
    "body": {"max_tokens": 99, "messages": [{"role": "user", "content": QUESTION}]},
    "end": "message_stop",
}
RESPONSES: Final[dict[str, Any]] = {
    "path": "/responses",
    "body": {"input": QUESTION, "store": False},
    "end": "response.completed",
}


@dataclass(frozen=True)
class Case:
    """One format, and how much more than a chat a call and a stream may cost.

    Args:
        wanted: What the load generator sends.
        goals: For a whole answer, which has none if it is converted, and for a stream.
    """

    name: str
    wanted: dict[str, Any]
    goals: tuple[float | None, float | None]


PASSED, CONVERTED = (1.1, 1.1), (None, 2.0)
CASES: Final = (
    Case("chat", CHAT, (None, None)),
    Case("Messages, passed on", MESSAGES | {"model": "anthropic/claude-haiku-4-5"}, PASSED),
    Case("Messages, converted", MESSAGES | {"model": OWN}, CONVERTED),
    Case("Responses, passed on", RESPONSES | {"model": "openai_compatible/native"}, PASSED),
    Case("Responses, converted", RESPONSES | {"model": "openai_compatible/chat"}, CONVERTED),
)


def _seed(provider: str) -> dict[str, Any]:
    values = {"values": {"api_key": KEY}}
    return {
        "credentials": [
            {"provider": "openai", "name": "A", "base_url": provider, **values},
            {"provider": "anthropic", "name": "A", "base_url": provider, **values},
            {"provider": "openai_compatible", "name": "A", "base_url": f"{provider}/v1", **values},
        ],
        "models": [
            {"provider": "openai_compatible", "model": name, "type": "reasoning"} | address
            for name, address in (
                ("chat", {}),
                ("native", {"base_url": f"{provider}/native/v1"}),
            )
        ],
    }


def measured(runs: int) -> dict[tuple[str, bool], float]:
    """Return the milliseconds of each case's cheapest run, by its name and whether it streams."""
    best: dict[tuple[str, bool], float] = {}
    with fake_provider("--frames", str(PIECES)) as provider, running(provider, "") as server:
        server.python("-m", "tests.gateway.seed", server.workspace, json.dumps(_seed(provider)))
        for number in range(runs + 1):  # the first one warms up
            for case in CASES:
                for stream in (False, True):
                    before = cpu_seconds(server.pid)
                    load(server, stream=stream, connections=16, calls=CALLS, **case.wanted)
                    spent = 1000 * (cpu_seconds(server.pid) - before) / CALLS
                    if number:
                        key = case.name, stream
                        best[key] = min(spent, best.get(key, spent))
    return best


def rows(best: dict[tuple[str, bool], float]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [("call", "whole", "of a chat", "stream", "of a chat", "goal")]
    for case in CASES:
        cells = [case.name]
        for stream in (False, True):
            spent = best[case.name, stream]
            cells += [f"{spent:.2f} ms", f"{spent / best['chat', stream]:.2f}"]
        goals = [f"{goal}" for goal in dict.fromkeys(case.goals) if goal]
        found.append((*cells, goals[0] if goals else "-"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.doors")
    parser.add_argument("--runs", type=int, default=5)
    say(table(rows(measured(parser.parse_args().runs))))


if __name__ == "__main__":
    main()
