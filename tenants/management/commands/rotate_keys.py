"""Rotate key pairs and re-seal everything under them and the newest master key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants.audit.trail import COMMAND
from tenants.crypto import keys
from tenants.management.base import ServiceCommand, refusals_as_messages


class Command(ServiceCommand):
    help = (
        "Rotate the key pairs of all or the given workspaces, and move everything to the newest "
        "master key. Calls keep working meanwhile. If it is interrupted, run it again. To change "
        "the master key: put the new one second in MODELKEEP_MASTER_KEYS on every machine, then "
        "first on every machine, run this, then remove the old one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("workspaces", nargs="*", metavar="SLUG")
        parser.add_argument(
            "--master-only",
            action="store_true",
            help="keep the key pairs and only move to the newest master key",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        total, lines = keys.RotationReport(), []
        for tenant in self.workspaces(options["workspaces"]):
            with refusals_as_messages():
                report = keys.rotate(
                    tenant=tenant, actor=COMMAND, new_pair=not options["master_only"]
                )
            total.add(report)
            lines.append(
                f"{tenant.slug}: processed {report.processed}, succeeded {report.succeeded}, "
                f"failed {report.failed}"
            )
            lines += [f"  {failure}" for failure in report.failures]
        # A master key can be retired only if no workspace needs it.
        is_complete = not total.failed and not options["workspaces"]
        unneeded = keys.retire_master_keys() if is_complete else []
        lines += [f"Master key {mkid} is no longer needed." for mkid in unneeded]
        values = {
            name: value for name, value in asdict(total).items() if name not in ("kid", "resumed")
        }
        self.answer(options, values | {"master_keys_unneeded": unneeded}, lines)
        if total.failed:
            raise CommandError(
                f"{total.failed} of {total.processed} could not be re-sealed; the rest was. "
                "See the lines above."
            )
