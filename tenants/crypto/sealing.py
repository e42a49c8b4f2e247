"""Seal a tenant's secret text, open it in one place only, and show a mask of it. Used through
tenants.crypto.keys.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from tenants.crypto import envelope, key_pairs, master_keys
from tenants.crypto.envelope import Binding, EnvelopeError
from tenants.crypto.key_pairs import CredentialUnreadable, TimedCache
from tenants.models import KeyOpening
from tenants.scope import tenant_scope

PURPOSES: Final = frozenset({"call", "check", "import", "rotate", "verify"})
UNCACHED: Final = frozenset({"rotate", "verify"})  # these must see what is stored
DOTS: Final = "•" * 8
_PORTS: Final = {"https": 443, "http": 80}


class Secret(str):
    """A text that does not show itself in tracebacks, logs and debuggers."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "********"


_opened: TimedCache[Secret] = TimedCache(key_pairs.CACHE_SIZE, key_pairs.CACHE_SECONDS)


def forget() -> None:
    """Drop every opened text and every loaded pair of this process."""
    _opened.clear()
    key_pairs.forget_pairs()


def seal(
    *,
    tenant_id: UUID,
    provider: str,
    base_url: str,
    name: str,
    row_id: str,
    version: int,
    text: str,
) -> str:
    """A token that opens only for the same tenant, provider, endpoint origin, column, row and
    version.

    `base_url` is the effective one: the provider's own where the tenant typed none. Raises
    KeysNotReady.
    """
    mkid, master = key_pairs.sealing_master()
    pair = key_pairs.current_pair(tenant_id)
    binding = _binding(tenant_id, provider, base_url, name, row_id, version)
    return envelope.seal(
        text,
        public=pair.key,
        kid=pair.kid,
        mkid=mkid,
        pepper=master_keys.pepper(master),
        binding=binding,
    )


def open_sealed(
    *,
    tenant_id: UUID,
    provider: str,
    base_url: str,
    name: str,
    row_id: str,
    version: int,
    token: str,
    purpose: str,
    subject: str,
) -> Secret:
    """The text: called right before it is used, and nowhere else. Each real opening is counted in
    KeyOpening.

    `purpose` is one of PURPOSES; `subject` names the row for the count, such as "credential:<id>".
    Raises CredentialUnreadable; a text that does not open is never returned, whole or in part.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"purpose {purpose!r} is none of {sorted(PURPOSES)}")
    binding = _binding(tenant_id, provider, base_url, name, row_id, version)
    # The token itself is part of the key, and so are the master keys: whatever changes, the cache
    # misses.
    cache_key = (settings.MODELKEEP_MASTER_KEYS, binding, token)
    found = None if purpose in UNCACHED else _opened.get(cache_key)
    if found is not None:
        return found
    text = Secret(_open(token, binding))
    _count(tenant_id, purpose, subject)
    if purpose not in UNCACHED:
        _opened.put(cache_key, text)
    return text


def _open(token: str, binding: Binding) -> str:
    configured = key_pairs.master_keys()
    try:
        parsed = envelope.parse(token)
        master = configured.get(parsed.mkid)
        if master is None:
            raise CredentialUnreadable("master_key")
        pair = key_pairs.pair_of(binding.tenant, parsed.kid)
        return envelope.open_token(
            parsed, private=pair.key, pepper=master_keys.pepper(master), binding=binding
        )
    except EnvelopeError:
        raise CredentialUnreadable("damaged") from None


def _binding(
    tenant_id: UUID, provider: str, base_url: str, name: str, row_id: str, version: int
) -> Binding:
    return Binding(tenant_id, provider, origin_of(base_url), name, str(row_id), version)


def origin_of(url: str) -> str:
    """ "scheme://host:port", in small letters, the port always written; "" for no URL. Raises
    ValueError for none that is one.
    """
    if not url:
        return ""
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in _PORTS or not host:
        raise ValueError("not an http or https URL")
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or _PORTS[parts.scheme]}"


def _count(tenant_id: UUID, purpose: str, subject: str) -> None:
    with tenant_scope(tenant_id):
        same = KeyOpening.objects.filter(
            tenant=tenant_id, day=timezone.now().date(), purpose=purpose, subject=subject
        )
        if same.update(count=F("count") + 1):
            return
        try:
            with transaction.atomic():
                KeyOpening.objects.create(
                    tenant_id=tenant_id,
                    day=timezone.now().date(),
                    purpose=purpose,
                    subject=subject,
                    count=1,
                )
        except IntegrityError:
            same.update(count=F("count") + 1)


def mask(secret: str) -> str:
    """Eight dots, whatever the length, and the last 4 characters of a key of 20 or more: never more
    than a fifth of it.
    """
    return DOTS + (secret[-4:] if len(secret) >= 20 else "")
