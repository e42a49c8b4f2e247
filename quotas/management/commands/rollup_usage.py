"""Roll usage up, so that pages need not read every call."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from quotas.usage import rollups


class Command(BaseCommand):
    help = (
        "Sums the calls of hours that ended two hours ago, and sums hours again for which records "
        "came late. The server does this "
        "itself, a few seconds at a time; the command does all at once, such as after an upgrade "
        "or an import. Figures are right "
        "before, during and after it; afterwards pages are fast."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seconds", type=float, help="stop after so many")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        rolled = rollups.roll_up(seconds=options["seconds"])
        if options["json"]:
            self.stdout.write(json.dumps(asdict(rolled)))
        else:
            more = "" if rolled.done else ", more to do"
            self.stdout.write(f"{rolled.closed} hours summed, {rolled.redone} summed again{more}")
