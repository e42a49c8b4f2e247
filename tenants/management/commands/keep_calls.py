"""Keep a workspace's calls for a shorter time than those of others."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tenants.audit.trail import COMMAND
from tenants.management.base import ServiceCommand, refusals_as_messages
from tenants.scope import tenant_scope
from tenants.services.settings import set_call_days


class Command(ServiceCommand):
    help = (
        "Let `prune` archive and delete a workspace's calls after a number of days, if that is "
        "sooner than MODELKEEP_KEEP_CALL_DAYS does."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("workspace", help="its address")
        parser.add_argument("days", type=int, help="at least 1; 0: as long as in other workspaces")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant, days = self.workspace(options["workspace"]), options["days"] or None
        with refusals_as_messages(), tenant_scope(tenant):
            set_call_days(tenant=tenant, days=days, actor=COMMAND)
        line = f"Calls are kept for {days} days." if days else "Calls are kept as others are."
        self.answer(options, {"workspace": tenant.slug, "days": days}, [line])
