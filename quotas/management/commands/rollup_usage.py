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
        "Roll up the calls of every hour that ended at least two hours ago, and redo hours for "
        "which records arrived late. The server does this itself, a few seconds at a time; the "
        "command does everything at once, for example after an upgrade or an import. Figures are "
        "correct before, during and after; pages are faster afterwards."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seconds", type=float, help="stop after this many seconds")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        rolled = rollups.roll_up(seconds=options["seconds"])
        if options["json"]:
            self.stdout.write(json.dumps(asdict(rolled)))
        else:
            more = "" if rolled.done else ", more remaining"
            failed = f", {rolled.failed} workspaces failed" if rolled.failed else ""
            self.stdout.write(
                f"{rolled.closed} hours rolled up, {rolled.redone} redone{more}{failed}"
            )
