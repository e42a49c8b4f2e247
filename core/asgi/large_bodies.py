"""Work on large bodies in threads, so that the event loop serves other requests meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

R = TypeVar("R")

LARGE: Final = 128 * 1024  # bytes; less takes a few milliseconds at most
THREADS: Final = 2
# How long the event loop waits for such a thread, each time it has read from the database or a
# socket. By default it is ten times as long, but then two busy threads rarely interrupt each other,
# so it is shorter only while there is such work.
SWITCH_SECONDS: Final = 0.0005
_USUAL_SECONDS: Final = sys.getswitchinterval()
_turns: WeakValueDictionary[Any, asyncio.Lock] = WeakValueDictionary()
_at_work: set[asyncio.Future[Any]] = set()


async def run(size: int, work: Callable[[], R], *, owner: object) -> R:
    """Return what `work` returns; if the body is large, call it in a thread.

    Args:
        size: Bytes of the body that `work` reads or writes.
        owner: Whose body it is. Each owner has one thread at a time, so that no one takes all.
    """
    if size <= LARGE:
        return work()
    loop = asyncio.get_running_loop()
    key = (id(loop), owner)
    turn = _turns.get(key)
    if turn is None:
        turn = _turns[key] = asyncio.Lock()
    await turn.acquire()
    context = contextvars.copy_context()
    future = loop.run_in_executor(_threads(), context.run, work)
    _at_work.add(future)
    sys.setswitchinterval(SWITCH_SECONDS)

    def end(ended: asyncio.Future[R]) -> None:
        turn.release()
        _at_work.discard(ended)
        if not _at_work:
            sys.setswitchinterval(_USUAL_SECONDS)
        if not ended.cancelled():
            ended.exception()  # looked at, also if the caller has left

    future.add_done_callback(end)
    # If the caller leaves, the thread still works for it, and keeps its turn until it has ended.
    try:
        return await asyncio.shield(future)
    finally:
        del future  # what it raises refers to this frame, which refers to the body


def return_memory() -> None:
    """Give the memory that large bodies have left back to the system.

    They arrive in thousands of pieces and leave as many holes between what is in use. glibc keeps
    those for the process. This takes ten milliseconds if there is much to return, and 0.2 if not.
    """
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    """Return glibc's function, or one that does nothing where the C library has none."""
    trim: Callable[[int], object] = getattr(ctypes.CDLL(None), "malloc_trim", lambda _keep: None)
    return trim


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="large-body")
