"""What an installation knows of itself: its SECRET_KEY, its last backup, its first passwords."""

from __future__ import annotations

import contextlib
import hmac
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from tenants.crypto import digest_key
from tenants.crypto.digest_key import DigestKeyUnavailable
from tenants.models import InstallationNote

SECRET_KEY: Final = "secret_key"  # noqa: S105 - the note's name
BACKUP: Final = "backup"
DIFFERS: Final = (
    "SECRET_KEY differs from the one that another machine uses, or that this one used before. "
    "Give all machines the same; otherwise people have to sign in again whenever another machine "
    "answers. If you have just replaced it, restart the machines that still use the old one."
)


def note(name: str, value: dict[str, Any]) -> None:
    """Store a fact, replacing the one of the same name."""
    InstallationNote.objects.update_or_create(
        name=name, defaults={"value": value, "time": timezone.now()}
    )


def last_backup() -> datetime | None:
    """Return when the last backup was made with the command, or None."""
    return InstallationNote.objects.filter(name=BACKUP).values_list("time", flat=True).first()


def forget(name: str) -> None:
    """Delete a fact that no longer holds."""
    InstallationNote.objects.filter(name=name).delete()


def secret_key_problem(*, adopt: bool = False) -> str:
    """Return what to do if another machine last started with another SECRET_KEY, or "".

    Args:
        adopt: Note this machine's, so that the others notice.
    """
    try:
        secret = digest_key.read()
    except DigestKeyUnavailable:
        return ""  # nothing was encrypted yet, or the master keys are wrong, which others report
    # Keyed, so that a stolen database does not help to guess a weak SECRET_KEY.
    mine = hmac.digest(secret, b"secret-key/" + settings.SECRET_KEY.encode(), "sha256").hex()
    row = InstallationNote.objects.filter(name=SECRET_KEY).first()
    same = row is not None and hmac.compare_digest(str(row.value.get("check")), mine)
    if adopt and not same:
        note(SECRET_KEY, {"check": mine})
    return "" if row is None or same else DIFFERS


def first_access() -> Path:
    """Return the file with the first passwords and app key, which may exist."""
    return Path(settings.DATA_DIR) / "first-start"


def forget_first_access() -> None:
    """Delete the first passwords and app key: whoever signed in has read them.

    On a read-only disk, and on other machines, they stay until `config.start` runs again.
    """
    with contextlib.suppress(OSError):
        first_access().unlink(missing_ok=True)
