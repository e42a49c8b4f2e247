"""New key pairs for workspaces, everything sealed anew under them and under the newest master key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants.audit.trail import COMMAND
from tenants.crypto import keys
from tenants.management.base import ServiceCommand, refusals_as_messages


class Command(ServiceCommand):
    help = (
        "Rotate the key pairs of all workspaces, or of those named, and move everything to the "
        "newest master key. "
        "Calls go on meanwhile. Interrupted, it is finished by running it again. To change the "
        "master key: put the new one "
        "second in MODELKEEP_MASTER_KEYS on every machine, then first on every machine, run this, "
        "then remove the old one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("workspaces", nargs="*", metavar="SLUG")
        parser.add_argument(
            "--master-only",
            action="store_true",
            help="keep the key pairs, move to the newest master key only",
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
                f"{tenant.slug}: processed {report.processed}, succeeded {report.succeeded}, failed {report.failed}"
            )
            lines += [f"  {failure}" for failure in report.failures]
        # A master key may go only when nothing anywhere needs it any more.
        unneeded = (
            keys.retire_master_keys() if not total.failed and not options["workspaces"] else []
        )
        lines += [f"Master key {mkid} is not needed any more." for mkid in unneeded]
        values = {
            name: value for name, value in asdict(total).items() if name not in ("kid", "resumed")
        }
        self.answer(options, values | {"master_keys_unneeded": unneeded}, lines)
        if total.failed:
            raise CommandError(
                f"{total.failed} of {total.processed} could not be sealed anew; the rest was. See the lines above."
            )
