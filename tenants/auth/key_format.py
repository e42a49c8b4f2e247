"""Format of app keys: prefix, random body, checksum."""

from __future__ import annotations

import re
import secrets
import string
import zlib
from typing import Final

KEY_START: Final = "mk_live_"
BODY_LENGTH: Final = 43  # base62: 256 bits
CHECK_LENGTH: Final = 6
PREFIX_LENGTH: Final = len(KEY_START) + 4  # stored in plain text and shown

_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY: Final = re.compile(rf"{KEY_START}[0-9A-Za-z]{{{BODY_LENGTH + CHECK_LENGTH}}}", re.ASCII)


def new_key() -> str:
    """Generate an app key: KEY_START, 43 random base62 characters, and a checksum of both."""
    body = KEY_START + "".join(secrets.choice(_BASE62) for _position in range(BODY_LENGTH))
    return body + _checksum(body)


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode("ascii"))
    digits = ""
    for _position in range(CHECK_LENGTH):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def is_well_formed(text: str) -> bool:
    """Return whether the text has the format of an app key; saves a query if it doesn't."""
    return bool(_KEY.fullmatch(text)) and text[-CHECK_LENGTH:] == _checksum(text[:-CHECK_LENGTH])
