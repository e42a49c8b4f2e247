"""Make an app key that is not limited by a person's rights, and print it once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from tenants.audit.trail import COMMAND
from tenants.management.base import ServiceCommand, refusals_as_messages
from tenants.scope import tenant_scope
from tenants.services import app_keys


class Command(ServiceCommand):
    help = "Make an app key for a workspace. The key is printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("workspace", metavar="SLUG")
        parser.add_argument(
            "--name", required=True, help="what the key is for; unique among the workspace's keys"
        )
        parser.add_argument(
            "--scopes",
            required=True,
            type=_names,
            help="comma-separated: use, read, manage",
        )
        parser.add_argument(
            "--providers",
            type=_names,
            default=[],
            help="allow only these providers, comma-separated",
        )
        parser.add_argument(
            "--models",
            type=_names,
            default=[],
            help="allow only these models (provider/model), comma-separated",
        )
        parser.add_argument(
            "--days",
            type=int,
            help="days until the key expires; by default it doesn't",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.workspace(options["workspace"])
        days = options["days"]
        expires = timezone.now() + timedelta(days=days) if days is not None else None
        with refusals_as_messages(), tenant_scope(tenant):
            row, text = app_keys.create_app_key(
                tenant=tenant,
                actor=COMMAND,
                name=options["name"],
                scopes=options["scopes"],
                allowed_providers=options["providers"],
                allowed_models=options["models"],
                expires=expires,
            )
        values = {"workspace": tenant.slug, "name": row.name, "scopes": row.scopes, "app_key": text}
        self.answer(options, values, [text])


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
