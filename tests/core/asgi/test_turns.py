"""Whoever has much to do takes turns with the rest of the event loop."""

from __future__ import annotations

import asyncio
import time

import pytest

from core.asgi.turns import REST, Turns

pytestmark = pytest.mark.one_database


def busy(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def test_long_work_rests_in_proportion() -> None:
    turns = Turns()

    async def work() -> None:
        busy(0.01)

    async def main() -> float:
        began = time.perf_counter()
        for _number in range(3):
            await turns.run(work)
        return time.perf_counter() - began

    assert asyncio.run(main()) >= 3 * 0.01 + 2 * REST * 0.01


def test_quick_work_lets_others_go_first_but_does_not_wait() -> None:
    order: list[str] = []
    turns = Turns()

    async def work() -> None:
        order.append("work")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        for _number in range(3):
            loop.call_soon(order.append, "other")
            await turns.run(work)
        return time.perf_counter() - began

    assert asyncio.run(main()) < 0.1
    assert order == ["other", "work"] * 3


def test_what_goes_wrong_ends_its_turn() -> None:
    turns = Turns()

    async def fail() -> None:
        raise ValueError("no")

    async def main() -> None:
        for _number in range(2):
            with pytest.raises(ValueError, match="no"):
                await turns.run(fail)

    asyncio.run(main())
