"""Finish the holds of calls whose worker died."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from quotas.ledger import services


class Command(BaseCommand):
    help = (
        "Holds past their expiry are finished: given back where nothing was sent, charged with "
        "reason “unknown” where it was. "
        "The server does this itself every half minute; the command is for installations whose "
        "server is down."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, default=1_000_000, help="at most so many")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        reaped = services.reap(limit=options["limit"])
        if options["json"]:
            self.stdout.write(json.dumps(asdict(reaped)))
        else:
            self.stdout.write(f"{reaped.voided} given back, {reaped.settled} charged as unknown")
