"""How translated sentences are put together. Knows nothing of Django."""

from __future__ import annotations

from typing import Final

_FULL_WIDTH: Final = "。！？；，：）"


def joined(*sentences: str) -> str:
    """Sentences one after the other, as their language writes them: no blank after a full-width
    mark. Empty ones are left out.
    """
    text = ""
    for sentence in sentences:
        if sentence:
            text += sentence if not text or text[-1] in _FULL_WIDTH else f" {sentence}"
    return text
