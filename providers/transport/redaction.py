"""Redaction of keys and control characters in providers' texts. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from providers.wire.http import SHOWN_CHARACTERS

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_PART: Final = 8  # consecutive characters of a key that are redacted
_PLACEHOLDER: Final = "[key]"


def clean(text: str, secrets: Sequence[str] = ()) -> str:
    """Make a provider's text safe to show: no keys, no control characters, about 300 characters.

    A key is redacted as plain text, URL-encoded and in base64, and so are any eight of its
    characters in a row.
    """
    text = text[: 20 * SHOWN_CHARACTERS]
    for secret in secrets:
        text = _redact(text, secret)
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS].rstrip() + "…"


def _redact(text: str, secret: str) -> str:
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    for form in {secret, quote(secret, safe=""), encoded}:
        text = text.replace(form, _PLACEHOLDER)
    return text if len(secret) < _PART else _replace(text, _matches(text, secret))


def _matches(text: str, secret: str) -> Sequence[bool]:
    """Mark each character of the text that belongs to a part of the secret."""
    matches = [False] * len(text)
    for start in range(len(secret) - _PART + 1):
        part = secret[start : start + _PART]
        at = text.find(part)
        while at >= 0:
            matches[at : at + _PART] = [True] * _PART
            at = text.find(part, at + 1)
    return matches


def _replace(text: str, matches: Sequence[bool]) -> str:
    pieces: list[str] = []
    for index, character in enumerate(text):
        if not matches[index]:
            pieces.append(character)
        elif index == 0 or not matches[index - 1]:
            pieces.append(_PLACEHOLDER)
    return "".join(pieces)
