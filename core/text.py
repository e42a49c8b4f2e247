"""Join translated sentences. Independent of Django."""

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
