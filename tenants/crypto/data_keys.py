"""The data key of a tenant's key pair, which all of its sealed texts share.

Earlier releases can't open texts under a data key. Pairs that they made get none until an operator
says that every machine runs this release; meanwhile new pairs get none either, and texts are sealed
so that all machines open them.
"""

from __future__ import annotations

from uuid import UUID

from Crypto.PublicKey import RSA

from tenants.crypto import envelope
from tenants.models import KeyPair
from tenants.scope import all_tenants, tenant_scope


def writes_data_keys() -> bool:
    """Return whether new key pairs get a data key: if others have one, or there are no others."""
    with all_tenants():
        pairs = KeyPair.objects.all()
        return pairs.exclude(data_key="").exists() or not pairs.exists()


def complete_data_keys() -> int:
    """Give each key pair a data key, and return how many had none. Every machine must run this
    release.
    """
    with all_tenants():
        rows = list(KeyPair.objects.defer("private_sealed").filter(data_key=""))
        return sum(_give(row) for row in rows)


def has_one(tenant_id: UUID, kid: str) -> bool:
    with tenant_scope(tenant_id):
        return KeyPair.objects.filter(tenant=tenant_id, kid=kid).exclude(data_key="").exists()


def make(public: RSA.RsaKey, *, tenant_id: UUID, kid: str) -> str:
    """Return a new data key as it is stored."""
    return envelope.wrap_data_key(envelope.new_data_key(), public=public, tenant=tenant_id, kid=kid)


def _give(row: KeyPair) -> int:
    public = RSA.import_key(row.public_pem)
    if envelope.fingerprint(public) != row.fingerprint:
        return 0  # `verify_keys` reports it
    data_key = make(public, tenant_id=row.tenant_id, kid=row.kid)
    return KeyPair.objects.filter(pk=row.pk, data_key="").update(data_key=data_key)
