"""Parse and validate master keys and derive keys from them. Imported by settings.py."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

KEY_BYTES: Final = 32
# 32 random bytes have fewer than 16 different values about once in 10**17 keys.
LEAST_DIFFERENT: Final = 16
# Keys that appear in our documentation; a copied one is known to every reader.
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
    """The master keys cannot be used.

    `code` is missing, malformed, short, repeated, example or secret_key.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, repr=False)
class MasterKeys:
    """The installation's master keys, newest first. The newest seals; all of them open."""

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
    """Parse the setting MODELKEEP_MASTER_KEYS.

    Args:
        text: "m2:<base64 of 32 bytes>,m1:<...>", newest first.
        secret_key: Django's SECRET_KEY, which must not be used as a master key.

    Raises:
        MasterKeyError: If a key is missing, malformed or weak.
    """
    if not text.strip():
        raise MasterKeyError("missing", f"MODELKEEP_MASTER_KEYS is empty. {_HINT}")
    keys: dict[str, bytes] = {}
    for entry in text.split(","):
        mkid, separator, encoded = entry.strip().partition(":")
        if not separator or not KEY_ID.fullmatch(mkid):
            raise MasterKeyError(
                "malformed",
                "Write each master key as id:base64, with an id of lower-case letters and digits. "
                f"{_HINT}",
            )
        key = _decode(mkid, encoded)
        if mkid in keys or key in keys.values():
            raise MasterKeyError("repeated", f"Master key {mkid} is listed twice.")
        _refuse_weak(mkid, key, encoded, secret_key)
        keys[mkid] = key
    return MasterKeys(keys)


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
            "secret_key", f"Master key {mkid} equals SECRET_KEY. Use a separate key. {_HINT}"
        )
    if key in EXAMPLES:
        raise MasterKeyError(
            "example", f"Master key {mkid} is an example from the documentation. {_HINT}"
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
    """Derive 32 bytes with HKDF-SHA256. `info` names the purpose, so each has its own key."""
    derived = HKDF(master, KEY_BYTES, salt, SHA256, context=info)
    assert isinstance(derived, bytes)
    return derived


def pepper(master: bytes) -> bytes:
    """Derive the pepper mixed into every envelope key.

    Without it, write access to the database is not enough to forge envelopes.
    """
    return derive(master, b"modelkeep/pepper/v1")


def check_value(master: bytes) -> str:
    """Derive the 64 hex digits that identify a master key without revealing it."""
    return derive(master, b"modelkeep/check/v1").hex()


def is_check_value(master: bytes, stored: str) -> bool:
    return hmac.compare_digest(check_value(master), stored)


def field_key(master: bytes) -> str:
    """Derive the Fernet key for django-encrypted-model-fields from a master key."""
    return base64.urlsafe_b64encode(derive(master, b"modelkeep/field/v1")).decode("ascii")


def field_keys(keys: MasterKeys) -> list[str]:
    """Return the Fernet keys for FIELD_ENCRYPTION_KEY, newest first."""
    return [field_key(master) for master in keys.by_id.values()]


def field_keys_or_placeholder(text: str, secret_key: str) -> list[str]:
    """Return FIELD_ENCRYPTION_KEY for settings.py, which must load even without usable keys.

    The package needs a key at import. The placeholder is not secret and never encrypts anything:
    our only encrypted field reads the real keys each time and raises if there are none.
    """
    try:
        return field_keys(parse(text, secret_key))
    except MasterKeyError:
        placeholder = hashlib.sha256(b"modelkeep: no master key").digest()
        return [base64.urlsafe_b64encode(placeholder).decode("ascii")]


def write_once(path: Path, text: str) -> bool:
    """Write a secret readable only by its owner, unless the file exists.

    If two processes start at once, the first one's secret stays.

    Returns:
        False if the file already existed.
    """
    if path.exists():
        return False
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename, never overwrites
    except FileExistsError:
        return False
    finally:
        partial.unlink()
    return True
