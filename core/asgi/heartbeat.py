"""Comments in a silent event stream, so that no proxy closes the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

COMMENT: Final = b": ping\n\n"


class Heartbeat:
    """Send a comment whenever a stream has been silent.

    Args:
        beat: Sends a comment, and whatever must come before the first one.
        first: Seconds of silence before the first comment.
        most: Most seconds of silence after it.

    Attributes:
        busy: Set by whoever sends something else.
    """

    __slots__ = ("_beat", "_loop", "_period", "_task", "_timer", "busy")

    def __init__(self, beat: Callable[[], Awaitable[None]], *, first: float, most: float) -> None:
        self._beat = beat
        self._loop = asyncio.get_running_loop()
        # A tick only sees whether anything was sent since the one before.
        self._period = most / 2
        self._task: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(first, self._tick)
        self.busy = False

    async def stop(self) -> None:
        """Send no more comments; wait for one that is being sent."""
        self._timer.cancel()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _tick(self) -> None:
        is_sending = self._task is not None and not self._task.done()
        if not self.busy and not is_sending:
            self._task = self._loop.create_task(self._send())
        self.busy = False
        self._timer = self._loop.call_later(self._period, self._tick)

    async def _send(self) -> None:
        await self._beat()
