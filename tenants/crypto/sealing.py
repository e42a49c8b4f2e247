"""Seal, open and mask secret texts of a tenant. Use through tenants.crypto.keys."""

from __future__ import annotations

from functools import partial
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

from tenants.audit import openings
from tenants.crypto import data_keys, envelope, key_pairs, master_keys
from tenants.crypto.envelope import Binding, EnvelopeError, Token
from tenants.crypto.key_pairs import CredentialUnreadable, Pair, TimedCache
from tenants.models import KeyPair

PURPOSES: Final = frozenset({"call", "check", "import", "rotate", "verify"})
UNCACHED: Final = frozenset({"rotate", "verify"})  # must read what is stored
DOTS: Final = "•" * 8
_PORTS: Final = {"https": 443, "http": 80}


class Secret(str):
    """A string whose repr is masked in tracebacks, logs and debuggers."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "********"


class DataKey(bytes):
    """Bytes whose repr is masked in tracebacks, logs and debuggers."""

    def __repr__(self) -> str:
        return "********"


OPENED_BYTES: Final = 16 * 1024 * 1024
_BYTES_EACH: Final = 1024  # besides the token and the text
_opened: TimedCache[Secret] = TimedCache(OPENED_BYTES, key_pairs.CACHE_SECONDS)
# Opening a data key is an operation of RSA; a tenant's further texts then cost microseconds.
DATA_KEYS: Final = 65_536  # in a process, about 20 MB
DATA_KEY_SECONDS: Final = 3600.0
_data_keys: TimedCache[DataKey] = TimedCache(DATA_KEYS, DATA_KEY_SECONDS)


def forget() -> None:
    """Clear this process's caches of opened texts, data keys and loaded key pairs."""
    _opened.clear()
    _data_keys.clear()
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
    """Seal a text into a token bound to its tenant, provider, origin, column, row and version.

    Args:
        tenant_id: The tenant whose key pair seals the text.
        provider: The provider's slug.
        base_url: The effective base URL; the provider's default if the tenant set none.
        name: Name of the column or field.
        row_id: Primary key of the row.
        version: Version of the row.
        text: The secret.

    Raises:
        KeysNotReady: If the master keys cannot be used.
    """
    mkid, master = key_pairs.sealing_master()
    pair, data_key = _sealing_key(tenant_id)
    binding = _binding(tenant_id, provider, base_url, name, row_id, version)
    seal_text = (
        partial(envelope.seal_first, public=pair.key.public_key())
        if data_key is None
        else partial(envelope.seal, data_key=data_key)
    )
    pepper = master_keys.pepper(master)
    return seal_text(text, kid=pair.kid, mkid=mkid, pepper=pepper, binding=binding)


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
    """Open a token right before its text is used. Openings that miss the cache are counted.

    Args:
        tenant_id: As passed to `seal`, like the other parts of the binding.
        provider: As passed to `seal`.
        base_url: As passed to `seal`.
        name: As passed to `seal`.
        row_id: As passed to `seal`.
        version: As passed to `seal`.
        token: The sealed text.
        purpose: One of PURPOSES.
        subject: Name of the row in KeyOpening, such as "credential:<id>".

    Raises:
        CredentialUnreadable: If the token does not open.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"purpose {purpose!r} is not one of {sorted(PURPOSES)}")
    binding = _binding(tenant_id, provider, base_url, name, row_id, version)
    # The key includes the token and the master keys, so any change misses the cache.
    cache_key = (settings.MODELKEEP_MASTER_KEYS, binding, token)
    cached = None if purpose in UNCACHED else _opened.get(cache_key)
    if cached is not None:
        return cached
    text = Secret(_open(token, binding))
    openings.count(tenant_id=tenant_id, purpose=purpose, subject=subject)
    if purpose not in UNCACHED:
        _opened.put(cache_key, text, size=len(token) + len(text) + _BYTES_EACH)
    return text


def _open(token: str, binding: Binding) -> str:
    configured = key_pairs.master_keys()
    try:
        parsed = envelope.parse(token)
        master = configured.get(parsed.mkid)
        if master is None:
            raise CredentialUnreadable("master_key")
        data_key = _data_key(parsed, binding)
        return envelope.open_token(
            parsed, data_key=data_key, pepper=master_keys.pepper(master), binding=binding
        )
    except EnvelopeError:
        raise CredentialUnreadable("damaged") from None


def _data_key(token: Token, binding: Binding) -> bytes:
    if not token.is_first_format:
        return _data_key_of(binding.tenant, token.kid)
    pair = key_pairs.pair_of(binding.tenant, token.kid)
    return envelope.unwrap_token(token, private=pair.key, binding=binding)


def _sealing_key(tenant_id: UUID) -> tuple[Pair, DataKey | None]:
    """Return the pair that seals and its data key, if it has one. A lost one is replaced.

    Raises:
        KeysNotReady: The master keys cannot be used.
    """
    pair = key_pairs.current_pair(tenant_id)
    if not data_keys.has_one(tenant_id, pair.kid):
        return pair, None
    try:
        return pair, _data_key_of(tenant_id, pair.kid)
    except CredentialUnreadable:
        row = key_pairs.replace_lost(tenant_id, key_pairs.row_of(tenant_id, pair.kid))
        return key_pairs.load_pair(row), _unwrapped(row)


def _data_key_of(tenant_id: UUID, kid: str) -> DataKey:
    """Return the data key of a pair, from the cache or the database.

    Raises:
        CredentialUnreadable: It does not open, or there is none.
    """
    cache_key = (tenant_id, kid, settings.MODELKEEP_MASTER_KEYS)
    kept = _data_keys.get(cache_key)
    if kept is None:
        kept = _unwrapped(key_pairs.row_of(tenant_id, kid))
        _data_keys.put(cache_key, kept)
    return kept


def _unwrapped(row: KeyPair) -> DataKey:
    pair = key_pairs.load_pair(row)
    try:
        return DataKey(
            envelope.unwrap_data_key(
                row.data_key, private=pair.key, tenant=row.tenant_id, kid=row.kid
            )
        )
    except EnvelopeError:
        raise CredentialUnreadable("data_key_lost") from None


def _binding(
    tenant_id: UUID, provider: str, base_url: str, name: str, row_id: str, version: int
) -> Binding:
    return Binding(tenant_id, provider, origin_of(base_url), name, str(row_id), version)


def origin_of(url: str) -> str:
    """Return the lower-case "scheme://host:port" of a URL, always with a port; "" for "".

    Raises:
        ValueError: If it is not an http or https URL.
    """
    if not url:
        return ""
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in _PORTS or not host:
        raise ValueError("not an http or https URL")
    if ":" in host:  # IPv6
        host = f"[{host}]"
    return f"{parts.scheme}://{host}:{parts.port or _PORTS[parts.scheme]}"


def mask(secret: str) -> str:
    """Mask a secret: eight dots, plus the last 4 characters if it has at least 20."""
    return DOTS + (secret[-4:] if len(secret) >= 20 else "")
