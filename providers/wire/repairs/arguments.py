"""The arguments of a tool's call as far as they were streamed. Pure."""

from __future__ import annotations

from typing import Final

import orjson

MOST_CHECKS: Final = 64  # or else many short pieces would take quadratic time


class Arguments:
    """Collects the pieces of one call's arguments, which are false while there are none."""

    __slots__ = ("_checks", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._checks = MOST_CHECKS

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def append(self, piece: str) -> None:
        self._pieces.append(piece)

    def are_complete(self) -> bool:
        """Tell whether they are an object, so that nothing can follow."""
        if not self._checks or not self._pieces or not self._pieces[-1].rstrip().endswith("}"):
            return False
        self._checks -= 1
        try:
            orjson.loads("".join(self._pieces))
        except orjson.JSONDecodeError:
            return False
        return True
