"""The data key of a tenant's key pair, which all of its sealed texts share.

Opening it is an operation of RSA, so a process does that once and keeps it for a while: a tenant's
further texts cost microseconds.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.conf import settings

from tenants.crypto import envelope, key_pairs
from tenants.crypto.envelope import EnvelopeError
from tenants.crypto.key_pairs import CredentialUnreadable, Pair, TimedCache
from tenants.models import KeyPair
from tenants.scope import tenant_scope

KEPT: Final = 65_536  # in a process, about 20 MB
KEPT_SECONDS: Final = 3600.0


class DataKey(bytes):
    """Bytes whose repr is masked in tracebacks, logs and debuggers."""

    def __repr__(self) -> str:
        return "********"


_keys: TimedCache[DataKey] = TimedCache(KEPT, KEPT_SECONDS)


def forget() -> None:
    """Clear this process's cache of data keys."""
    _keys.clear()


def data_key_of(tenant_id: UUID, kid: str) -> DataKey:
    """Return the data key of a pair, from the cache or the database.

    Raises:
        CredentialUnreadable: It does not open, or there is none.
    """
    cache_key = (tenant_id, kid, settings.MODELKEEP_MASTER_KEYS)
    kept = _keys.get(cache_key)
    if kept is None:
        kept = _opened(key_pairs.row_of(tenant_id, kid))
        _keys.put(cache_key, kept)
    return kept


def sealing_key(tenant_id: UUID) -> tuple[str, DataKey]:
    """Return (kid, data key) of the pair that seals.

    A pair of an earlier release gets its data key now; one that cannot be opened is replaced.

    Raises:
        KeysNotReady: The master keys cannot be used.
    """
    pair = key_pairs.current_pair(tenant_id)
    try:
        return pair.kid, _made(tenant_id, pair)
    except CredentialUnreadable:
        row = key_pairs.replace_lost(tenant_id, key_pairs.row_of(tenant_id, pair.kid))
        return row.kid, _opened(row)


def _made(tenant_id: UUID, pair: Pair) -> DataKey:
    with tenant_scope(tenant_id):
        rows = KeyPair.objects.filter(tenant=tenant_id, kid=pair.kid)
        if rows.filter(data_key="").exists():
            rows.filter(data_key="").update(
                data_key=envelope.wrap_data_key(
                    envelope.new_data_key(),
                    public=pair.key.public_key(),
                    tenant=tenant_id,
                    kid=pair.kid,
                )
            )
    return data_key_of(tenant_id, pair.kid)


def _opened(row: KeyPair) -> DataKey:
    pair = key_pairs.load_pair(row)
    try:
        return DataKey(
            envelope.unwrap_data_key(
                row.data_key, private=pair.key, tenant=row.tenant_id, kid=row.kid
            )
        )
    except EnvelopeError:
        raise CredentialUnreadable("data_key_lost") from None
