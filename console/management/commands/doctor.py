"""Check an installation and say what to do."""

from __future__ import annotations

import sys
from typing import Any, Final

from django.core.management.base import CommandParser

from console.doctor.examination import ON_DEMAND, Examined, examine, is_faulty
from console.doctor.findings import Level
from tenants.management.base import ServiceCommand

_WORDS: Final = {Level.OK: "OK", Level.WARNING: "WARNING", Level.FAULT: "FAULT"}


class Command(ServiceCommand):
    help = (
        "Check this installation: settings, files, keys, database, clock, disk, backup, mail and "
        "cache. Nothing is changed. Run it as the server's user with the server's settings. "
        "Exits with 1 if there is a fault."
    )
    requires_system_checks = ()  # they are among what is checked

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--site", action="store_true", help="also open SITE_URL as a browser does"
        )
        parser.add_argument(
            "--providers", action="store_true", help="also connect to every provider, without a key"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        on_demand = [name for name in ON_DEMAND if options[name]]
        examined = list(examine(on_demand=on_demand))
        failed = any(map(is_faulty, examined))
        values = {
            "status": _status(examined),
            "findings": [
                {
                    "check": one.check,
                    "level": finding.level.value,
                    "says": finding.says,
                    "do": finding.do,
                }
                for one in examined
                for finding in one.findings
            ],
        }
        self.answer(options, values, [line for one in examined for line in _lines(one)])
        if failed:
            sys.exit(1)


def _status(examined: list[Examined]) -> str:
    levels = {finding.level for one in examined for finding in one.findings}
    return max(levels, key=list(Level).index).value


def _lines(examined: Examined) -> list[str]:
    lines = []
    for finding in examined.findings:
        lines.append(f"{_WORDS[finding.level]:<8} {examined.check}: {finding.says}")
        if finding.do:
            lines.append(f"{'':<8} {finding.do}")
    return lines
