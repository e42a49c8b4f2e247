"""The installation's digest key: what app keys are hashed with and their rights signed with.

It is random and made once. MasterKeyCheck holds a copy for each master key, sealed with it, so
digests stay valid when master keys change, and whoever can write to the database can neither add
an app key nor give one to another workspace.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from core.db.connection import execute
from tenants.crypto import envelope
from tenants.crypto.envelope import EnvelopeError
from tenants.crypto.master_keys import MasterKeyError, MasterKeys, parse

logger = logging.getLogger(__name__)
PURPOSE: Final = "app-keys"
KEY_BYTES: Final = 32
NO_PROOF: Final = ""  # instead of a revoked key's signature
# Not through the models, which import this module's users.
COPIES_SQL: Final = "SELECT mkid, digest_key FROM tenants_masterkeycheck ORDER BY id"
APP_KEYS_SQL: Final = "SELECT 1 FROM tenants_appkey LIMIT 1"
_cached: list[bytes] = []  # the digest key, once it is loaded


class DigestKeyUnavailable(Exception):
    """No configured master key opens a copy of the digest key, or all copies are lost."""


def app_key_digest(key: str, secret: bytes | None = None) -> str:
    """Return the digest under which an app key is stored.

    The key has 256 random bits, so a slow hash is not needed. It is hashed before, because earlier
    releases stored that hash and an upgrade could compute the digest from it.

    Args:
        key: The app key.
        secret: The digest key; by default, as `load` returns it.

    Raises:
        DigestKeyUnavailable: If the master keys do not open the digest key.
    """
    hashed = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
    return digest_of_hash(hashed, secret or load())


def digest_of_hash(hashed: str, secret: bytes) -> str:
    """Return the digest of an app key from its SHA-256 in hex."""
    keyed = _keyed(secret).copy()
    keyed.update(hashed.encode("ascii"))
    return keyed.hexdigest()


@lru_cache(maxsize=1)
def _keyed(secret: bytes) -> hmac.HMAC:
    """Return the beginning of the HMAC of every app key, which is the same in all calls."""
    return hmac.new(secret, b"key/", "sha256")


def proof_of(
    *,
    digest: str,
    key_id: UUID,
    tenant_id: UUID,
    scopes: Iterable[str],
    limits: Iterable[Iterable[str]],
    created_by_id: int | None,
    made_by_command: bool,
    expires: datetime | None,
    secret: bytes,
) -> str:
    """Return the signature of what an app key is and may do, and until when.

    Args:
        limits: The allowed providers, models and operations.
        expires: Aware; None means never, which is signed as earlier releases signed all keys.
        secret: The digest key.
    """
    lists = [sorted(values) for values in (scopes, *limits)]
    owner = [created_by_id, bool(made_by_command)]
    signed: list[Any] = [digest, str(key_id), str(tenant_id), lists, owner]
    if expires is not None:
        signed.append(expires.astimezone(UTC).isoformat())
    text = json.dumps(signed)
    return hmac.digest(secret, b"row/" + text.encode("ascii"), "sha256").hex()


def sign(row: Any, secret: bytes) -> None:
    """Set the signature of an AppKey that is about to be saved."""
    row.proof = proof_of_row(row, secret)


def is_genuine(row: Any) -> bool:
    """Return whether the product made an AppKey as it is stored. Raises DigestKeyUnavailable."""
    return hmac.compare_digest(row.proof, proof_of_row(row, load()))


def proof_of_row(row: Any, secret: bytes) -> str:
    """Return the signature of an AppKey as it is. That of a revoked key is deleted instead."""
    return proof_of(
        digest=row.digest,
        key_id=row.pk,
        tenant_id=row.tenant_id,
        scopes=row.scopes,
        limits=(row.allowed_providers, row.allowed_models, row.allowed_operations),
        created_by_id=row.created_by_id,
        made_by_command=row.made_by_command,
        expires=row.expires,
        secret=secret,
    )


def is_loaded() -> bool:
    """Return whether `load` makes no query, so that asynchronous code may call it."""
    return bool(_cached)


def load() -> bytes:
    """Return the digest key, from the database the first time.

    Raises:
        DigestKeyUnavailable: If the master keys do not open it.
    """
    if _cached:
        return _cached[0]
    stored = _stored()
    if stored is None:  # no app keys either: there is nothing that another one could match
        return secrets.token_bytes(KEY_BYTES)
    _cached[:] = [stored]
    return stored


def read() -> bytes:
    """Return the digest key as the database has it now, for a new app key.

    It is not kept, because a transaction that made it may be rolled back. What was kept is dropped
    if it is another, as after a database was restored.

    Raises:
        DigestKeyUnavailable: If the master keys do not open it, or there is none.
    """
    stored = _stored()
    if stored is None:
        raise DigestKeyUnavailable("there is no digest key")
    if _cached and _cached[0] != stored:
        forget()
    return stored


def _stored() -> bytes | None:
    stored = _opened(execute(COPIES_SQL), _configured())
    if stored is None and _has_app_keys():
        raise DigestKeyUnavailable("the database has lost the digest key of its app keys")
    return stored


def forget() -> None:
    """Clear this process's copy."""
    _cached.clear()
    _keyed.cache_clear()


@transaction.atomic
def store_copy(checks: Any, mkid: str, configured: MasterKeys) -> None:
    """Store a copy for a master key, making the digest key if there is none yet.

    Args:
        checks: MasterKeyCheck's manager.
        mkid: The master key; it has a row already.
        configured: The installation's master keys.
    """
    rows = checks.select_for_update().order_by("pk").values_list("mkid", "digest_key")
    secret = _opened(list(rows), configured)
    if secret is None:
        if _has_app_keys():
            logger.error("The database has lost the digest key: its app keys do not work")
            return
        secret = secrets.token_bytes(KEY_BYTES)
    sealed = envelope.seal_secret(secret, purpose=PURPOSE, mkid=mkid, master=configured.by_id[mkid])
    checks.filter(mkid=mkid, digest_key="").update(digest_key=sealed)


def _opened(rows: Iterable[tuple[Any, ...]], configured: MasterKeys) -> bytes | None:
    """Return the digest key from the first copy that opens, or None if there is no copy.

    Args:
        rows: Ids of master keys with their copies, which may be empty.
        configured: The installation's master keys.

    Raises:
        DigestKeyUnavailable: If there are copies and none opens.
    """
    copies = [(mkid, sealed) for mkid, sealed in rows if sealed]
    for mkid, sealed in copies:
        master = configured.get(mkid)
        if master is None:
            continue
        try:
            return envelope.open_secret(sealed, purpose=PURPOSE, mkid=mkid, master=master)
        except EnvelopeError:
            logger.error("Master key %s does not open its copy of the digest key", mkid)
    if copies:
        raise DigestKeyUnavailable("no master key opens the digest key of the app keys")
    return None


def _configured() -> MasterKeys:
    try:
        return parse(settings.MODELKEEP_MASTER_KEYS, settings.SECRET_KEY)
    except MasterKeyError as error:
        raise DigestKeyUnavailable(str(error)) from None


def _has_app_keys() -> bool:
    return bool(execute(APP_KEYS_SQL))
