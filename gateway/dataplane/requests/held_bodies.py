"""Bounds on the long bodies that one process holds at a time, for one caller and for all."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from django.conf import settings

from gateway.dataplane.errors import Refusal

MIB: Final = 1024 * 1024
COUNTED: Final = 64 * 1024  # bytes; shorter bodies are not counted
CALLERS_SHARE: Final = 3 / 8  # of what a process holds; by default, three of the longest bodies
RETRY_AFTER: Final = 1.0  # seconds


class HeldBodies:
    """The bytes of all long bodies of this process.

    A call keeps its body until it ends, as it was read and as it is sent, which takes two to three
    times as much memory.

    Args:
        most: Most bytes in all; one app key or person may have CALLERS_SHARE of them.
    """

    def __init__(self, most: int) -> None:
        self._per_caller = int(CALLERS_SHARE * most)
        self._per_process = most
        self._total = 0
        self._of: dict[Hashable, int] = {}

    def add(self, caller: Hashable, size: int) -> None:
        """Count bytes that have arrived.

        Raises:
            Refusal: The caller (429) or the process (503) holds too many already.
        """
        of_caller = self._of.get(caller, 0) + size
        if of_caller > self._per_caller:
            raise Refusal(
                "too_many_bodies",
                "This app key has too many large requests under way: more than "
                f"{self._per_caller // MIB} MiB in all. Send the request again when one has "
                "ended.",
                retry_after=RETRY_AFTER,
            )
        if self._total + size > self._per_process:
            raise Refusal(
                "server_busy",
                "The server has too many large requests under way. Send the request again shortly.",
                retry_after=RETRY_AFTER,
            )
        self._total += size
        self._of[caller] = of_caller

    def remove(self, caller: Hashable, size: int) -> None:
        """Forget bytes that are no longer held."""
        self._total -= size
        left = self._of.pop(caller) - size
        if left:
            self._of[caller] = left


class HeldBody:
    """What one request holds."""

    __slots__ = ("_all", "_caller", "_size")

    def __init__(self, bodies: HeldBodies, caller: Hashable) -> None:
        self._all = bodies
        self._caller = caller
        self._size = 0

    def grow(self, size: int) -> None:
        """Count the body's bytes so far. Raises Refusal."""
        if size > COUNTED:
            self._all.add(self._caller, size - self._size)
            self._size = size

    def release(self) -> None:
        if self._size:
            self._all.remove(self._caller, self._size)
            self._size = 0


held_bodies = HeldBodies(settings.MODELKEEP_BODY_MEMORY * MIB)
