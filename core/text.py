"""Join translated sentences; check names. Independent of Django."""

from __future__ import annotations

from typing import Final

_FULL_WIDTH: Final = "。！？；，：）"


def joined(*sentences: str) -> str:
    """Join non-empty sentences with a space, or without one after a full-width mark."""
    text = ""
    for sentence in sentences:
        if sentence:
            text += sentence if not text or text[-1] in _FULL_WIDTH else f" {sentence}"
    return text


def is_one_line(text: str) -> bool:
    """Return whether a name has no line breaks, direction marks or other control characters."""
    return text.isprintable()


def one_line(text: str) -> str:
    """Replace each run of line breaks, control characters and blanks with a blank."""
    printable = (character if character.isprintable() else " " for character in text)
    return " ".join("".join(printable).split())
