"""Verify the archives of old rows."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from quotas.retention import sealed
from tenants.archives import chain
from tenants.archives.files import ArchiveError
from tenants.management.base import ServiceCommand


class Command(ServiceCommand):
    help = (
        "Verify that every archive is as it was written and names the one before, and that the "
        "archived calls used the credits that are sealed in the database. Exits with 1 if not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--from",
            dest="first",
            type=int,
            default=1,
            metavar="NUMBER",
            help="begin with this archive, if you no longer keep those before; credits are then "
            "not compared",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        count, problems = chain.verify(first=options["first"])
        if not problems and options["first"] == 1:
            try:
                problems = sealed.problems()
            except ArchiveError as error:
                problems = [str(error)]
        lines = problems or [f"{count} archives in {chain.folder()} are as they were written."]
        self.answer(options, {"archives": count, "problems": problems}, lines)
        if problems:
            raise CommandError(f"{len(problems)} problems")
