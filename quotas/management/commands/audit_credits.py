"""Prove that the credits of every workspace add up."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from quotas.ledger import invariants


class Command(BaseCommand):
    help = (
        "Check the ledger's invariants I1 to I6 for each pool and in total. Exits with 1 if one "
        "is violated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        violations = invariants.audit()
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {"ok": not violations, "violations": [entry.as_json() for entry in violations]}
                )
            )
        for violation in violations if not options["json"] else ():
            where = (
                f"pool {violation.pool_id} of workspace {violation.tenant_id}"
                if violation.pool_id
                else "all pools"
            )
            self.stdout.write(f"{violation.invariant} {where}: {violation.message}")
        if violations:
            raise CommandError(f"{len(violations)} violations")
        if not options["json"]:
            self.stdout.write("The ledger is consistent.")
