"""Make, load and replace tenants' RSA key pairs. Use through tenants.crypto.keys."""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from Crypto.PublicKey import RSA
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.db.connection import release
from core.errors import ServiceError
from tenants.audit.trail import SYSTEM, record
from tenants.crypto import data_keys, digest_key, envelope
from tenants.crypto import master_keys as master_key_config
from tenants.crypto.digest_key import DigestKeyUnavailable
from tenants.crypto.envelope import EnvelopeError
from tenants.crypto.fields import FieldUnreadable
from tenants.crypto.master_keys import MasterKeyError, MasterKeys
from tenants.models import KeyPair, MasterKeyCheck, Tenant
from tenants.scope import tenant_scope

logger = logging.getLogger(__name__)
V = TypeVar("V")

CACHE_SIZE: Final = 256
CACHE_SECONDS: Final = 300.0


class CredentialUnreadable(ServiceError):
    """A sealed text does not open.

    `reason` is for logs: damaged, no_pair, pair_lost or master_key.
    """

    def __init__(self, reason: str) -> None:
        message = _(
            "The stored key cannot be read. Nothing was sent to the provider. Enter the key again."
        )
        super().__init__("credential_unreadable", message)
        self.reason = reason


class KeysNotReady(ServiceError):
    """The master keys are missing, weak or not this database's, so nothing can be sealed."""

    def __init__(self, detail: str) -> None:
        message = _(
            "There is a problem with this server's master keys, so no key can be stored. Ask the "
            "operator."
        )
        super().__init__("keys_not_ready", message)
        self.detail = detail


