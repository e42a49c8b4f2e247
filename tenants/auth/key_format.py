"""Format of app keys: prefix, random body, checksum."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

KEY_START: Final = "mk_live_"
BODY_LENGTH: Final = 43  # base62: 256 bits
CHECK_LENGTH: Final = 6
PREFIX_LENGTH: Final = len(KEY_START) + 4  # what is stored in clear and shown

_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY: Final = re.compile(rf"{KEY_START}[0-9A-Za-z]{{{BODY_LENGTH + CHECK_LENGTH}}}", re.ASCII)


# -------------------------------------------------------------------------------- the text of a key


def new_key() -> str:
    """A new app key: the start, 43 random base62 characters and the checksum of both."""
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
    """Whether this can be a key at all. No query is made for what cannot."""
    return bool(_KEY.fullmatch(text)) and text[-CHECK_LENGTH:] == _checksum(text[:-CHECK_LENGTH])


def digest(key: str) -> str:
    """SHA-256 in hex: what is stored. The key holds 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
