"""Redaction of keys and control characters in providers' texts. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from providers.wire.http import SHOWN_CHARACTERS

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
RECORDED: Final = 499  # characters of an error's text, before the mark that it was cut
_READ: Final = 6000  # characters of a text in which keys are looked for
_PART: Final = 8  # consecutive characters of a key that are redacted
_NOT_BARE: Final = re.compile(r"[^0-9A-Za-z]+", re.ASCII)
_PLACEHOLDER: Final = "[key]"


def clean(text: str, secrets: Sequence[str] = (), most: int = SHOWN_CHARACTERS) -> str:
    """Make a provider's text safe to show: no keys, no control characters, about `most` long.

    A key is redacted however it is spelled: with other characters between its own, in another case,
    reversed, URL-encoded, in hex, base64 and escapes. Any eight of its characters in a row are
    enough.
    """
    text = text[:_READ]
    for secret in secrets:
        text = _redact_whole(text, secret)
    for secret in secrets:  # after that, because a part of one key may stand in another
        text = _redact_parts(text, secret)
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= most else text[:most].rstrip() + "…"


def _redact_whole(text: str, secret: str) -> str:
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    for form in {secret, quote(secret, safe=""), encoded}:
        text = text.replace(form, _PLACEHOLDER)
    return text


def _redact_parts(text: str, secret: str) -> str:
    return text if len(secret) < _PART else _replace(text, _matches(text, secret))


def _matches(text: str, secret: str) -> Sequence[bool]:
    """Mark each character of the text that belongs to a part of the secret."""
    matches = [False] * len(text)
    _mark(matches, text, range(len(text)), {_PART: _parts(secret, _PART)})
    positions = [
        index for index, character in enumerate(text) if character.isascii() and character.isalnum()
    ]
    _mark(matches, _bare(text), positions, _parts_of_spellings(secret))
    return matches


def _mark(
    matches: list[bool], text: str, positions: Sequence[int], parts: Mapping[int, set[str]]
) -> None:
    """Mark where parts occur in `text`, whose characters stand at `positions` of the whole."""
    for length, found in parts.items():
        for start in range(len(text) - length + 1):
            if text[start : start + length] in found:
                first, last = positions[start], positions[start + length - 1]
                matches[first : last + 1] = [True] * (last + 1 - first)


def _parts(text: str, length: int) -> set[str]:
    return {text[start : start + length] for start in range(len(text) - length + 1)}


def _bare(text: str) -> str:
    """Return only the ASCII letters and digits, in lower case."""
    return _NOT_BARE.sub("", text).lower()


def _parts_of_spellings(secret: str) -> dict[int, set[str]]:
    """Return the parts that give eight characters of a secret away, by length."""
    parts: dict[int, set[str]] = {}
    for spelling, length in _spellings(secret):
        parts.setdefault(length, set()).update(_parts(_bare(spelling), length))
    return parts


def _spellings(secret: str) -> Iterator[tuple[str, int]]:
    """Yield spellings of a secret, and how many letters and digits spell eight characters."""
    data = secret.encode()
    yield secret, _PART
    yield secret[::-1], _PART
    yield quote(secret, safe=""), _PART
    yield data.hex(), 2 * _PART
    yield data[::-1].hex(), 2 * _PART
    yield base64.b32encode(data).decode().rstrip("="), 13
    for skipped in range(3):  # as "user:" before a key shifts its base64
        first = -(-skipped * 8 // 6)
        last = (skipped + len(data)) * 8 // 6
        yield base64.b64encode(b"\0" * skipped + data).decode()[first:last], 10
    for escape in ("\\x%02x", "0x%02x", "\\u%04x", "%d", "\\%03o"):
        one = _bare(escape % ord("A"))
        yield "".join(escape % byte for byte in data), len(one) * _PART


def _replace(text: str, matches: Sequence[bool]) -> str:
    pieces: list[str] = []
    for index, character in enumerate(text):
        if not matches[index]:
            pieces.append(character)
        elif index == 0 or not matches[index - 1]:
            pieces.append(_PLACEHOLDER)
    return "".join(pieces)
