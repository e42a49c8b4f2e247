"""All checks of the doctor, and how they depend on each other."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from console.doctor import database, machine, network, readiness, settings
from console.doctor.findings import Finding, Level, Look, fault, ok, warning

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examined:
    """What one check found."""

    check: str
    findings: tuple[Finding, ...]


def _shared(name: str) -> Look:
    """Turn a check of /readyz into one of the doctor."""
    is_fault = name in readiness.FAULTS
    check = readiness.FAULTS[name] if is_fault else readiness.WARNINGS[name]

    def look() -> Iterator[Finding]:
        problem = check()
        if problem:
            yield (fault if is_fault else warning)(problem, _DO.get(name, ""))
        else:
            yield ok(_WELL[name])

    return look


_WELL: Final = {
    "database": "The database responds.",
    "migrations": "All migrations are applied.",
    "master_keys": "The master keys are those that the database was used with.",
    "spool": "No ends of calls wait for the database.",
    "disk": "The disk of DATA_DIR has room.",
    "secret_key": "SECRET_KEY is the one that was used before.",
}
# What to do about problems that don't say so themselves.
_DO: Final = {
    "master_keys": "Set MODELKEEP_MASTER_KEYS to the keys that this database was used with; "
    "until then no stored key can be decrypted."
}
LOOKS: Final[Mapping[str, Look]] = {
    "versions": machine.versions,
    "settings": settings.framework,
    "open_files": machine.open_files,
    "static_files": settings.static_files,
    "email": network.email,
    "cache": network.shared_cache,
    "files": settings.files,
    "server": machine.server,
    "disk": _shared("disk"),
    "spool": _shared("spool"),
    "database": _shared("database"),
    "database_version": database.version,
    "clock": database.clock,
    "connections": database.connections,
    "migrations": _shared("migrations"),
    "master_keys": _shared("master_keys"),
    "secret_key": _shared("secret_key"),
    "backup": database.backup,
    "site": network.site,
    "providers": network.providers,
}
# What a check needs to be sound; otherwise it is left out.
NEEDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("server", "disk", "spool"), "files"),
    **dict.fromkeys(("database_version", "clock", "connections", "migrations"), "database"),
    **dict.fromkeys(("master_keys", "secret_key", "backup"), "migrations"),
}
ON_DEMAND: Final = ("site", "providers")


def examine(*, on_demand: Collection[str] = ()) -> Iterator[Examined]:
    """Run the checks one after the other.

    Args:
        on_demand: Which of those in ON_DEMAND to run too: they need the network.
    """
    unsound = set(ON_DEMAND).difference(on_demand)
    for name, look in LOOKS.items():
        if name in unsound:
            continue
        if NEEDS.get(name) in unsound:
            unsound.add(name)
            continue
        examined = _look(name, look)
        yield examined
        if is_faulty(examined):
            unsound.add(name)


def is_faulty(examined: Examined) -> bool:
    return any(finding.level is Level.FAULT for finding in examined.findings)


def _look(name: str, look: Look) -> Examined:
    try:
        return Examined(name, tuple(look()))
    except Exception as error:  # one check that fails must not hide the others
        logger.debug("The check %s failed", name, exc_info=True)
        return Examined(name, (fault(f"The check itself failed: {error!r}."),))
