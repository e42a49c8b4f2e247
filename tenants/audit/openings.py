"""Count how often sealed texts are opened, by day and purpose; part of the audit trail."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Final
from uuid import UUID

from django.utils import timezone

from core.db.connection import execute, values

COLLECTED: Final = "call"  # the purpose whose openings a server collects
MOST: Final = 100_000  # subjects that wait; more are written at once
_ROWS: Final = 1_000  # of one statement
Opening = tuple[UUID, date, str, str]  # tenant, day, purpose, subject

_collecting = False
_waiting: Counter[Opening] = Counter()
_lock = threading.Lock()


def collect(*, on: bool) -> None:
    """Let openings for calls wait for `write`, or write each at once.

    A server writes them about once a second; if it is killed, it loses those of that second.
    """
    global _collecting
    _collecting = on


def count(*, tenant_id: UUID, purpose: str, subject: str) -> None:
    """Count an opening."""
    opening = (tenant_id, timezone.now().date(), purpose, subject)
    with _lock:
        if waits := _collecting and purpose == COLLECTED and len(_waiting) < MOST:
            _waiting[opening] += 1
    if not waits:
        _add({opening: 1})


def is_waiting() -> bool:
    """Return whether there is anything to write."""
    return bool(_waiting)


def write() -> None:
    """Write what waits. If the database refuses, it goes on waiting."""
    with _lock:
        openings = Counter(_waiting)
        _waiting.clear()
    # In one order in all processes, so that none waits for the other.
    rest = sorted(openings)
    try:
        while rest:
            _add({opening: openings[opening] for opening in rest[:_ROWS]})
            del rest[:_ROWS]
    finally:
        with _lock:
            _waiting.update({opening: openings[opening] for opening in rest})


def _add(openings: Mapping[Opening, int]) -> None:
    if not openings:
        return
    marks = ", ".join(["(%s, %s, %s, %s, %s)"] * len(openings))
    rows = [value for opening, number in openings.items() for value in (*opening, number)]
    execute(
        "INSERT INTO tenants_keyopening AS known (tenant_id, day, purpose, subject, count) "  # noqa: S608
        f"VALUES {marks} ON CONFLICT (tenant_id, day, purpose, subject) "
        "DO UPDATE SET count = known.count + excluded.count",
        values(rows),
    )
