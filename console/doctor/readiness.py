"""What keeps a server from serving, and what it survives: for /readyz and the doctor.

Each check returns what is wrong and what to do, or "". Answers name no host and no path.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from gateway.dataplane.store.spool import FILE, MOVED, REJECTED
from tenants.crypto.keys import master_key_problems
from tenants.installation import secret_key_problem

log = logging.getLogger("modelkeep.health")
Check = Callable[[], str]
_READ_ONLY: Final = (
    "The database is read-only, as a replica is: trials and pages fail, and the ends of other "
    "calls wait in DATA_DIR. Point DATABASE_URL to the primary."
)
LEAST_FREE: Final = 256 * 1024 * 1024  # bytes
_migrated = threading.Event()


def database_fault() -> str:
    """Return why the database is unusable, or ""; hosts and user names go only to the log."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError as error:
        log.warning("database: %s", error)
        return "The database is not responding. Check the server's log and DATABASE_URL."
    return ""


def migrations_fault() -> str:
    """Return how many migrations are missing, or "".

    Success is remembered: migrations are not undone while a process runs, and loading them takes
    50 ms.
    """
    if _migrated.is_set():
        return ""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        return f"{len(plan)} migrations are not applied. Run: python manage.py migrate"
    _migrated.set()
    return ""


def master_keys_fault() -> str:
    return " ".join(master_key_problems())


def spool_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files of lines that wait for the database, and of those that it rejected."""
    return [folder / FILE, *folder.glob(MOVED.format("*"))], [folder / REJECTED]


def spool_warning() -> str:
    """Return what to do if ends of calls wait for the database, or were rejected by it, or ""."""
    waiting, rejected = spool_files(Path(settings.DATA_DIR))
    if any(path.stat().st_size for path in rejected if path.exists()):
        return "The database rejected ends of calls. Read the server's log and DATA_DIR."
    if any(path.stat().st_size for path in waiting if path.exists()):
        return "Ends of calls wait in DATA_DIR for the database. Keep it until they are written."
    return ""


def read_only_warning() -> str:
    """Return what to do if PostgreSQL takes no changes, or ""."""
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        [state] = cursor.fetchone()
    return _READ_ONLY if state == "on" else ""


def disk_warning() -> str:
    if shutil.disk_usage(settings.DATA_DIR).free >= LEAST_FREE:
        return ""
    return "The disk of DATA_DIR is nearly full. Make room."


# A later check depends on the earlier ones.
FAULTS: Final[Mapping[str, Check]] = {
    "database": database_fault,
    "migrations": migrations_fault,
    "master_keys": master_keys_fault,
}
# Calls are served nevertheless.
WARNINGS: Final[Mapping[str, Check]] = {
    "read_only": read_only_warning,
    "spool": spool_warning,
    "disk": disk_warning,
    "secret_key": secret_key_problem,
}
