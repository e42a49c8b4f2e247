"""Delete what is older than the operator wants to keep and proves nothing; by default everything
is kept. What proves something is archived first: tenants/archives and quotas/retention.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from django.conf import settings

from core.db.connection import execute, now, values

BATCH: Final = 1000  # rows, so that no statement holds locks for long
MOST_BATCHES: Final = 20  # of a kind and run of the server; a long backlog takes several


class Kind(NamedTuple):
    """Rows that may be deleted: their table, its key, the column that ages, and the setting."""

    table: str
    key: str
    column: str
    setting: str


KINDS: Final[Mapping[str, Kind]] = {
    "sessions": Kind("django_session", "session_key", "expire_date", "MODELKEEP_KEEP_SESSION_DAYS"),
    "invitations": Kind("tenants_invitation", "id", "expires", "MODELKEEP_KEEP_INVITATION_DAYS"),
    # for the daily limit of e-mails, which deletes only those of who invites again
    "sent": Kind("tenants_sentinvitation", "id", "time", "MODELKEEP_KEEP_INVITATION_DAYS"),
}


def prune(*, most_batches: int | None = MOST_BATCHES) -> dict[str, int]:
    """Delete rows that are older than their setting, oldest or not; safe to run concurrently.

    Args:
        most_batches: Per kind; None deletes all.

    Returns:
        The number of deleted rows by kind, of the kinds that have a limit.
    """
    return {
        name: _prune(kind, days, most_batches)
        for name, kind in KINDS.items()
        if (days := getattr(settings, kind.setting))
    }


def _prune(kind: Kind, days: int, most_batches: int | None) -> int:
    [before] = values([now() - timedelta(days=days)])
    sql = (
        f"DELETE FROM {kind.table} WHERE {kind.key} IN (SELECT {kind.key} FROM {kind.table} "  # noqa: S608
        f"WHERE {kind.column} < %s LIMIT {BATCH}) RETURNING 1"
    )
    deleted = batches = 0
    while most_batches is None or batches < most_batches:
        count = len(execute(sql, [before]))
        deleted, batches = deleted + count, batches + 1
        if count < BATCH:
            break
    return deleted
