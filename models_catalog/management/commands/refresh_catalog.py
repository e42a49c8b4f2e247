"""Load, preview, restore or export the shipped model facts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from models_catalog.facts import refresh
from models_catalog.facts.refresh import NeedsSecondLook, Outcome
from models_catalog.facts.values import BadFact
from tenants.audit.trail import COMMAND
from tenants.management.base import ServiceCommand, refusals_as_messages


class Command(ServiceCommand):
    help = (
        "Load a snapshot of models, limits and prices for all workspaces. Workspace overrides "
        "stay. Files older than the facts in effect are refused; files that drop models or change "
        "a price by more than a factor of two need --accept."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "file",
            nargs="?",
            metavar="FILE",
            help="a JSON snapshot; - for standard input or output",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="show the differences and change nothing"
        )
        parser.add_argument(
            "--accept",
            action="store_true",
            help="accept dropped models and large price changes",
        )
        way = parser.add_mutually_exclusive_group()
        way.add_argument(
            "--previous", action="store_true", help="restore the facts that were in effect before"
        )
        way.add_argument("--export", action="store_true", help="write the facts in effect to FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["file"]) is options["previous"]:
            raise CommandError("Give either FILE or --previous.")
        with refusals_as_messages():
            if options["export"]:
                self._export(options["file"])
            elif options["previous"]:
                self._say(
                    options, refresh.restore_previous(actor=COMMAND, dry_run=options["dry_run"])
                )
            else:
                self._load(options)

    def _load(self, options: dict[str, Any]) -> None:
        try:
            data = (
                sys.stdin.buffer.read()
                if options["file"] == "-"
                else Path(options["file"]).read_bytes()
            )
            outcome = refresh.load(
                actor=COMMAND, data=data, accept=options["accept"], dry_run=options["dry_run"]
            )
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}.") from None
        except BadFact as error:
            raise CommandError(f"{options['file']}: {error}") from None
        except NeedsSecondLook as error:
            lines = "\n".join(f"  {change}" for change in error.outcome.grave)
            raise CommandError(
                f"{error.message}\n{lines}\n"
                "Nothing was changed. If this is intended, run the command again with --accept."
            ) from None
        self._say(options, outcome)

    def _export(self, name: str) -> None:
        text = json.dumps(refresh.export(), ensure_ascii=False, indent=1) + "\n"
        if name == "-":
            self.stdout.write(text, ending="")
            return
        try:
            Path(name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{name}: {error.strerror}.") from None

    def _say(self, options: dict[str, Any], outcome: Outcome) -> None:
        lines = [f"  {'! ' if change.is_grave else ''}{change}" for change in outcome.changes]
        lines += [
            f"  skipped: this release does not know the provider {slug}" for slug in outcome.skipped
        ]
        head = f"{len(outcome.changes)} differences" if outcome.changes else "No differences"
        done = (
            "nothing was changed"
            if options["dry_run"]
            else f"the facts of {outcome.date} are in effect"
        )
        values = {
            "date": outcome.date.isoformat(),
            "applied": not options["dry_run"],
            "changes": [str(change) for change in outcome.changes],
        }
        self.answer(
            options, values | {"skipped": list(outcome.skipped)}, [*lines, f"{head}; {done}."]
        )
