"""Back up the database into one encrypted file, while the server runs."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.backup import archive, dump
from core.backup.archive import BackupError
from tenants import installation
from tenants.crypto.keys import master_key_problems
from tenants.models import MasterKeyCheck


class Command(BaseCommand):
    help = (
        "Write the whole database, as it is at one moment, to one file that is encrypted with "
        "MODELKEEP_BACKUP_KEY. The server may run meanwhile. `restore` reads the file, into "
        "SQLite or PostgreSQL."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("file", nargs="?", type=Path, help="the file to write; must not exist")
        what.add_argument(
            "--new-key",
            type=Path,
            metavar="FILE",
            help="write a new private backup key to FILE and print its public key",
        )
        parser.add_argument(
            "--with-master-keys",
            action="store_true",
            help="also store the master keys: whoever has the backup key can then decrypt every "
            "stored provider key",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["new_key"]:
                self._make_key(options["new_key"])
            else:
                self._back_up(options["file"], with_keys=options["with_master_keys"])
        except BackupError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"The file cannot be written: {error}") from None

    def _make_key(self, path: Path) -> None:
        private, public = archive.new_identity()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{private}\n")
        self.stdout.write(
            f"MODELKEEP_BACKUP_KEY={public}\n"
            f"Set this on the server. Keep {path} somewhere else: it restores backups."
        )

    def _back_up(self, path: Path, *, with_keys: bool) -> None:
        if not settings.MODELKEEP_BACKUP_KEY:
            raise CommandError("Set MODELKEEP_BACKUP_KEY. To make one: backup --new-key FILE")
        if with_keys and (problems := master_key_problems()):
            raise CommandError(" ".join(problems))
        checks = MasterKeyCheck.objects.values_list("mkid", "check_value")
        about: dict[str, Any] = {"master_key_checks": list(checks)}
        if with_keys:
            about["master_keys"] = settings.MODELKEEP_MASTER_KEYS
        recipient = archive.recipient_of(settings.MODELKEEP_BACKUP_KEY)
        size = archive.write(path, dump.members(about), recipient)
        installation.note(installation.BACKUP, {"bytes": size, "master_keys": with_keys})
        keys = "with" if with_keys else "without"
        self.stdout.write(f"Wrote {path}: {size:,} bytes, {keys} the master keys.")
