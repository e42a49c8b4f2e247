"""Master keys: parsed, refused when weak, and everything that is derived from them. Pure;
settings.py imports it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

KEY_BYTES: Final = 32
# Of 32 random bytes fewer than 16 different ones come once in 10**17 tries.
LEAST_DIFFERENT: Final = 16
# Keys that stand in documents of ours. Whoever copies one shares it with every reader.
EXAMPLES: Final = frozenset(
    base64.b64decode(text)
    for text in (
        "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
        "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=",
    )
)
KEY_ID: Final = re.compile(r"[a-z0-9]{1,16}", re.ASCII)
_HINT: Final = "Make one with: python -m config.first_start --print-master-key"


class MasterKeyError(ValueError):
    """The master keys cannot be used. `code` is missing, malformed, short, repeated, example or
    secret_key.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, repr=False)
class MasterKeys:
    """The installation's master keys, newest first. The newest one seals, every one opens."""

    by_id: dict[str, bytes]

    @property
    def newest(self) -> str:
        return next(iter(self.by_id))

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self.by_id)

    def get(self, mkid: str) -> bytes | None:
        return self.by_id.get(mkid)

    def __repr__(self) -> str:
        return f"MasterKeys({', '.join(self.by_id)})"


@lru_cache(maxsize=8)
def parse(text: str, secret_key: str = "") -> MasterKeys:
    """Read "m2:<base64 of 32 bytes>,m1:<...>". `secret_key` is Django's, which no master key may
    equal.

    Raises MasterKeyError.
    """
    if not text.strip():
        raise MasterKeyError("missing", f"MODELKEEP_MASTER_KEYS is empty. {_HINT}")
    found: dict[str, bytes] = {}
    for entry in text.split(","):
        mkid, separator, encoded = entry.strip().partition(":")
        if not separator or not KEY_ID.fullmatch(mkid):
            raise MasterKeyError(
                "malformed",
                f"A master key is written as id:base64, with an id of small letters and digits. {_HINT}",
            )
        key = _decode(mkid, encoded)
        if mkid in found or key in found.values():
            raise MasterKeyError("repeated", f"Master key {mkid} is there twice.")
        _refuse_weak(mkid, key, encoded, secret_key)
        found[mkid] = key
    return MasterKeys(found)


def _decode(mkid: str, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise MasterKeyError("malformed", f"Master key {mkid} is not base64. {_HINT}") from None
    if len(key) != KEY_BYTES:
        raise MasterKeyError(
            "short",
            f"Master key {mkid} has {len(key)} bytes; {KEY_BYTES} random bytes are needed. {_HINT}",
        )
    return key


def _refuse_weak(mkid: str, key: bytes, encoded: str, secret_key: str) -> None:
    if secret_key and (
        encoded in secret_key or key == secret_key.encode() or key == _decoded(secret_key)
    ):
        raise MasterKeyError(
            "secret_key", f"Master key {mkid} equals SECRET_KEY. Use a key of its own. {_HINT}"
        )
    if key in EXAMPLES:
        raise MasterKeyError(
            "example", f"Master key {mkid} is the one of the documentation. {_HINT}"
        )
    # 32 random bytes are never all printable; a typed sentence is.
    if len(set(key)) < LEAST_DIFFERENT or all(32 <= byte < 127 for byte in key):
        raise MasterKeyError("example", f"Master key {mkid} is not random. {_HINT}")


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def derive(master: bytes, info: bytes, *, salt: bytes = b"") -> bytes:
    """32 bytes by HKDF-SHA256. `info` names the purpose, so that no two purposes share a key."""
    derived = HKDF(master, KEY_BYTES, salt, SHA256, context=info)
    assert isinstance(derived, bytes)
    return derived


def pepper(master: bytes) -> bytes:
    """What every envelope's key needs besides the RSA pair: without it a writer of the database
    forges nothing.
    """
    return derive(master, b"modelkeep/pepper/v1")


def check_value(master: bytes) -> str:
    """64 hex digits that tell whether this is the same master key as before, and nothing else about
    it.
    """
    return derive(master, b"modelkeep/check/v1").hex()


def is_check_value(master: bytes, stored: str) -> bool:
    return hmac.compare_digest(check_value(master), stored)


def field_key(master: bytes) -> str:
    """The Fernet key of django-encrypted-model-fields that belongs to a master key."""
    return base64.urlsafe_b64encode(derive(master, b"modelkeep/field/v1")).decode("ascii")


def field_keys(keys: MasterKeys) -> list[str]:
    """Fernet keys for FIELD_ENCRYPTION_KEY, newest first."""
    return [field_key(master) for master in keys.by_id.values()]


def field_keys_or_placeholder(text: str, secret_key: str) -> list[str]:
    """FIELD_ENCRYPTION_KEY for settings.py, which must load even where the master keys are not
    usable.

    The package wants a key at import. The placeholder is a hash of nothing secret and is used for
    nothing: our only encrypted column asks for the real keys each time and raises where there are
    none.
    """
    try:
        return field_keys(parse(text, secret_key))
    except MasterKeyError:
        return [
            base64.urlsafe_b64encode(hashlib.sha256(b"modelkeep: no master key").digest()).decode(
                "ascii"
            )
        ]
