"""Base class and helpers for the management commands of all apps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from core.errors import ServiceError
from tenants.crypto.keys import KeysNotReady
from tenants.models import Tenant


class ServiceCommand(BaseCommand):
    """A command that calls services and prints text, or one JSON object with --json."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def answer(
        self, options: Mapping[str, Any], values: Mapping[str, Any], lines: list[str]
    ) -> None:
        """Print the values as JSON with --json, the lines otherwise."""
        self.stdout.write(json.dumps(values) if options["json"] else "\n".join(lines))

    def workspace(self, slug: str) -> Tenant:
        """Return a workspace. Raises CommandError if there is none."""
        tenant = Tenant.objects.filter(slug=slug).first()
        if tenant is None:
            raise CommandError(f"There is no workspace {slug}.")
        return tenant

    def workspaces(self, slugs: list[str] | None) -> list[Tenant]:
        """Return the given workspaces, or all of them, including the operators' own row."""
        if slugs:
            return [self.workspace(slug) for slug in slugs]
        return list(Tenant.objects.order_by("slug"))


@contextmanager
def refusals_as_messages() -> Iterator[None]:
    """Turn a ServiceError into a CommandError with its message."""
    try:
        yield
    except KeysNotReady as error:
        raise CommandError(error.detail) from None
    except ServiceError as error:
        raise CommandError(str(error.message)) from None


def migrate() -> bool:
    """Apply pending migrations and return whether there were any; checking costs one query."""
    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return False
    call_command("migrate", verbosity=0, interactive=False)
    return True
