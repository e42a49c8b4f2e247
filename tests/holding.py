"""How long a piece of work keeps other threads, or the event loop, waiting."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any


def longest_hold(work: Callable[[], Any], *expected: type[Exception]) -> float:
    """Return the longest time for which a thread kept others waiting, in seconds of its processor
    time, which a busy machine doesn't lengthen.

    Args:
        expected: What the work may raise.
    """
    begin, ended = threading.Event(), threading.Event()

    def run() -> None:
        begin.wait()
        try:
            with suppress(*expected):
                work()
        finally:
            ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    clock = time.pthread_getcpuclockid(thread.ident or 0)
    begin.set()
    longest = last = 0.0
    while not ended.is_set():
        with suppress(OSError):  # it has just ended
            now = time.clock_gettime(clock)
            longest, last = max(longest, now - last), now
        time.sleep(0.0005)
    thread.join()
    return longest


async def longest_turn(work: Awaitable[Any]) -> float:
    """Return the most processor time that the event loop's thread took from one turn of the loop
    to the next while `work` was under way, in seconds.
    """
    loop = asyncio.get_running_loop()
    longest, last = 0.0, time.thread_time()

    def turn() -> None:
        nonlocal longest, last, again
        now = time.thread_time()
        longest, last = max(longest, now - last), now
        again = loop.call_soon(turn)

    again = loop.call_soon(turn)
    try:
        await work
    finally:
        again.cancel()
    return longest