class TimedCache(Generic[V]):
    """An LRU cache of values that expire after `seconds`; local to the process.

    Args:
        size: Of all values; each counts 1, or what `put` says.
    """

    def __init__(
        self, size: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._seconds, self._clock = size, seconds, clock
        self._size = 0
        self._values: OrderedDict[Hashable, tuple[float, V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            expires, value, _size = self._values.get(key, (math.inf, None, 0))
            if self._clock() >= expires:
                self._drop(key)
                return None
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: Hashable, value: V, *, size: int = 1) -> None:
        with self._lock:
            self._drop(key)
            self._values[key] = (self._clock() + self._seconds, value, size)
            self._size += size
            while self._size > self._most:
                self._drop(next(iter(self._values)))

    def _drop(self, key: Hashable) -> None:
        entry = self._values.pop(key, None)
        if entry is not None:
            self._size -= entry[2]

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self._size = 0

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{len(self)} cached>"


def master_keys() -> MasterKeys:
    """Return the configured master keys. Raises KeysNotReady if they are missing or weak."""
    try:
        return master_key_config.parse(settings.MODELKEEP_MASTER_KEYS, settings.SECRET_KEY)
    except MasterKeyError as error:
        raise KeysNotReady(str(error)) from None


def master_key_problems() -> list[str]:
    """Return the problems with the master keys, as messages for operators. Makes one query."""
    try:
        configured = master_keys()
    except KeysNotReady as error:
        return [error.detail]
    problems = []
    for mkid, stored in MasterKeyCheck.objects.order_by("pk").values_list("mkid", "check_value"):
        master = configured.get(mkid)
        if master is None:
            problems.append(
                f"Master key {mkid} is missing: keys in this database are sealed with it."
            )
        elif not master_key_config.is_check_value(master, stored):
            problems.append(
                f"Wrong master key {mkid}: it is not the key this database was sealed with."
            )
    return problems


def sealing_master() -> tuple[str, bytes]:
    """Return (id, key) of the newest master key after checking all keys against the database.

    Its check value is stored at first use, not earlier, so that machines that don't have the key
    yet keep working until then.

    Raises:
        KeysNotReady: If a key is missing, weak or wrong.
    """
    problems = master_key_problems()
    if problems:
        raise KeysNotReady(" ".join(problems))
    configured = master_keys()
    mkid = configured.newest
    master = configured.by_id[mkid]
    stored, _created = MasterKeyCheck.objects.get_or_create(
        mkid=mkid, defaults={"check_value": master_key_config.check_value(master)}
    )
    if not master_key_config.is_check_value(master, stored.check_value):
        raise KeysNotReady(f"Wrong master key {mkid}: another machine uses a different one.")
    if not stored.digest_key:
        digest_key.store_copy(MasterKeyCheck.objects, mkid, configured)
    return mkid, master


def current_digest_key() -> bytes:
    """Return the digest key as the database has it, making it at first use.

    Raises:
        KeysNotReady: If the master keys cannot be used.
    """
    sealing_master()
    try:
        return digest_key.read()
    except DigestKeyUnavailable as error:
        raise KeysNotReady(str(error)) from None


@dataclass(frozen=True, repr=False)
class Pair:
    """A loaded key pair. Never printed or stored outside this process."""

    kid: str
    key: RSA.RsaKey

    def __repr__(self) -> str:
        return f"Pair({self.kid}, ********)"


_pairs: TimedCache[Pair] = TimedCache(CACHE_SIZE, CACHE_SECONDS)


def forget_pairs() -> None:
    """Clear this process's cache of loaded key pairs."""
    _pairs.clear()


def make_key_pair(*, tenant: Tenant | UUID, state: str = KeyPair.State.CURRENT) -> KeyPair:
    """Return the tenant's key pair in this state, making it if needed.

    Making a pair takes 1 to 2 s, so call this outside requests. Tests replace
    Crypto.PublicKey.RSA.generate with ready pairs of the same size (tests/pairs.py).

    Raises:
        KeysNotReady: If the master keys cannot be used.
    """
    tenant_id = tenant if isinstance(tenant, UUID) else tenant.pk
    with tenant_scope(tenant_id):
        existing = _in_state(tenant_id, state)
        if existing is not None:
            return existing
        mkid, master = sealing_master()
        release()  # others need the connection meanwhile
        key = RSA.generate(envelope.RSA_BITS)
        try:
            with transaction.atomic():
                return _store(tenant_id, key, state, mkid, master)
        except IntegrityError:
            # Another process was faster; use its pair.
            existing = _in_state(tenant_id, state)
            if existing is None:
                raise
            return existing


def _in_state(tenant_id: UUID, state: str) -> KeyPair | None:
    return KeyPair.objects.filter(tenant=tenant_id, state=state).order_by("-created").first()


def _store(tenant_id: UUID, key: RSA.RsaKey, state: str, mkid: str, master: bytes) -> KeyPair:
    kid = secrets.token_hex(8)
    row = KeyPair(
        tenant_id=tenant_id,
        kid=kid,
        state=state,
        public_pem=key.public_key().export_key("PEM").decode("ascii"),
        fingerprint=envelope.fingerprint(key),
        private_sealed=envelope.seal_private(
            key, tenant=tenant_id, kid=kid, mkid=mkid, master=master
        ),
        data_key=data_keys.make(key.public_key(), tenant_id=tenant_id, kid=kid)
        if data_keys.writes_data_keys()
        else "",
    )
    row.save(force_insert=True)
    return row


def load_pair(row: KeyPair) -> Pair:
    """Open a stored pair. Raises CredentialUnreadable."""
    configured = master_keys()
    try:
        sealed = row.private_sealed
        master = configured.get(envelope.private_mkid(sealed))
        if master is None:
            raise CredentialUnreadable("master_key")
        key = envelope.open_private(
            sealed, tenant=row.tenant_id, kid=row.kid, fingerprint=row.fingerprint, master=master
        )
    except (FieldUnreadable, EnvelopeError):
        raise CredentialUnreadable("pair_lost") from None
    return Pair(row.kid, key)


def pair_of(tenant_id: UUID, kid: str) -> Pair:
    """Return a tenant's pair from the cache or the database. Raises CredentialUnreadable."""
    cache_key = (tenant_id, kid, settings.MODELKEEP_MASTER_KEYS)
    cached = _pairs.get(cache_key)
    if cached is not None:
        return cached
    pair = load_pair(row_of(tenant_id, kid))
    _pairs.put(cache_key, pair)
    return pair


def row_of(tenant_id: UUID, kid: str) -> KeyPair:
    """Return a tenant's pair as it is stored. Raises CredentialUnreadable."""
    with tenant_scope(tenant_id):
        try:
            row = KeyPair.objects.defer(None).filter(tenant=tenant_id, kid=kid).first()
        except FieldUnreadable:
            raise CredentialUnreadable("pair_lost") from None
    if row is None:
        raise CredentialUnreadable("no_pair")
    return row


def current_pair(tenant_id: UUID) -> Pair:
    """Return the pair that seals, making it if there is none and replacing it if it is lost.

    The id is read from the database each time, so that no process seals with the old pair after a
    rotation.

    Raises:
        KeysNotReady: If the master keys cannot be used.
    """
    with tenant_scope(tenant_id):
        row = _in_state(tenant_id, KeyPair.State.CURRENT) or make_key_pair(tenant=tenant_id)
    try:
        return pair_of(tenant_id, row.kid)
    except CredentialUnreadable as error:
        if error.reason == "master_key":
            raise KeysNotReady(
                "A master key that sealed a workspace's key pair is missing."
            ) from None
        return load_pair(replace_lost(tenant_id, row))


def replace_lost(tenant_id: UUID, lost: KeyPair) -> KeyPair:
    """Replace a pair that cannot be opened; it stays, retired, in case a backup restores it."""
    sealing_master()  # raises on a wrong master key, which would make every pair look lost
    logger.error("replacing key pair %s of workspace %s: it cannot be opened", lost.kid, tenant_id)
    with tenant_scope(tenant_id):
        new = make_key_pair(tenant=tenant_id, state=KeyPair.State.NEXT)
        promote(tenant_id, new)
        tenant = Tenant.objects.get(pk=tenant_id)
        record(
            tenant=tenant,
            actor=SYSTEM,
            action="key_pair.replaced",
            object_type="key_pair",
            object_id=new.kid,
            details={"lost": lost.kid},
        )
        return KeyPair.objects.defer(None).get(pk=new.pk)


@transaction.atomic
def promote(tenant_id: UUID, row: KeyPair) -> None:
    """Make a pair current and retire the previous one, in one transaction."""
    with tenant_scope(tenant_id):
        Tenant.objects.select_for_update().get(pk=tenant_id)
        KeyPair.objects.filter(tenant=tenant_id, state=KeyPair.State.CURRENT).update(
            state=KeyPair.State.RETIRED, retired=timezone.now()
        )
        KeyPair.objects.filter(pk=row.pk).update(state=KeyPair.State.CURRENT)
        row.state = KeyPair.State.CURRENT


def rewrap(row: KeyPair) -> bool:
    """Re-seal a stored private key under the newest master key.

    Returns:
        False if it already was.

    Raises:
        CredentialUnreadable: If the private key does not open.
    """
    mkid, master = sealing_master()
    try:
        if envelope.private_mkid(row.private_sealed) == mkid:
            return False
    except (FieldUnreadable, EnvelopeError):
        raise CredentialUnreadable("pair_lost") from None
    pair = load_pair(row)
    row.private_sealed = envelope.seal_private(
        pair.key, tenant=row.tenant_id, kid=row.kid, mkid=mkid, master=master
    )
    row.save(update_fields=["private_sealed"])
    return True


def check_pair(row: KeyPair) -> None:
    """Check that the private key opens, matches the public one and opens the data key.

    Raises CredentialUnreadable or EnvelopeError.
    """
    pair = load_pair(row)
    key: Any = pair.key
    public = RSA.import_key(row.public_pem)
    matches = (
        key.n == key.p * key.q
        and envelope.fingerprint(key) == row.fingerprint
        and (public.n, public.e) == (key.n, key.e)
        and key.size_in_bits() == envelope.RSA_BITS
    )
    if not matches:
        raise CredentialUnreadable("pair_lost")
    if row.data_key:
        envelope.unwrap_data_key(row.data_key, private=key, tenant=row.tenant_id, kid=row.kid)
