"""Settings, as Django's check framework sees them, and the files that they name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from console.doctor.findings import Finding, Level, fault, ok, warning
from tenants.checks import is_public

# Of the files in DATA_DIR, those that nobody else may read.
PRIVATE: Final = ("secret_key", "master_keys", "first-start", "modelkeep.sqlite3", "spool.jsonl")


def framework() -> Iterator[Finding]:
    """Run the checks of `manage.py check --deploy`."""
    try:
        messages = checks.run_checks(include_deployment_checks=True)
    except ImproperlyConfigured as error:  # Django itself refuses an empty SECRET_KEY
        yield fault(str(error), "Set it, or start the server once, which makes missing secrets.")
        return
    findings = [_finding(message) for message in messages if _matters(message)]
    if is_public() and not settings.HTTPS:
        findings.append(
            warning(
                "SITE_URL is not https: passwords and app keys travel unencrypted.",
                "Put a proxy with a certificate in front, and set SITE_URL to https://...",
            )
        )
    yield from findings or [ok("The settings are sound.")]


def _matters(message: checks.CheckMessage) -> bool:
    """Leave out what is only advice, and Django's many words for a site without https."""
    is_about_https = str(message.id).startswith("security.") and not settings.HTTPS
    return message.level >= checks.WARNING and not (message.is_silenced() or is_about_https)


def _finding(message: checks.CheckMessage) -> Finding:
    level = Level.FAULT if message.is_serious() else Level.WARNING
    return Finding(level, f"{message.msg} ({message.id})", message.hint or "")


def files() -> Iterator[Finding]:
    """Check who may read and write the data folder and what is in it."""
    folder = Path(settings.DATA_DIR)
    if not folder.is_dir():
        yield fault(
            f"DATA_DIR {folder} does not exist.",
            "Run this command as the server does, with its settings and user; or start the server "
            "once.",
        )
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield fault(
            f"DATA_DIR {folder} is not writable for this user.",
            "Run this command as the server's user, or give it the folder.",
        )
    exposed = [path for path in _private(folder) if _is_open(path)]
    for path in exposed:
        yield warning(
            f"Others on this machine may open {path} (mode {stat.S_IMODE(path.stat().st_mode):o}).",
            f"chmod go= {path}",
        )
    if not exposed:
        yield ok(f"Nobody else may open {folder}.")


def _private(folder: Path) -> list[Path]:
    """Return what must be private: within a private folder, its files are."""
    inside = [folder, *(folder / name for name in PRIVATE)] if _is_open(folder) else []
    return [*inside, settings.DOTENV] if settings.DOTENV else inside


def _is_open(path: Path) -> bool:
    return bool(path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def static_files() -> Iterator[Finding]:
    """Check that what pages link to was collected, in the version of this release."""
    from django.contrib.staticfiles.finders import get_finders
    from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage

    if not isinstance(staticfiles_storage, ManifestFilesMixin):
        yield ok("Static files are served as they are.")
        return
    known = staticfiles_storage.hashed_files
    sources = {path for finder in get_finders() for path, _storage in finder.list([])}
    missing = sorted(path for path in sources if staticfiles_storage.hash_key(path) not in known)
    if missing:
        yield fault(
            f"{len(missing)} static files are not collected, such as {missing[0]}: pages fail.",
            "Restart the server, or run: python manage.py collectstatic --no-input",
        )
        return
    yield ok(f"{len(sources)} static files are collected.")
