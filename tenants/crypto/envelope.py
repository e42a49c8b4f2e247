"""Sealing and opening of one secret text for one tenant: RSA-OAEP around a data key, AES-256-GCM
around the text. Pure.

    token   = "c1." kid "." mkid "." b64u(wrapped) "." b64u(nonce) "." b64u(ciphertext || tag)
    context = length-prefixed: "c1", tenant, provider, endpoint origin, name, row id, row version, kid, mkid
    dek     = 32 random bytes
    wrapped = RSAES-OAEP(public key, SHA-256, MGF1-SHA-256, label = context, dek)
    key     = HKDF-SHA256(dek, salt = pepper[mkid], info = context)
    text    = AES-256-GCM(key, nonce, aad = context, plaintext)

RSA alone tells nothing of who encrypted; the pepper, derived from a master key that the database
does not hold, does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from Crypto.Cipher import AES, PKCS1_OAEP
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Signature.pss import MGF1

from tenants.crypto.master_keys import KEY_ID, derive

RSA_BITS: Final = 3072
DEK_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
LONGEST_TEXT: Final = (
    64 * 1024
)  # bytes of plaintext; provider keys and service account files are far shorter
TOKEN_START: Final = "c1"  # noqa: S105
PRIVATE_START: Final = "k1"

_PART: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class EnvelopeError(ValueError):
    """The envelope does not open: damaged, for another row, tenant, origin or key, or no envelope
    at all.
    """


@dataclass(frozen=True)
class Binding:
    """Where a sealed text belongs. Opened anywhere else it stays shut."""

    tenant: UUID
    provider: str
    origin: str  # "https://host:port" of the endpoint that may receive the text
    name: str  # of the column or field
    row: str
    version: int

    def context(self, kid: str, mkid: str) -> bytes:
        """OAEP label, HKDF info and AAD alike. Every part carries its length: no two bindings share
        one encoding.
        """
        parts = (
            TOKEN_START,
            str(self.tenant),
            self.provider,
            self.origin,
            self.name,
            self.row,
            str(self.version),
            kid,
            mkid,
        )
        return _prefixed(*parts)


@dataclass(frozen=True)
class Token:
    """The parts of a sealed text."""

    kid: str
    mkid: str
    wrapped: bytes
    nonce: bytes
    sealed: bytes


def seal(
    text: str, *, public: RSA.RsaKey, kid: str, mkid: str, pepper: bytes, binding: Binding
) -> str:
    """A token that only the private half of `public` opens, with the same pepper (32 bytes) and
    binding.

    Raises EnvelopeError for a text that is too long.
    """
    plain = text.encode("utf-8")
    if len(plain) > LONGEST_TEXT:
        raise EnvelopeError(f"text of {len(plain)} bytes; at most {LONGEST_TEXT} are sealed")
    context = binding.context(kid, mkid)
    dek = secrets.token_bytes(DEK_BYTES)
    nonce = secrets.token_bytes(NONCE_BYTES)
    cipher = _gcm(derive(dek, context, salt=pepper), nonce, context)
    ciphertext, tag = cipher.encrypt_and_digest(plain)
    wrapped = _oaep(public, context).encrypt(dek)
    return ".".join(
        (TOKEN_START, kid, mkid, _encode(wrapped), _encode(nonce), _encode(ciphertext + tag))
    )


def open_token(token: Token, *, private: RSA.RsaKey, pepper: bytes, binding: Binding) -> str:
    """The text. Raises EnvelopeError, always with the same words: what exactly was wrong is
    nobody's business.
    """
    context = binding.context(token.kid, token.mkid)
    try:
        dek = _oaep(private, context).decrypt(token.wrapped)
        cipher = _gcm(derive(dek, context, salt=pepper), token.nonce, context)
        plain: bytes = cipher.decrypt_and_verify(
            token.sealed[:-TAG_BYTES], token.sealed[-TAG_BYTES:]
        )
        return plain.decode("utf-8")
    except (ValueError, TypeError):
        raise EnvelopeError("the envelope does not open") from None


def parse(text: str) -> Token:
    """Take a token apart. Raises EnvelopeError for anything that `seal` would not have written,
    byte for byte.
    """
    parts = text.split(".")
    if (
        len(parts) != 6
        or parts[0] != TOKEN_START
        or not KEY_ID.fullmatch(parts[1])
        or not KEY_ID.fullmatch(parts[2])
    ):
        raise EnvelopeError("not a sealed text")
    wrapped, nonce, sealed = (_decode(part) for part in parts[3:])
    if (
        len(wrapped) != RSA_BITS // 8
        or len(nonce) != NONCE_BYTES
        or not TAG_BYTES <= len(sealed) <= LONGEST_TEXT + TAG_BYTES
    ):
        raise EnvelopeError("not a sealed text")
    return Token(parts[1], parts[2], wrapped, nonce, sealed)


# --------------------------------------------------------------------------- a tenant's private key


def fingerprint(key: RSA.RsaKey) -> str:
    """SHA-256 in hex of the public half (SubjectPublicKeyInfo, DER)."""
    return hashlib.sha256(key.public_key().export_key("DER")).hexdigest()


def seal_private(key: RSA.RsaKey, *, tenant: UUID, kid: str, mkid: str, master: bytes) -> str:
    """ "k1.mkid.nonce.ciphertext": the private key under a master key, bound to tenant, kid and
    fingerprint.
    """
    context = _prefixed(PRIVATE_START, str(tenant), kid, fingerprint(key), mkid)
    numbers = json.dumps(
        [format(int(part), "x") for part in (key.n, key.e, key.d, key.p, key.q, key.u)]
    )
    nonce = secrets.token_bytes(NONCE_BYTES)
    ciphertext, tag = _gcm(_private_key_key(master, context), nonce, context).encrypt_and_digest(
        numbers.encode("ascii")
    )
    return ".".join((PRIVATE_START, mkid, _encode(nonce), _encode(ciphertext + tag)))


def private_mkid(sealed: str) -> str:
    """The id of the master key that a sealed private key needs. Raises EnvelopeError."""
    parts = sealed.split(".")
    if len(parts) != 4 or parts[0] != PRIVATE_START or not KEY_ID.fullmatch(parts[1]):
        raise EnvelopeError("not a sealed private key")
    return parts[1]


def open_private(
    sealed: str, *, tenant: UUID, kid: str, fingerprint: str, master: bytes
) -> RSA.RsaKey:
    """The key pair. Its numbers are authenticated, so they are not checked again (that costs 34
    ms).

    Raises EnvelopeError.
    """
    mkid = private_mkid(sealed)
    context = _prefixed(PRIVATE_START, str(tenant), kid, fingerprint, mkid)
    nonce, body = (_decode(part) for part in sealed.split(".")[2:])
    try:
        cipher = _gcm(_private_key_key(master, context), nonce, context)
        numbers: list[Any] = json.loads(
            cipher.decrypt_and_verify(body[:-TAG_BYTES], body[-TAG_BYTES:])
        )
    except ValueError:
        raise EnvelopeError("the private key does not open") from None
    n, e, d, p, q, u = (int(number, 16) for number in numbers)
    return RSA.construct((n, e, d, p, q, u), consistency_check=False)


def _private_key_key(master: bytes, context: bytes) -> bytes:
    return derive(master, b"modelkeep/private-key/v1" + context)


# -------------------------------------------------------------------------------------------- parts


def _prefixed(*parts: str) -> bytes:
    encoded = [part.encode("utf-8") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _oaep(key: RSA.RsaKey, label: bytes) -> Any:
    return PKCS1_OAEP.new(
        key, hashAlgo=SHA256, mgfunc=lambda seed, length: MGF1(seed, length, SHA256), label=label
    )


def _gcm(key: bytes, nonce: bytes, aad: bytes) -> Any:
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce, mac_len=TAG_BYTES)
    cipher.update(aad)
    return cipher


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    """Canonical unpadded base64url only: one value has one spelling."""
    if not _PART.fullmatch(text):
        raise EnvelopeError("not a sealed text")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise EnvelopeError("not a sealed text") from None
    if _encode(data) != text:
        raise EnvelopeError("not a sealed text")
    return data
