"""`python -m tests.clients [names...] [--models openai demo ...]`: run real programs against the
product, and print a table of what they did.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.clients import agents, frameworks
from tests.clients.hub import MODELS, Hub, running_hub
from tests.clients.results import Result, table


def _results(hub: Hub, options: argparse.Namespace, folder: Path) -> Iterator[Result]:
    def wanted(name: str) -> bool:
        return not options.names or name.lower() in map(str.lower, options.names)

    for agent in filter(lambda agent: wanted(agent.name), agents.AGENTS):
        for vendor in options.models:
            yield from agents.results(agent, hub, MODELS[vendor], folder)
    for framework in filter(lambda framework: wanted(framework.name), frameworks.FRAMEWORKS):
        yield from frameworks.results(framework, hub, options.models, folder)


def main(options: argparse.Namespace) -> int:
    results = []
    with running_hub() as hub, tempfile.TemporaryDirectory(prefix="modelkeep-clients-") as folder:
        for result in _results(hub, options, Path(folder)):
            results.append(result)
            sys.stdout.write(f"{result}\n")
            sys.stdout.flush()
        refused = sorted(set(hub.fake.refused))
    sys.stdout.write(f"\n{table(results)}\n")
    for refusal in refused:
        sys.stdout.write(f"refused by a vendor's rules: {refusal[:300]}\n")
    return int(bool(refused) or not all(result.passed for result in results))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run real programs against the product.")
    parser.add_argument("names", nargs="*", help="clients; all by default")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    sys.exit(main(parser.parse_args()))
