"""Notice that another server uses the same DATA_DIR."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import time
from pathlib import Path
from typing import Final, TextIO

log = logging.getLogger("modelkeep.start")
WAIT_SECONDS: Final = 5.0  # for a server that is just stopping
IN_USE: Final = (
    "DATA_DIR {folder} is in use by another server (process {pid}). Stop it, or give each server "
    "a DATA_DIR of its own; with SQLite, only one can serve."
)
_claim: list[TextIO] = []


def claim(folder: Path, *, alone: bool) -> None:
    """Hold DATA_DIR until this process ends.

    Args:
        alone: Exit if another server holds it; otherwise log an error.
    """
    file = (folder / ".server").open("a+")
    if not _locked(file):
        file.seek(0)
        message = IN_USE.format(folder=folder, pid=file.read().strip() or "unknown")
        file.close()
        if alone:
            sys.exit(message)
        log.error("%s", message)
        return
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    _claim.append(file)


def leave_to_parent() -> None:
    """Close a worker's copy of the lock, so that it ends with the server and not with a worker."""
    while _claim:
        _claim.pop().close()


def _locked(file: TextIO) -> bool:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.2)
        else:
            return True
