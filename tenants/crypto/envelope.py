"""Envelope encryption of a secret text: RSA-OAEP for the data key, AES-256-GCM for the text.

    token    = "c2." kid "." mkid "." b64u(nonce) "." b64u(ciphertext || tag)
    context  = length-prefixed: "c2", tenant, provider, endpoint origin, name, row id, row version,
               kid, mkid
    data key = 32 random bytes per key pair, kept beside it as
               "d1." b64u(RSAES-OAEP(public key, SHA-256, MGF1-SHA-256, label, data key))
               with label = length-prefixed: "d1", tenant, kid
    key      = HKDF-SHA256(data key, salt = pepper[mkid], info = context)
    text     = AES-256-GCM(key, nonce, aad = context, plaintext)

RSA does not authenticate who encrypted. The pepper does: it is derived from a master key, which is
not in the database.

Tokens that begin with "c1" each bring a data key of their own, wrapped with its context as label,
as the fourth part. Opening one takes an operation of RSA. They are what earlier releases write and
open, so a key pair without a data key has them.
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
# Bytes of plaintext. Provider keys and service account files are far shorter.
LONGEST_TEXT: Final = 64 * 1024
TOKEN_START: Final = "c2"  # noqa: S105
FIRST_TOKEN_START: Final = "c1"  # noqa: S105
DATA_KEY_START: Final = "d1"
PRIVATE_START: Final = "k1"
SECRET_START: Final = "s1"  # noqa: S105

_DOES_NOT_OPEN: Final = "the envelope does not open"
_PART: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class EnvelopeError(ValueError):
    """The text is not an envelope, is damaged, or belongs to another row, tenant, origin or key."""


@dataclass(frozen=True)
class Binding:
    """The place a sealed text belongs to. It opens nowhere else."""

    tenant: UUID
    provider: str
    origin: str  # "https://host:port" of the endpoint that may receive the text
    name: str  # of the column or field
    row: str
    version: int

    def context(self, kid: str, mkid: str, start: str = TOKEN_START) -> bytes:
        """Return the HKDF info and AAD, in the first format also the OAEP label.

        Parts are length-prefixed, so that no two bindings share an encoding.
        """
        return _prefixed(
            start,
            str(self.tenant),
            self.provider,
            self.origin,
            self.name,
            self.row,
            str(self.version),
            kid,
            mkid,
        )


@dataclass(frozen=True)
class Token:
    """The parts of a sealed text. `wrapped` is empty if the data key is that of the key pair."""

    kid: str
    mkid: str
    wrapped: bytes
    nonce: bytes
    sealed: bytes

    @property
    def is_first_format(self) -> bool:
        return bool(self.wrapped)

    def context(self, binding: Binding) -> bytes:
        start = FIRST_TOKEN_START if self.is_first_format else TOKEN_START
        return binding.context(self.kid, self.mkid, start)


def new_data_key() -> bytes:
    return secrets.token_bytes(DEK_BYTES)


def wrap_data_key(data_key: bytes, *, public: RSA.RsaKey, tenant: UUID, kid: str) -> str:
    """Return the data key of a key pair as it is stored: "d1.wrapped"."""
    wrapped = _oaep(public, _prefixed(DATA_KEY_START, str(tenant), kid)).encrypt(data_key)
    return f"{DATA_KEY_START}.{_encode(wrapped)}"


def unwrap_data_key(text: str, *, private: RSA.RsaKey, tenant: UUID, kid: str) -> bytes:
    """Open the data key of a key pair. Raises EnvelopeError if it does not open."""
    start, _dot, wrapped = text.partition(".")
    if start != DATA_KEY_START:
        raise EnvelopeError("not a data key")
    return _unwrap(_decode(wrapped), private, _prefixed(DATA_KEY_START, str(tenant), kid))


def unwrap_token(token: Token, *, private: RSA.RsaKey, binding: Binding) -> bytes:
    """Open the data key that a token of the first format brings.

    Raises:
        EnvelopeError: Always with the same message, as `open_token`.
    """
    return _unwrap(token.wrapped, private, token.context(binding))


def _unwrap(wrapped: bytes, private: RSA.RsaKey, label: bytes) -> bytes:
    try:
        data_key = bytes(_oaep(private, label).decrypt(wrapped))
    except (ValueError, TypeError):
        data_key = b""
    if len(data_key) != DEK_BYTES:
        raise EnvelopeError(_DOES_NOT_OPEN)
    return data_key


def seal(
    text: str, *, data_key: bytes, kid: str, mkid: str, pepper: bytes, binding: Binding
) -> str:
    """Seal a text.

    Args:
        text: The secret, at most LONGEST_TEXT bytes in UTF-8.
        data_key: Of the tenant's key pair.
        kid: Id of the key pair.
        mkid: Id of the master key.
        pepper: 32 bytes derived from the master key.
        binding: The place the text belongs to.

    Raises:
        EnvelopeError: If the text is too long.
    """
    context = binding.context(kid, mkid)
    nonce, sealed = _sealed(text, data_key, pepper, context)
    return ".".join((TOKEN_START, kid, mkid, _encode(nonce), _encode(sealed)))


def seal_first(
    text: str, *, public: RSA.RsaKey, kid: str, mkid: str, pepper: bytes, binding: Binding
) -> str:
    """Seal a text in the first format, which all releases open.

    Args:
        public: The public half of the tenant's key pair; the others as for `seal`.

    Raises:
        EnvelopeError: If the text is too long.
    """
    context, data_key = binding.context(kid, mkid, FIRST_TOKEN_START), new_data_key()
    nonce, sealed = _sealed(text, data_key, pepper, context)
    parts = (_oaep(public, context).encrypt(data_key), nonce, sealed)
    return ".".join((FIRST_TOKEN_START, kid, mkid, *map(_encode, parts)))


def _sealed(text: str, data_key: bytes, pepper: bytes, context: bytes) -> tuple[bytes, bytes]:
    """Return a new nonce, and the text encrypted with it."""
    plain = text.encode("utf-8")
    if len(plain) > LONGEST_TEXT:
        raise EnvelopeError(f"the text has {len(plain)} bytes; the limit is {LONGEST_TEXT}")
    nonce = secrets.token_bytes(NONCE_BYTES)
    cipher = _gcm(derive(data_key, context, salt=pepper), nonce, context)
    ciphertext, tag = cipher.encrypt_and_digest(plain)
    return nonce, ciphertext + tag


def open_token(token: Token, *, data_key: bytes, pepper: bytes, binding: Binding) -> str:
    """Open a token.

    Args:
        data_key: Of the key pair, or the one that the token brings.

    Raises:
        EnvelopeError: Always with the same message, so that it doesn't reveal what was wrong.
    """
    context = token.context(binding)
    try:
        cipher = _gcm(derive(data_key, context, salt=pepper), token.nonce, context)
        plain: bytes = cipher.decrypt_and_verify(
            token.sealed[:-TAG_BYTES], token.sealed[-TAG_BYTES:]
        )
        return plain.decode("utf-8")
    except (ValueError, TypeError):
        raise EnvelopeError(_DOES_NOT_OPEN) from None


def parse(text: str) -> Token:
    """Parse a token.

    Raises:
        EnvelopeError: If the text is not in the exact form that is written.
    """
    start, *ids = text.split(".")
    parts = ids[2:]
    if (
        len(parts) != {TOKEN_START: 2, FIRST_TOKEN_START: 3}.get(start)
        or not KEY_ID.fullmatch(ids[0])
        or not KEY_ID.fullmatch(ids[1])
    ):
        raise EnvelopeError("not a sealed text")
    *wrapped, nonce, sealed = (_decode(part) for part in parts)
    if (
        any(len(key) != RSA_BITS // 8 for key in wrapped)
        or len(nonce) != NONCE_BYTES
        or not TAG_BYTES <= len(sealed) <= LONGEST_TEXT + TAG_BYTES
    ):
        raise EnvelopeError("not a sealed text")
    return Token(ids[0], ids[1], b"".join(wrapped), nonce, sealed)


def fingerprint(key: RSA.RsaKey) -> str:
    """Return the SHA-256 in hex of the public key (SubjectPublicKeyInfo, DER)."""
    return hashlib.sha256(key.public_key().export_key("DER")).hexdigest()


def seal_private(key: RSA.RsaKey, *, tenant: UUID, kid: str, mkid: str, master: bytes) -> str:
    """Seal a private key with a master key, bound to tenant, kid and fingerprint.

    Returns:
        "k1.mkid.nonce.ciphertext".
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
    """Return the id of the master key that opens a sealed private key. Raises EnvelopeError."""
    parts = sealed.split(".")
    if len(parts) != 4 or parts[0] != PRIVATE_START or not KEY_ID.fullmatch(parts[1]):
        raise EnvelopeError("not a sealed private key")
    return parts[1]


