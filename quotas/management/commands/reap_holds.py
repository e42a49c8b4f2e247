"""Finish the holds of calls whose worker died."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from quotas.ledger.reap import reap


class Command(BaseCommand):
    help = (
        "Finish expired holds: void those whose request was not sent, and charge the others with "
        "the reason “unknown”. The server does this itself every half minute; use the command "
        "while the server is down."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, default=1_000_000, help="the most holds to finish")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        reaped = reap(limit=options["limit"])
        if options["json"]:
            self.stdout.write(json.dumps(asdict(reaped)))
        else:
            self.stdout.write(f"{reaped.voided} voided, {reaped.settled} charged as unknown")
