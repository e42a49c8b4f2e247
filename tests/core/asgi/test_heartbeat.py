"""Comments are sent after silence, and only then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from core.asgi.heartbeat import Heartbeat

pytestmark = pytest.mark.one_database


def beats(scene: Callable[[Heartbeat], Awaitable[None]]) -> list[float]:
    """Return when a heartbeat beat during a scene, in seconds from its start."""
    times: list[float] = []

    async def main() -> None:
        began = time.monotonic()

        async def beat() -> None:
            times.append(time.monotonic() - began)

        heartbeat = Heartbeat(beat, first=0.2, most=0.1)
        await scene(heartbeat)
        await heartbeat.stop()
        count = len(times)
        await asyncio.sleep(0.15)
        assert len(times) == count, "a comment after the end"

    asyncio.run(main())
    return times


def test_silence_is_filled() -> None:
    async def silent(_heartbeat: Heartbeat) -> None:
        await asyncio.sleep(0.5)

    times = beats(silent)
    assert times[0] >= 0.19
    assert len(times) >= 3


def test_a_short_call_gets_none() -> None:
    async def short(_heartbeat: Heartbeat) -> None:
        await asyncio.sleep(0.01)

    assert beats(short) == []


def test_a_busy_stream_gets_none() -> None:
    async def busy(heartbeat: Heartbeat) -> None:
        for _number in range(40):
            heartbeat.busy = True
            await asyncio.sleep(0.01)

    assert beats(busy) == []
