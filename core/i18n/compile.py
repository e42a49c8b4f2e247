"""Compile outdated locale/**/*.po files to .mo: `python -m core.i18n.compile`.

The .mo files are built, never committed. polib does it, because a bare machine has no msgfmt.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

LOCALE: Final = Path(__file__).resolve().parents[2] / "locale"


def compile_outdated(folder: Path = LOCALE) -> list[Path]:
    """Compile every .po file whose .mo file is missing or older.

    Returns:
        The .mo files that were written.

    Raises:
        OSError: The folder is not writable, or a .po file has a syntax error.
    """
    return [_compile(source) for source in outdated(folder)]


def outdated(folder: Path = LOCALE) -> list[Path]:
    """Return the .po files whose .mo file is missing or older."""
    return [source for source in sorted(folder.rglob("*.po")) if _is_outdated(source)]


def _is_outdated(source: Path) -> bool:
    compiled = source.with_suffix(".mo")
    return not compiled.is_file() or compiled.stat().st_mtime < source.stat().st_mtime


def _compile(source: Path) -> Path:
    import polib  # here, because most starts compile nothing

    # The process id keeps concurrent starts apart.
    temporary = source.with_suffix(f".{os.getpid()}.tmp")
    polib.pofile(source).save_as_mofile(str(temporary))
    return temporary.replace(source.with_suffix(".mo"))


if __name__ == "__main__":
    compile_outdated()
