"""`python -m core.translations`: compile locale/**/*.po to the .mo files that gettext reads, where they are out of date.

The .mo files are built and never committed. This needs nothing but Python, because a bare machine has no msgfmt.
Formats: https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html and MO-Files.html.
"""

from __future__ import annotations

import ast
import os
import re
import struct
from pathlib import Path
from typing import Final

LOCALE: Final = Path(__file__).resolve().parent.parent / "locale"
_FIELD: Final = re.compile(r'^(msg[a-z_]+(?:\[\d+\])?)((?:\s*"[^\n]*")+)', re.MULTILINE)
_FUZZY: Final = re.compile(r"^#,.*\bfuzzy\b", re.MULTILINE)
_MAGIC: Final = 0x950412DE
_HEADER_SIZE: Final = 28  # bytes: seven numbers


def compile_outdated(folder: Path = LOCALE) -> list[Path]:
    """Write the .mo file of every .po file that is newer or has none.

    Returns:
        The .mo files that were written.

    Raises:
        OSError: The folder cannot be written.
    """
    outdated = [source for source in sorted(folder.rglob("*.po")) if _is_outdated(source)]
    return [_compile(source) for source in outdated]


def _is_outdated(source: Path) -> bool:
    compiled = source.with_suffix(".mo")
    return not compiled.is_file() or compiled.stat().st_mtime < source.stat().st_mtime


def _compile(source: Path) -> Path:
    compiled = source.with_suffix(".mo")
    unfinished = source.with_suffix(f".{os.getpid()}.tmp")  # tests and servers may start side by side
    unfinished.write_bytes(mo_bytes(read_po(source.read_text(encoding="utf-8"))))
    return unfinished.replace(compiled)


def read_po(text: str) -> dict[str, str]:
    """Return the translations of a .po file under the keys of a .mo file; fuzzy and empty ones are left out."""
    entries = (_fields(block) for block in text.split("\n\n") if not _FUZZY.search(block))
    return {_key(fields): value for fields in entries if (value := _value(fields))}


def _fields(block: str) -> dict[str, str]:
    """Map each keyword of one entry to its text, whose lines are strings as Python writes them, too."""
    return {name: "".join(map(ast.literal_eval, lines.split("\n"))) for name, lines in _FIELD.findall(block)}


def _key(fields: dict[str, str]) -> str:
    context = f"{fields['msgctxt']}\4" if "msgctxt" in fields else ""
    plural = f"\0{fields['msgid_plural']}" if "msgid_plural" in fields else ""
    return f"{context}{fields['msgid']}{plural}"


def _value(fields: dict[str, str]) -> str:
    forms = [text for name, text in fields.items() if name.startswith("msgstr")]
    return "\0".join(forms) if all(forms) else ""


def mo_bytes(translations: dict[str, str]) -> bytes:
    """Return a .mo file: a header, two tables of (length, offset) sorted by key, and the texts, each ended by NUL."""
    pairs = sorted((key.encode(), value.encode()) for key, value in translations.items())
    texts = [key for key, _value in pairs] + [value for _key, value in pairs]
    table: list[int] = []
    offset = _HEADER_SIZE + 8 * len(texts)
    for text in texts:
        table += [len(text), offset]
        offset += len(text) + 1
    header = (_MAGIC, 0, len(pairs), _HEADER_SIZE, _HEADER_SIZE + 8 * len(pairs), 0, 0)
    return struct.pack(f"<{len(header) + len(table)}I", *header, *table) + b"".join(text + b"\0" for text in texts)


if __name__ == "__main__":
    compile_outdated()
