"""Restore a backup into an empty installation, and verify it."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from core.backup import archive, load
from core.backup.archive import BackupError
from core.db.exclusive import preparing
from gateway.management.verification import verify
from tenants import installation
from tenants.crypto import master_keys
from tenants.crypto.master_keys import MasterKeyError, write_once

# An installation is empty as long as they are.
USED: Final = ("tenants_user", "quotas_callrecord")


class Command(BaseCommand):
    help = (
        "Restore a backup into an empty installation, SQLite or PostgreSQL, whichever it was made "
        "of. First the whole file is read; nothing is changed if it is damaged or encrypted for "
        "another key. Then credits, stored keys and counts are verified."
    )
    requires_system_checks = ()  # its installation is not ready yet

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--key-file", type=Path, help="the private backup key; MODELKEEP_BACKUP_KEY by default"
        )
        parser.add_argument(
            "--check", action="store_true", help="only read the file and say what it holds"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            key = options["key_file"].read_text() if options["key_file"] else ""
            identity = archive.identity_of(key or settings.MODELKEEP_BACKUP_KEY)
            manifest = load.read_through(options["file"], identity)
            self._tell(manifest)
            if not options["check"]:
                self._restore(options["file"], identity, manifest)
        except BackupError as error:
            raise CommandError(str(error)) from None
        except (OSError, DatabaseError) as error:
            raise CommandError(f"Nothing was restored: {error}") from None

    def _tell(self, manifest: dict[str, Any]) -> None:
        rows = sum(manifest["counts"].values())
        keys = "with" if manifest.get("master_keys") else "without"
        self.stdout.write(
            f"Backup of {manifest['time'][:19]} UTC, of {manifest['database']}, {keys} the master "
            f"keys: {rows:,} rows, {manifest['counts']['quotas_callrecord']:,} of them calls."
        )

    def _restore(self, path: Path, identity: Any, manifest: dict[str, Any]) -> None:
        with preparing():
            load.require_empty(USED)
            self._take_master_keys(manifest)
            load.restore(path, identity, manifest)
            call_command("migrate", verbosity=0, interactive=False)
        installation.forget(installation.SECRET_KEY)
        self._verify()

    def _take_master_keys(self, manifest: dict[str, Any]) -> None:
        """Use the configured master keys or those of the backup. Raises BackupError."""
        if not settings.MODELKEEP_MASTER_KEYS:
            if "master_keys" not in manifest:
                raise BackupError(
                    "The backup is without master keys. Set MODELKEEP_MASTER_KEYS, or put them "
                    f"into {settings.DATA_DIR / 'master_keys'}."
                )
            write_once(settings.DATA_DIR / "master_keys", manifest["master_keys"])
            settings.MODELKEEP_MASTER_KEYS = manifest["master_keys"]
        try:
            configured = master_keys.parse(settings.MODELKEEP_MASTER_KEYS, settings.SECRET_KEY)
        except MasterKeyError as error:
            raise BackupError(str(error)) from None
        for mkid, check in manifest["master_key_checks"]:
            master = configured.get(mkid)
            if master is None or not master_keys.is_check_value(master, check):
                raise BackupError(
                    f"The backup is sealed with a master key {mkid} that is not configured here."
                )

    def _verify(self) -> None:
        failures, report = verify()
        self.stdout.write(
            f"Restored. Credits: {'consistent' if not failures else 'see below'}. Key pairs: "
            f"{report.key_pairs}, sealed keys: {report.sealed}, app keys: {report.app_keys}."
        )
        if failures:
            raise CommandError("\n".join(["The restored data are not in order:", *failures]))
