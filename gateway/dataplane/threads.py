"""Run Django's synchronous code from the data plane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from django.db import Error as DatabaseProblem
from django.db import close_old_connections

from gateway.dataplane.errors import DatabaseUnavailable

R = TypeVar("R")


async def in_thread(work: Callable[[], R]) -> R:
    """Run blocking Django code in a thread.

    Raises:
        DatabaseUnavailable: The database is unavailable. Other exceptions pass through.
    """
    try:
        return await asyncio.to_thread(_with_connection, work)
    except DatabaseProblem as problem:
        raise DatabaseUnavailable(str(problem)) from problem


def _with_connection(work: Callable[[], R]) -> R:
    """Drop broken per-thread connections before and after the work, as Django requests do."""
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()
