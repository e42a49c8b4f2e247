"""`python -m bench.odd_calls`: a few calls a second to the server of odd answers, in a process of
their own, so that their client keeps no other waiting.

Reads a line of JSON, {"url", "key", "each", "seconds"}; prints one, the number of calls by
their answer and their ending. each: calls a second.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Any

import aiohttp

from bench.odd_server import ANSWERS

LEAVES = 20.0  # seconds after which a client leaves


async def call(session: aiohttp.ClientSession, url: str, outcomes: Counter[str]) -> None:
    """Make a call and count how it ended; the answer itself is not kept."""
    number = random.randrange(len(ANSWERS))
    body = {
        "model": f"openai_compatible/odd-{number}",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": random.random() < 0.7,
    }
    ending = "left"
    try:
        async with session.post(url, json=body) as answer:
            async for _piece in answer.content.iter_any():
                pass
            ending = str(answer.status)
    except (TimeoutError, aiohttp.ClientError):
        pass
    outcomes[f"{list(ANSWERS)[number]}: {ending}"] += 1


async def run(wanted: dict[str, Any]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    headers = {"Authorization": f"Bearer {wanted['key']}"}
    async with aiohttp.ClientSession(
        headers=headers,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=LEAVES),
    ) as session:
        began, calls = time.monotonic(), []
        while time.monotonic() - began < wanted["seconds"]:
            calls.append(asyncio.create_task(call(session, wanted["url"], outcomes)))
            await asyncio.sleep(max(0.0, began + len(calls) / wanted["each"] - time.monotonic()))
        await asyncio.gather(*calls)
    return outcomes


if __name__ == "__main__":
    outcomes = asyncio.run(run(json.loads(sys.stdin.readline())))
    sys.stdout.write(json.dumps(outcomes))
