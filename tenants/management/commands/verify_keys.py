"""Open every key pair and every sealed text, check app keys, and print counts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants.crypto import keys
from tenants.management.base import ServiceCommand, refusals_as_messages


class Command(ServiceCommand):
    help = (
        "Open every key pair and every sealed key of one or all workspaces, check the signatures "
        "of app keys, and print counts. Fails if any does not open or was changed."
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
            f"Key pairs: {report.key_pairs} checked, {report.key_pairs_failed} do not open.",
            f"Sealed keys: {report.sealed} checked, {report.sealed_failed} do not open.",
            f"App keys: {report.app_keys} checked, {report.app_keys_failed} were tampered with.",
        ]
        self.answer(options, asdict(report) | {"master_key_problems": problems}, lines)
        if report.failed or problems:
            raise CommandError("Not everything opens. See the lines above.")
