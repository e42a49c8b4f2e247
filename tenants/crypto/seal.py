"""Encrypt what clients keep for a workspace and send back, such as the ids of their conversations.

    key   = HKDF-SHA256(digest key, info = purpose, tenant), 64 bytes
    token = b64u(nonce || tag || AES-256-SIV(key, nonce, aad = purpose, context, data))
    id    = b64u(tag || AES-256-SIV(key, aad = purpose, data)), always the same for the same data

Unlike an envelope, it takes microseconds, needs no query and is bound to no row. It opens as long
as the installation keeps its digest key, which outlives changes of the master keys.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from functools import lru_cache
from typing import Final
from uuid import UUID

from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

from tenants.crypto import digest_key

_PURPOSE: Final = b"modelkeep/kept-by-clients/v1"
_IDS_PURPOSE: Final = b"modelkeep/ids/v1"
_KEY_BYTES: Final = 64  # SIV takes two keys of 256 bits
_NONCE_BYTES: Final = 16
_TAG_BYTES: Final = 16


class Seal:
    """Seals bytes for one workspace, and opens them for no other.

    Args:
        tenant_id: The workspace.
    """

    __slots__ = ("_tenant_id",)

    def __init__(self, tenant_id: UUID) -> None:
        self._tenant_id = tenant_id

    def seal(self, data: bytes, context: bytes = b"") -> str:
        """Return a token of letters, digits, "-" and "_".

        Args:
            context: What the token is for, such as the name of its row; it opens with no other.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed, tag = self._cipher(nonce, context).encrypt_and_digest(data)
        return base64.urlsafe_b64encode(nonce + tag + sealed).rstrip(b"=").decode()

    def open(self, token: str, context: bytes = b"") -> bytes | None:
        """Return what was sealed; None, without a reason, for anything that does not open."""
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            nonce, rest = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            cipher = self._cipher(nonce, context)
            opened = cipher.decrypt_and_verify(rest[_TAG_BYTES:], rest[:_TAG_BYTES])
        except (ValueError, binascii.Error):
            return None
        return bytes(opened)

    def _cipher(self, nonce: bytes, context: bytes) -> AES.SivMode:  # type: ignore[name-defined]  # a stub's gap
        key = _key(digest_key.load(), self._tenant_id, _PURPOSE)
        cipher = AES.new(key, AES.MODE_SIV, nonce=nonce)
        cipher.update(_PURPOSE)
        if context:
            cipher.update(context)
        return cipher


class IdSeal:
    """Seals what an id stands for. The same data always has the same id in a workspace.

    Args:
        tenant_id: The workspace.
    """

    __slots__ = ("_tenant_id",)

    def __init__(self, tenant_id: UUID) -> None:
        self._tenant_id = tenant_id

    def seal(self, data: bytes) -> str:
        """Return an id of letters, digits, "-" and "_"."""
        sealed, tag = self._cipher().encrypt_and_digest(data)
        return base64.urlsafe_b64encode(tag + sealed).rstrip(b"=").decode()

    def open(self, text: str) -> bytes | None:
        """Return what an id stands for; None for any text but the id itself."""
        try:
            raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            opened = bytes(self._cipher().decrypt_and_verify(raw[_TAG_BYTES:], raw[:_TAG_BYTES]))
        except (ValueError, binascii.Error):
            return None
        # A last character may hold bits that are not read.
        return opened if self.seal(opened) == text else None

    def _cipher(self) -> AES.SivMode:  # type: ignore[name-defined]  # a stub's gap
        key = _key(digest_key.load(), self._tenant_id, _IDS_PURPOSE)
        cipher = AES.new(key, AES.MODE_SIV)
        cipher.update(_IDS_PURPOSE)
        return cipher


@lru_cache(maxsize=1024)
def _key(secret: bytes, tenant_id: UUID, purpose: bytes) -> bytes:
    derived = HKDF(secret, _KEY_BYTES, b"", SHA256, context=purpose + tenant_id.bytes)
    assert isinstance(derived, bytes)
    return derived
