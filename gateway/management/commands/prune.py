"""Archive and delete what is older than the settings say."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from quotas.retention.calls import prune_calls
from tenants.archives import chain
from tenants.archives.files import ArchiveError
from tenants.archives.logs import prune_logs
from tenants.management.base import ServiceCommand
from tenants.services.retention import prune


class Command(ServiceCommand):
    help = (
        "Archive, then delete: calls with their holds that are older than "
        "MODELKEEP_KEEP_CALL_DAYS, and logs older than MODELKEEP_KEEP_AUDIT_DAYS, by whole months. "
        "Delete sessions "
        "and invitations that expired before MODELKEEP_KEEP_SESSION_DAYS and "
        "MODELKEEP_KEEP_INVITATION_DAYS. Run it daily, on one machine, while the server runs; "
        "what is interrupted is continued. verify_archives checks the archives."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        deleted = prune(most_batches=None)
        try:
            deleted |= prune_logs()
            if (calls := prune_calls()) is not None:
                deleted["calls"] = calls
        except ArchiveError as error:
            raise CommandError(str(error)) from None
        lines = [f"{name}: {count:,} deleted" for name, count in deleted.items()]
        lines += [f"Archives are in {chain.folder()}."] if {"calls", "audit"} & set(deleted) else []
        self.answer(options, deleted, lines or ["No limit is set; everything is kept."])
