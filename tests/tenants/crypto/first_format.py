"""Sealed texts in the format "c1", as earlier releases wrote them."""

from __future__ import annotations

import base64
from typing import Any

from Crypto.Cipher import AES, PKCS1_OAEP
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Random import get_random_bytes
from Crypto.Signature.pss import MGF1

from tenants.crypto import envelope, key_pairs, master_keys, sealing
from tenants.crypto.envelope import Binding
from tenants.scope import tenant_scope
from tests.tenants.conftest import binding


def oaep(key: RSA.RsaKey, label: bytes) -> Any:
    return PKCS1_OAEP.new(key, SHA256, lambda seed, length: MGF1(seed, length, SHA256), label)


def sealed_first(
    text: str, *, public: RSA.RsaKey, kid: str, mkid: str, pepper: bytes, binding: Binding
) -> str:
    context = binding.context(kid, mkid, "c1")
    data_key, nonce = get_random_bytes(32), get_random_bytes(12)
    cipher = AES.new(master_keys.derive(data_key, context, salt=pepper), AES.MODE_GCM, nonce=nonce)
    cipher.update(context)
    sealed = b"".join(cipher.encrypt_and_digest(text.encode()))
    parts = (oaep(public, context).encrypt(data_key), nonce, sealed)
    return ".".join(["c1", kid, mkid, *map(envelope._encode, parts)])


def move_back(row: Any, text: str) -> None:
    """Store a row's text in the first format, and its key pair as it was then: without data key."""
    mkid, master = key_pairs.sealing_master()
    pair = key_pairs.current_pair(row.tenant_id)
    row.sealed = sealed_first(
        text,
        public=pair.key.public_key(),
        kid=pair.kid,
        mkid=mkid,
        pepper=master_keys.pepper(master),
        binding=sealing._binding(
            row.tenant_id,
            *(binding(row)[part] for part in ("provider", "base_url", "name", "row_id")),
            row.version,
        ),
    )
    with tenant_scope(row.tenant_id):
        row.save(update_fields=["sealed"])
        key_pairs.KeyPair.objects.filter(kid=pair.kid).update(data_key="")
    sealing.forget()


def opened_first(row: Any) -> str:
    """Open a row's text as earlier releases did, which know no other format."""
    start, kid, mkid, *parts = row.sealed.split(".")
    assert start == "c1"
    wrapped, nonce, sealed = (base64.urlsafe_b64decode(f"{part}==") for part in parts)
    place = sealing._binding(
        row.tenant_id,
        *(binding(row)[part] for part in ("provider", "base_url", "name", "row_id")),
        row.version,
    )
    context = place.context(kid, mkid, start)
    data_key = oaep(key_pairs.pair_of(row.tenant_id, kid).key, context).decrypt(wrapped)
    pepper = master_keys.pepper(key_pairs.master_keys().by_id[mkid])
    key = master_keys.derive(data_key, context, salt=pepper)
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce)
    cipher.update(context)
    return cipher.decrypt_and_verify(sealed[:-16], sealed[-16:]).decode()
