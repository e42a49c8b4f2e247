"""Apply migrations and verify the result; or rehearse that on a copy of the database."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from core.backup import archive, dump, load
from core.backup.archive import BackupError
from core.db.lock_watch import Watch
from core.management.commands import migrate
from gateway.management.verification import verify
from tenants.crypto import keys


class Command(BaseCommand):
    help = (
        "Apply all migrations, tell how long each took and which locks it held how long, and "
        "verify credits and stored keys. With --rehearse, do so on a copy instead, while the "
        "server runs; nothing else is changed."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rehearse", action="store_true")
        parser.add_argument(
            "--complete",
            action="store_true",
            help="when every machine runs this release: save keys so that calls cost less, which "
            "the release before cannot read",
        )
        parser.add_argument(
            "--into",
            metavar="URL",
            help="where to rehearse: DATABASE_URL of an empty database, which stays for you to "
            "look at; by default a SQLite file that is deleted afterwards",
        )
        parser.add_argument("--copy", type=Path, help="the copy that a rehearsal upgrades")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["rehearse"]:
                self._rehearse(options["into"])
                return
            if options["copy"]:
                self._load(options["copy"])
        except BackupError as error:
            raise CommandError(str(error)) from None
        self._upgrade()
        if options["complete"]:
            self.stdout.write(f"{keys.complete_data_keys()} key pairs got a data key.")
        elif not keys.writes_data_keys():
            self.stdout.write(
                "When every machine runs this release, run: python manage.py upgrade --complete"
            )

    def _rehearse(self, url: str | None) -> None:
        """Copy the database and upgrade the copy in another process, which opens only that."""
        with tempfile.TemporaryDirectory(prefix="rehearsal-", dir=settings.DATA_DIR) as folder:
            private, _public = archive.new_identity()
            path = Path(folder) / "copy"
            archive.write(path, dump.members({}), archive.recipient_of(private))
            environment = os.environ | {
                "DATABASE_URL": url or f"sqlite:///{folder}/copy.sqlite3",
                "MODELKEEP_BACKUP_KEY": private,
                "MODELKEEP_MASTER_KEYS": settings.MODELKEEP_MASTER_KEYS,
            }
            done = subprocess.run(  # noqa: S603 - this very command
                [sys.executable, "manage.py", "upgrade", "--copy", str(path)],
                cwd=settings.BASE_DIR,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
        self.stdout.write(done.stdout)
        if done.returncode:
            raise CommandError(f"The rehearsal failed; the database is as it was.\n{done.stderr}")

    def _load(self, path: Path) -> None:
        began = time.monotonic()
        identity = archive.identity_of(settings.MODELKEEP_BACKUP_KEY)
        manifest = load.read_through(path, identity)
        load.require_empty(["tenants_user", "quotas_callrecord"])
        load.restore(path, identity, manifest)
        calls = manifest["counts"]["quotas_callrecord"]
        self.stdout.write(f"Copied {calls:,} calls in {time.monotonic() - began:.1f} s.")

    def _upgrade(self) -> None:
        watch = Watch()
        with watch.watching():
            call_command(_Migrate(watch), verbosity=0, interactive=False)
        for step in watch.steps:
            self.stdout.writelines(f"{line}\n" for line in step.lines())
        began = time.monotonic()
        failures, _report = verify()
        if failures:
            raise CommandError("\n".join(["Not everything is in order:", *failures]))
        self.stdout.write(
            f"{len(watch.steps)} migrations applied. Credits and stored keys are in order, "
            f"verified in {time.monotonic() - began:.1f} s."
        )


class _Migrate(migrate.Command):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def migration_progress_callback(
        self, action: str, migration: Any | None = None, fake: bool = False
    ) -> None:
        self._watch.note(action, migration)
