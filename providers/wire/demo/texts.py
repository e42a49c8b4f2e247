"""What the demo reads in texts: their size, a vector, and the words that two have in common."""

from __future__ import annotations

import hashlib
import math
import re
import struct
from typing import Any

import orjson

from providers.declaration.errors import CannotExpress
from providers.declaration.spec import Request

DIMENSIONS = 256


def text_in(content: Any) -> str:
    """Return the text of a message's content, a string or parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(
        str(part.get("text", ""))
        for part in parts
        if isinstance(part, dict) and part.get("type") == "text"
    )


def tokens_in(text: str) -> int:
    """Estimate the tokens of a text, at four characters each."""
    return max(1, math.ceil(len(text) / 4))


def texts_in(request: Request, name: str) -> list[str]:
    """Return the texts of `input` or `prompt`; a list of token numbers counts as one text.

    Raises:
        CannotExpress: if there are none.
    """
    value = request.body.get(name)
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts:
        raise CannotExpress(f"{name} must be a text or a list of texts.", param=name)
    if all(isinstance(text, int) for text in texts):  # one text as tokens
        texts = [texts]
    return [text if isinstance(text, str) else orjson.dumps(text).decode() for text in texts]


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Derive a vector of length 1 from a hash of the text: always the same, and without
    meaning.
    """
    numbers = hashlib.shake_256(text.encode()).digest(2 * dimensions)
    raw = [value - 32767.5 for value in struct.unpack(f"<{dimensions}H", numbers)]
    length = math.sqrt(sum(value * value for value in raw))
    return [value / length for value in raw]


_WORD = re.compile(r"[a-z0-9]+|[^\W\x00-\x7f]")


def words_in(text: str) -> set[str]:
    """Return the words of a text in lower case; letters beyond ASCII are words of their own."""
    return set(_WORD.findall(text.lower()))


def overlap(query: str, document: str) -> float:
    """Return the share of the query's words found in the document, from 0 to 1."""
    words = words_in(query)
    return round(len(words & words_in(document)) / len(words), 4) if words else 0.0
