"""`python -m bench.tenants.rows NUMBER URL FILE`: active tenants, made quickly, beside a server
that is being measured: each has a key pair, an app key and a credential for the provider at URL.
FILE gets the app keys, one a line.

All key pairs have the same numbers, because making one takes a second; each is a pair of its own in
every other way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.utils import timezone  # noqa: E402

from providers.credentials import opening  # noqa: E402
from providers.models import CredentialState, ProviderCredential  # noqa: E402
from tenants.auth import key_format  # noqa: E402
from tenants.auth.permissions import Scope  # noqa: E402
from tenants.crypto import digest_key, envelope, key_pairs  # noqa: E402
from tenants.models import AppKey, KeyPair, Tenant  # noqa: E402
from tenants.scope import all_tenants, tenant_scope  # noqa: E402
from tests.pairs import pair  # noqa: E402

BATCH = 500


def make(number: int, url: str) -> Iterator[str]:
    """Make the tenants and yield the text of each one's app key."""
    for first in range(0, number, BATCH):
        numbers = range(first, min(first + BATCH, number))
        tenants = [Tenant(slug=f"bench-{each}", name=f"Bench {each}") for each in numbers]
        with all_tenants():
            Tenant.objects.bulk_create(tenants)
            KeyPair.objects.bulk_create([_pair(tenant) for tenant in tenants])
            texts = [key_format.new_key() for _tenant in tenants]
            AppKey.objects.bulk_create(map(_app_key, tenants, texts))
        rows = [_credential(tenant, url) for tenant in tenants]
        with all_tenants():
            ProviderCredential.objects.bulk_create(rows)
        yield from texts


def _pair(tenant: Tenant) -> KeyPair:
    mkid, master = _master
    kid, key = os.urandom(8).hex(), pair("bench")
    return KeyPair(
        tenant=tenant,
        kid=kid,
        state=KeyPair.State.CURRENT,
        public_pem=_public_pem,
        fingerprint=envelope.fingerprint(key),
        private_sealed=envelope.seal_private(
            key, tenant=tenant.pk, kid=kid, mkid=mkid, master=master
        ),
    )


def _app_key(tenant: Tenant, text: str) -> AppKey:
    row = AppKey(
        tenant=tenant,
        name="Bench",
        prefix=text[: key_format.PREFIX_LENGTH],
        digest=digest_key.app_key_digest(text),
        scopes=sorted(Scope),
        made_by_command=True,
    )
    digest_key.sign(row, digest_key.load())
    return row


def _credential(tenant: Tenant, url: str) -> ProviderCredential:
    row = ProviderCredential(
        tenant=tenant,
        provider="openai",
        name="Main",
        base_url=url,
        is_active=True,
        state=CredentialState.CONNECTED,
        checked=timezone.now(),
    )
    with tenant_scope(tenant):
        row.sealed = opening.seal_values(
            tenant_id=tenant.pk,
            provider=row.provider,
            base_url=url,
            name=opening.ENVELOPE,
            row_id=row.pk,
            version=row.version,
            secret={"api_key": f"sk-bench-{os.urandom(16).hex()}"},
        )
    return row


if __name__ == "__main__":
    _master = key_pairs.sealing_master()
    _public_pem = pair("bench").public_key().export_key("PEM").decode("ascii")
    with Path(sys.argv[3]).open("w") as file:
        for text in make(int(sys.argv[1]), sys.argv[2]):
            file.write(f"{text}\n")
