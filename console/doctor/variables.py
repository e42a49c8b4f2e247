"""Environment variables that were meant to be settings."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

_ASSIGNED: Final = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=", re.MULTILINE)
_OURS: Final = "MODELKEEP_"
# How alike a misspelt name is to the one that was meant.
_ALIKE: Final = 0.88


def unknown(known: Collection[str], environment: Iterable[str], dotenv: Path | None) -> list[str]:
    """Return the names that look like settings and are none.

    Args:
        environment: Names of other programs too: only those that begin like ours, or almost are
            one of ours, are told.
        dotenv: A file for this program alone, so all its names should be known.
    """
    names = {name for name in environment if name.startswith(_OURS) or meant_by(name, known)}
    if dotenv is not None and dotenv.is_file():
        names |= set(_ASSIGNED.findall(dotenv.read_text("utf-8", errors="replace")))
    return sorted(name for name in names if name.removesuffix("_FILE") not in known)


def meant_by(name: str, known: Collection[str]) -> str:
    """Return the setting that a name almost is, or ""."""
    matches = difflib.get_close_matches(name.upper(), known, n=1, cutoff=_ALIKE)
    return matches[0] if matches and matches[0] != name else ""
