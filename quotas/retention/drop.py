"""Delete archived calls and their holds, so that usage and credits still add up.

Why sums stay exact while calls go on:

* Only rows that stand in an unchanged archive are deleted, by their ids. A run that dies is
  continued from the archive.
* One transaction deletes whole hours of one workspace and moves RolledUntil.pruned beyond them,
  while no roll-up can work on the workspace. These hours are rolled up and not stale, and all
  their records go: from then on, usage is read from their rollups alone, and credits from
  SealedCredits.
* So a record before `pruned` came later than that. No rollup has it until it is archived and
  deleted in its turn, and the same transaction adds it to its hour.
* If a record came between archiving and deleting, its workspace's hours from there on wait for
  the next archive.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from core.db.connection import dialect, execute, values
from core.db.dialect import read_time
from core.times import HOUR, floor_hour, floor_month
from quotas.usage import rollups
from tenants.archives.files import ArchiveError, Row

logger = logging.getLogger(__name__)
BATCH: Final = 1_000  # rows of a transaction, more if one hour has more


@dataclass(frozen=True, slots=True)
class Call:
    """What deleting an archived call needs to know of it."""

    id: UUID
    tenant_id: UUID
    time: datetime
    hold_id: UUID | None

    @property
    def hour(self) -> datetime:
        return floor_hour(self.time)


def drop(rows: Iterable[Row], *, pause: float = 0.0) -> int:
    """Delete the calls of an archive that are still in the database.

    Args:
        rows: Of the archive, each workspace's in the order of their times.
        pause: Seconds after each transaction, so that a server goes on answering.

    Returns:
        How many were deleted.

    Raises:
        ArchiveError: The ledger is not sound; nothing more is deleted.
    """
    deleted = 0
    for _tenant, calls in groupby(map(_call, rows), key=attrgetter("tenant_id")):
        for hours in _batches(calls):
            count = _drop_hours(hours)
            if count is None:
                break  # the rest of this workspace waits; groupby skips it
            deleted += count
            time.sleep(pause)
    return deleted


def _call(row: Row) -> Call:
    hold_id = row["hold_id"]
    return Call(
        UUID(row["id"]),
        UUID(row["tenant_id"]),
        read_time(row["time"]),
        UUID(hold_id) if hold_id else None,
    )


def _batches(calls: Iterable[Call]) -> Iterator[list[Call]]:
    """Join whole hours to lists of about BATCH."""
    batch: list[Call] = []
    for _hour, of_hour in groupby(calls, key=attrgetter("hour")):
        batch += of_hour
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _drop_hours(calls: Sequence[Call]) -> int | None:
    """Delete the calls of whole hours; None if they have to wait for the next archive."""
    tenant_id, end = calls[0].tenant_id, calls[-1].hour + HOUR
    with transaction.atomic():
        until, pruned = rollups.lock_for_pruning(tenant_id)
        late = [call for call in calls if call.time < pruned]
        rest = calls[len(late) :]
        deleted = _drop_late(tenant_id, late) if late else 0
        if not rest:
            return deleted
        if until < end or not _is_complete(tenant_id, pruned, end, len(rest)):
            logger.warning("Calls of workspace %s came late: they wait for the next run", tenant_id)
            return deleted or None
        rollups.set_pruned(tenant_id, end)
        return deleted + _delete(tenant_id, rest)


def _is_complete(tenant_id: UUID, first: datetime, end: datetime, count: int) -> bool:
    """Return whether the hours hold these calls only, and all of them are in rollups."""
    sql = """
        SELECT (SELECT COUNT(*) FROM quotas_callrecord
                WHERE tenant_id = %s AND time >= %s AND time < %s),
               (SELECT COUNT(*) FROM quotas_stalehour
                WHERE tenant_id = %s AND start >= %s AND start < %s)"""
    return execute(sql, values([tenant_id, first, end] * 2)) == [(count, 0)]


def _drop_late(tenant_id: UUID, calls: Sequence[Call]) -> int:
    """Delete calls that came after their hours were pruned, and add them to these hours."""
    sql = f"SELECT id FROM quotas_callrecord WHERE id {_among()}"  # noqa: S608
    left = {UUID(str(pk)) for (pk,) in execute(sql, [_ids(call.id for call in calls)])}
    present = [call for call in calls if call.id in left]
    for hour, of_hour in groupby(present, key=attrgetter("hour")):
        rollups.add_late(tenant_id, hour, [call.id for call in of_hour])
    return _delete(tenant_id, present)


def _delete(tenant_id: UUID, calls: Sequence[Call]) -> int:
    """Delete calls and their holds, and seal what these used."""
    ids = _ids(call.id for call in calls)
    hold_ids = [call.hold_id for call in calls if call.hold_id]
    if hold_ids:
        _seal(tenant_id, floor_month(calls[0].time), ids)
    execute(f"DELETE FROM quotas_costcorrection WHERE call_id {_among()}", [ids])  # noqa: S608
    rows = execute(f"DELETE FROM quotas_callrecord WHERE id {_among()} RETURNING id", [ids])  # noqa: S608
    if hold_ids:
        execute(f"DELETE FROM quotas_hold WHERE id {_among()}", [_ids(hold_ids)])  # noqa: S608
    return len(rows)


def _seal(tenant_id: UUID, month: datetime, ids: Any) -> None:
    """Add what calls used to the sealed credits of their pools.

    Raises:
        ArchiveError: A call and its hold differ, which the audit of credits must go on seeing.
    """
    pools = execute(
        "SELECT hold.pool_id, COUNT(*), SUM(hold.used), SUM(CASE WHEN record.credits = hold.used "  # noqa: S608
        "AND record.tenant_id = hold.tenant_id AND hold.state <> 'held' THEN 0 ELSE 1 END) "
        "FROM quotas_callrecord AS record JOIN quotas_hold AS hold ON hold.id = record.hold_id "
        f"WHERE record.id {_among()} GROUP BY hold.pool_id ORDER BY hold.pool_id",
        [ids],
    )
    for pool_id, calls, used, odd in pools:
        if odd:
            raise ArchiveError(
                f"{odd} call records of workspace {tenant_id} do not match their holds, so nothing "
                "of it is deleted. Run audit_credits."
            )
        execute(
            "INSERT INTO quotas_sealedcredits AS sealed (tenant_id, pool_id, month, calls, "
            "credits) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (tenant_id, pool_id, month) "
            "DO UPDATE SET calls = sealed.calls + excluded.calls, "
            "credits = sealed.credits + excluded.credits",
            values([tenant_id, pool_id, month.date(), calls, int(used)]),
        )


def _among() -> str:
    return dialect().among.format(p="%s")


def _ids(ids: Iterable[UUID]) -> str:
    return dialect().uuids(ids)
