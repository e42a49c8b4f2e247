"""Write secrets to files that only their owner may read. Imports no Django."""

from __future__ import annotations

import os
from pathlib import Path


def write_once(path: Path, text: str) -> bool:
    """Write a secret readable only by its owner, unless the file exists.

    If two processes start at once, the first one's secret stays.

    Returns:
        False if the file already existed.
    """
    if path.exists():
        return False
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename, never overwrites
    except FileExistsError:
        return False
    finally:
        partial.unlink()
    return True
