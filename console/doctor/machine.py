"""The machine: versions, limits of the process, and the server that may run on it."""

from __future__ import annotations

import fcntl
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import django
from django.conf import settings

from console.doctor.findings import Finding, ok, warning
from core.i18n import compile as translations

LEAST_FILES: Final = 4096  # open at a time: a client and a provider's connection for each call


def versions() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield ok(
        f"Python {python}, Django {django.get_version()}, {platform.system()} {platform.release()}."
    )
    if translations.outdated():
        yield warning(
            "Translations are not compiled: pages are in English.",
            "Run: python -m core.i18n.compile",
        )


def open_files() -> Iterator[Finding]:
    most, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= most < LEAST_FILES:
        yield warning(
            f"A process started like this one may open {most} files.",
            "Raise the limit for the server: LimitNOFILE=65536 with systemd, ulimits with Compose.",
        )
    else:
        yield ok("Processes may open enough files.")


def server() -> Iterator[Finding]:
    """Tell whether a server uses the data folder; its lock is not taken."""
    try:
        with (Path(settings.DATA_DIR) / ".server").open("r+") as file:
            pid = file.read().strip()
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield ok(f"A server uses DATA_DIR (process {pid}).")
    except OSError:
        yield ok("No server has used DATA_DIR.")
    else:
        yield ok("No server uses DATA_DIR now.")
