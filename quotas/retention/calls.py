"""Archive calls that are too old to keep, then delete them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from core.db.exclusive import pruning
from quotas.retention import drop
from quotas.retention.due import Due, cutoff, due, rows_of
from quotas.usage import rollups
from tenants.archives import chain
from tenants.archives.files import Row
from tenants.models import Archive, Tenant

KIND: Final = "calls"
PAUSE: Final = 0.005  # seconds after each transaction


def prune_calls(*, now: datetime | None = None, pause: float = PAUSE) -> int | None:
    """Archive and delete the calls of months that are too old, and their holds.

    Safe while calls go on, and to run again after it was interrupted.

    Returns:
        How many calls were deleted; None if there is no limit.

    Raises:
        ArchiveError: An archive can't be written or read, or the ledger is not sound.
    """
    if cutoff(now) is None and not Tenant.objects.exclude(call_days=None).exists():
        return None
    with pruning():
        deleted = sum(_drop(archive, pause) for archive in chain.unfinished(KIND))
        while month := due(now):
            rollups.roll_up(now=now, pause=pause)
            archive = chain.add(KIND, _rows(month))
            count = _drop(archive, pause) if archive else 0
            deleted += count
            if not count:
                break  # late calls in the way, which the next run takes
        return deleted


def _rows(month: list[Due]) -> Iterator[Row]:
    for each in month:
        yield from rows_of(each)


def _drop(archive: Archive, pause: float) -> int:
    deleted = drop.drop(chain.rows_of(archive), pause=pause)
    chain.mark_dropped(archive)
    return deleted
