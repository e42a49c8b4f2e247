"""Turns on the event loop for whoever has much to do, so that others are served in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

R = TypeVar("R")

REST: Final = 3.0  # seconds of rest for each second of work: a quarter of the loop at most
SHORTEST_REST: Final = 0.002  # seconds; timers are no finer


class Turns:
    """Run pieces of work one after the other, with rests in between.

    Pieces that are quick never rest, however many they are: they only let others go first.
    """

    __slots__ = ("_due", "_lock")

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._due = 0.0  # when the rest so far is over

    async def run(self, work: Callable[[], Awaitable[R]]) -> R:
        async with self._lock:
            wait = self._due - time.perf_counter()
            await asyncio.sleep(wait if wait > SHORTEST_REST else 0)
            began = time.perf_counter()
            try:
                return await work()
            finally:
                ended = time.perf_counter()
                self._due = max(self._due, began) + (1 + REST) * (ended - began)
