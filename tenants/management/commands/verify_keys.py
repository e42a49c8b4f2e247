"""Opens every key pair and every sealed text, and counts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants.crypto import keys
from tenants.management.base import ServiceCommand, refusals_as_messages


class Command(ServiceCommand):
    help = (
        "Open every key pair and every sealed key of all workspaces, or of one, and print "
        "counts. Fails if one does not open."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("workspace", nargs="?", metavar="SLUG")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.workspace(options["workspace"]) if options["workspace"] else None
        problems = keys.master_key_problems()
        with refusals_as_messages():
            report = keys.verify(tenant=tenant)
        lines = [
            *problems,
            *report.failures,
            f"Key pairs: {report.key_pairs} looked at, {report.key_pairs_failed} do not open.",
            f"Sealed keys: {report.sealed} looked at, {report.sealed_failed} do not open.",
        ]
        self.answer(options, asdict(report) | {"master_key_problems": problems}, lines)
        if report.failed or problems:
            raise CommandError("Not everything opens. See the lines above.")