def open_private(
    sealed: str, *, tenant: UUID, kid: str, fingerprint: str, master: bytes
) -> RSA.RsaKey:
    """Open a sealed private key.

    Its numbers are authenticated, so the consistency check (34 ms) is skipped.

    Raises:
        EnvelopeError: If it does not open.
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


def seal_secret(secret: bytes, *, purpose: str, mkid: str, master: bytes) -> str:
    """Seal a secret of the installation with a master key, bound to its purpose.

    Returns:
        "s1.mkid.nonce.ciphertext".
    """
    context = _prefixed(SECRET_START, purpose, mkid)
    nonce = secrets.token_bytes(NONCE_BYTES)
    cipher = _gcm(derive(master, b"modelkeep/secret/v1" + context), nonce, context)
    ciphertext, tag = cipher.encrypt_and_digest(secret)
    return ".".join((SECRET_START, mkid, _encode(nonce), _encode(ciphertext + tag)))


def open_secret(sealed: str, *, purpose: str, mkid: str, master: bytes) -> bytes:
    """Open a sealed secret of the installation. Raises EnvelopeError if it does not open."""
    parts = sealed.split(".")
    if len(parts) != 4 or parts[:2] != [SECRET_START, mkid]:
        raise EnvelopeError("not a sealed secret")
    context = _prefixed(SECRET_START, purpose, mkid)
    nonce, body = _decode(parts[2]), _decode(parts[3])
    try:
        cipher = _gcm(derive(master, b"modelkeep/secret/v1" + context), nonce, context)
        secret: bytes = cipher.decrypt_and_verify(body[:-TAG_BYTES], body[-TAG_BYTES:])
    except ValueError:
        raise EnvelopeError("the secret does not open") from None
    return secret


def _private_key_key(master: bytes, context: bytes) -> bytes:
    return derive(master, b"modelkeep/private-key/v1" + context)


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
    """Decode canonical unpadded base64url; other spellings of the same bytes are rejected."""
    if not _PART.fullmatch(text):
        raise EnvelopeError("not a sealed text")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise EnvelopeError("not a sealed text") from None
    if _encode(data) != text:
        raise EnvelopeError("not a sealed text")
    return data
