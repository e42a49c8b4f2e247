"""Compile outdated locale/**/*.po files to .mo: `python -m core.i18n.compile`.

The .mo files are built, never committed. Uses only the standard library, because a bare machine
has no msgfmt. Formats: https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html and
MO-Files.html.
"""

from __future__ import annotations

import ast
import os
import re
import struct
from pathlib import Path
from typing import Final

LOCALE: Final = Path(__file__).resolve().parents[2] / "locale"
_TEXT: Final = r'(?:[ \n]"[^\n]*")+'
_ENTRY: Final = re.compile(
    rf"((?:^#[^\n]*\n)*)(?:^msgctxt({_TEXT})\n)?^msgid({_TEXT})\n"
    rf"(?:^msgid_plural({_TEXT})\n)?((?:^msgstr(?:\[\d+\])?{_TEXT}\n?)+)",
    re.MULTILINE,
)
_FORM: Final = re.compile(rf"^msgstr(?:\[\d+\])?({_TEXT})", re.MULTILINE)
_FUZZY: Final = re.compile(r"^#,.*\bfuzzy\b", re.MULTILINE)
_MAGIC: Final = 0x950412DE
_HEADER_SIZE: Final = 28  # bytes: seven 32-bit integers


def compile_outdated(folder: Path = LOCALE) -> list[Path]:
    """Compile every .po file whose .mo file is missing or older.

    Returns:
        The .mo files that were written.

    Raises:
        OSError: The folder is not writable.
    """
    outdated = [source for source in sorted(folder.rglob("*.po")) if _is_outdated(source)]
    return [_compile(source) for source in outdated]


def _is_outdated(source: Path) -> bool:
    compiled = source.with_suffix(".mo")
    return not compiled.is_file() or compiled.stat().st_mtime < source.stat().st_mtime


def _compile(source: Path) -> Path:
    compiled = source.with_suffix(".mo")
    # The process id keeps concurrent starts apart.
    temporary = source.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(mo_bytes(read_po(source.read_text(encoding="utf-8"))))
    return temporary.replace(compiled)


def read_po(text: str) -> dict[str, str]:
    """Return a .po file's translations by .mo key, leaving out fuzzy and empty ones."""
    translations: dict[str, str] = {}
    for comments, context, singular, plural, translated in _ENTRY.findall(text):
        forms = [_unquote(form) for form in _FORM.findall(translated)]
        if all(forms) and not _FUZZY.search(comments):
            translations[_key(context, singular, plural)] = "\0".join(forms)
    return translations


def _key(context: str, singular: str, plural: str) -> str:
    before = f"{_unquote(context)}\4" if context else ""
    after = f"\0{_unquote(plural)}" if plural else ""
    return f"{before}{_unquote(singular)}{after}"


def _unquote(lines: str) -> str:
    """Join the quoted lines of a text; PO escapes are valid Python escapes."""
    return "".join(ast.literal_eval(line.strip()) for line in lines.strip().split("\n"))


def mo_bytes(translations: dict[str, str]) -> bytes:
    """Build a .mo file.

    It holds a header, two tables of (length, offset) sorted by key, and the NUL-terminated texts.
    """
    pairs = sorted((key.encode(), value.encode()) for key, value in translations.items())
    texts = [key for key, _value in pairs] + [value for _key, value in pairs]
    table: list[int] = []
    offset = _HEADER_SIZE + 8 * len(texts)
    for text in texts:
        table += [len(text), offset]
        offset += len(text) + 1
    header = (_MAGIC, 0, len(pairs), _HEADER_SIZE, _HEADER_SIZE + 8 * len(pairs), 0, 0)
    return struct.pack(f"<{len(header) + len(table)}I", *header, *table) + b"".join(
        text + b"\0" for text in texts
    )


if __name__ == "__main__":
    compile_outdated()
