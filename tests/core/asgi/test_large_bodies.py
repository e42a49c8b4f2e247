"""Large bodies are worked on in threads, one at a time for each owner."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from core.asgi.large_bodies import LARGE, return_memory, run

pytestmark = pytest.mark.one_database

SIZE = LARGE + 1


def name() -> str:
    time.sleep(0.02)
    return threading.current_thread().name


def test_only_large_bodies_go_to_a_thread() -> None:
    async def main() -> tuple[str, str]:
        return await run(LARGE, name, owner=1), await run(SIZE, name, owner=1)

    here, there = asyncio.run(main())
    assert here == threading.current_thread().name
    assert there.startswith("large-body")


def test_each_owner_has_one_thread_at_a_time() -> None:
    working: set[Any] = set()
    together: set[frozenset[Any]] = set()

    def work(owner: str) -> None:
        assert owner not in working
        working.add(owner)
        time.sleep(0.05)
        together.add(frozenset(working))
        working.discard(owner)

    async def main() -> None:
        owners = ["greedy"] * 4 + ["other"]
        await asyncio.gather(*(run(SIZE, lambda o=o: work(o), owner=o) for o in owners))  # type: ignore[misc]  # the loop's variable is bound

    asyncio.run(main())
    assert frozenset({"greedy", "other"}) in together


def test_what_goes_wrong_is_raised() -> None:
    def fail() -> None:
        raise ValueError("no")

    async def main() -> str:
        with pytest.raises(ValueError, match="no"):
            await run(SIZE, fail, owner=1)
        return await run(SIZE, name, owner=1)

    assert asyncio.run(main())


def test_who_leaves_keeps_his_turn_until_his_work_has_ended() -> None:
    ended: list[str] = []

    def slow() -> None:
        time.sleep(0.1)
        ended.append("slow")

    async def main() -> None:
        leaving = asyncio.create_task(run(SIZE, slow, owner=1))
        await asyncio.sleep(0.02)
        leaving.cancel()
        await run(SIZE, lambda: ended.append("next"), owner=1)

    asyncio.run(main())
    assert ended == ["slow", "next"]


def resident() -> int:
    """Return the bytes of memory that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
def test_holes_between_what_is_in_use_are_returned() -> None:
    pieces = [b"a" * size for size in range(64 * 1024, 65 * 1024)]
    kept = pieces[::10]
    del pieces
    before = resident()
    return_memory()
    assert resident() < before - 30 * 1024 * 1024
    assert len(kept) == 103
