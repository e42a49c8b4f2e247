"""Delete what is older than the settings say."""

from __future__ import annotations

from typing import Any

from tenants.management.base import ServiceCommand
from tenants.services.retention import prune


class Command(ServiceCommand):
    help = (
        "Delete audit entries, and sessions and invitations after they expired, that are older "
        "than MODELKEEP_KEEP_AUDIT_DAYS, MODELKEEP_KEEP_SESSION_DAYS and "
        "MODELKEEP_KEEP_INVITATION_DAYS. The server does this itself, a few thousand at a time; "
        "the command does everything at once."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        deleted = prune(most_batches=None)
        lines = [f"{name}: {count} deleted" for name, count in deleted.items()]
        self.answer(options, deleted, lines or ["No limit is set; everything is kept."])
