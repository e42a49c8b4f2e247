"""How translated sentences are put together. Knows nothing of Django."""

from __future__ import annotations

import re

_GAP = re.compile(r"(?<=[。！？；，：）]) +")


def without_gaps(text: str) -> str:
    """Sentences that were joined with blanks, as each language writes them: none follows a full-width mark."""
    return _GAP.sub("", text)
