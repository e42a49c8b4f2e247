"""The database: its version, its clock, room for connections, and the last backup."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection

from console.doctor.findings import Finding, fault, ok, warning
from core.db import connection as database
from gateway.dataplane.store.postgres import CONNECTIONS
from tenants import installation

MOST_APART: Final = timedelta(seconds=2)
OLD_BACKUP: Final = timedelta(days=2)
_BACKUP_HELP: Final = "docs/operators.md, “Backup and restore”, says how to make one every day."


def version() -> Iterator[Finding]:
    found, least = connection.get_database_version(), connection.features.minimum_database_version
    name = f"{connection.display_name} {_dotted(found)}"
    if least is not None and found < least:
        yield fault(f"{name} is too old.", f"Upgrade it to {_dotted(least)} or newer.")
    else:
        yield ok(f"{name}.")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def clock() -> Iterator[Finding]:
    """Compare this machine's clock with the database's, by which sums and expiries go."""
    apart = abs(datetime.now(UTC) - database.now())
    if apart <= MOST_APART:
        yield ok("The clock agrees with the database's.")
        return
    yield warning(
        f"The clock differs from the database's by {apart.total_seconds():.0f} seconds.",
        "Synchronise both machines by NTP, such as with chrony.",
    )


def connections() -> Iterator[Finding]:
    """Check that the database takes the connections that all workers may open."""
    if connection.vendor != "postgresql":
        return
    needed = settings.WORKERS * (
        CONNECTIONS + connection.settings_dict["OPTIONS"]["pool"]["max_size"]
    )
    usable, others = _room()
    says = (
        f"{settings.WORKERS} workers need up to {needed} connections; PostgreSQL has "
        f"{usable - others} of {usable} for them."
    )
    if needed <= usable - others:
        yield ok(says)
        return
    yield warning(
        says, "Raise max_connections, or lower DATABASE_POOL or WEB_CONCURRENCY on some machine."
    )


def _room() -> tuple[int, int]:
    """Return how many connections people without special rights may have, and how many are taken
    by others than this database's user.
    """
    [(usable,)] = database.execute(
        "SELECT current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int"
    )
    [(others,)] = database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND NOT (datname = current_database() AND usename = current_user)"
    )
    return usable, others


def backup() -> Iterator[Finding]:
    """Check that there is a recent backup, and that this machine can't read it."""
    key, last = settings.MODELKEEP_BACKUP_KEY, installation.last_backup()
    if key.upper().startswith("AGE-SECRET-KEY"):
        yield warning(
            "MODELKEEP_BACKUP_KEY is the private key: whoever takes over this machine can read "
            "all backups.",
            "Set the public one, age1..., and keep the private one elsewhere.",
        )
    if last is None:
        yield warning("No backup was ever made with `manage.py backup`.", _BACKUP_HELP)
    elif (age := datetime.now(UTC) - last) > OLD_BACKUP:
        yield warning(f"The last backup is {age.days} days old.", _BACKUP_HELP)
    else:
        yield ok(f"The last backup was made {age.total_seconds() / 3600:.0f} hours ago.")
