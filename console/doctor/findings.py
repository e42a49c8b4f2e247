"""What the doctor found: each fact with its weight, in words, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact about an installation.

    Args:
        says: What is the case.
        do: What the operator should do; empty if nothing, or if `says` tells.
    """

    level: Level
    says: str
    do: str = ""


Look = Callable[[], Iterable[Finding]]


def ok(says: str) -> Finding:
    return Finding(Level.OK, says)


def warning(says: str, do: str = "") -> Finding:
    return Finding(Level.WARNING, says, do)


def fault(says: str, do: str = "") -> Finding:
    return Finding(Level.FAULT, says, do)
