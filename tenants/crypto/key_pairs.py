"""Tenants' RSA key pairs and the master keys that guard them: made, loaded, replaced. Used by
tenants.crypto.keys only.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from Crypto.PublicKey import RSA
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.errors import ServiceError
from tenants.audit.trail import SYSTEM, record
from tenants.crypto import envelope
from tenants.crypto import master_keys as master_key_config
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
    """A sealed text does not open. `reason` is for logs: damaged, no_pair, pair_lost, master_key."""

    def __init__(self, reason: str) -> None:
        message = _(
            "The stored key cannot be read. Nothing was sent to the provider. Enter the key again."
        )
        super().__init__("credential_unreadable", message)
        self.reason = reason


class KeysNotReady(ServiceError):
    """The master keys are missing, weak or not the ones that this database was written with:
    nothing is sealed.
    """

    def __init__(self, detail: str) -> None:
        message = _(
            "This server's master keys are not in order, so no key can be stored. Ask the operator."
        )
        super().__init__("keys_not_ready", message)
        self.detail = detail


class TimedCache(Generic[V]):
    """At most `size` values, each for `seconds`, in this process only; the longest unused leaves
    first.
    """

    def __init__(
        self, size: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._size, self._seconds, self._clock = size, seconds, clock
        self._values: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            if self._clock() >= found[0]:
                del self._values[key]
                return None
            self._values.move_to_end(key)
            return found[1]

    def put(self, key: Hashable, value: V) -> None:
        with self._lock:
            self._values[key] = (self._clock() + self._seconds, value)
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._values.clear()

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{len(self)} cached>"


# -------------------------------------------------------------------------------------- master keys


def master_keys() -> MasterKeys:
    """The master keys of now. Raises KeysNotReady where they are missing or weak."""
    try:
        return master_key_config.parse(settings.MODELKEEP_MASTER_KEYS, settings.SECRET_KEY)
    except MasterKeyError as error:
        raise KeysNotReady(str(error)) from None


def master_key_problems() -> list[str]:
    """What is wrong with the master keys, in words for operators; empty when all is well. One
    query.
    """
    try:
        configured = master_keys()
    except KeysNotReady as error:
        return [error.detail]
    problems = []
    for mkid, stored in MasterKeyCheck.objects.order_by("pk").values_list("mkid", "check_value"):
        master = configured.get(mkid)
        if master is None:
            problems.append(
                f"Master key {mkid} is missing: keys in this database were sealed with it."
            )
        elif not master_key_config.is_check_value(master, stored):
            problems.append(
                f"Wrong master key {mkid}: it is not the one that this database was written with."
            )
    return problems


def sealing_master() -> tuple[str, bytes]:
    """(id, key) of the newest master key, after proof that the configured keys are this database's.

    Its check value is stored at its first use, not earlier: a machine that does not know it yet
    must go on working until then. Raises KeysNotReady.
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
    return mkid, master


# ---------------------------------------------------------------------------------------- key pairs


@dataclass(frozen=True, repr=False)
class Pair:
    """A loaded key pair. Never printed, never stored outside of this process."""

    kid: str
    key: RSA.RsaKey

    def __repr__(self) -> str:
        return f"Pair({self.kid}, ********)"


_pairs: TimedCache[Pair] = TimedCache(CACHE_SIZE, CACHE_SECONDS)


def forget_pairs() -> None:
    _pairs.clear()


def make_key_pair(*, tenant: Tenant | UUID, state: str = KeyPair.State.CURRENT) -> KeyPair:
    """Make and store a pair (1 to 2 s: call it outside of requests). One that is there already is
    returned instead.

    Raises KeysNotReady. Tests replace Crypto.PublicKey.RSA.generate with a store of pairs of the
    same size (tests/pairs.py).
    """
    tenant_id = tenant if isinstance(tenant, UUID) else tenant.pk
    with tenant_scope(tenant_id):
        existing = _in_state(tenant_id, state)
        if existing is not None:
            return existing
        mkid, master = sealing_master()
        key = RSA.generate(envelope.RSA_BITS)
        try:
            with transaction.atomic():
                return _store(tenant_id, key, state, mkid, master)
        except IntegrityError:
            # Another process was faster; its pair is as good.
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
    )
    row.save(force_insert=True)
    return row


def prepare_key_pair(tenant_id: UUID) -> None:
    """Have the pair made after this transaction, in a thread of its own. Whoever needs it earlier
    makes it then.
    """
    if settings.MODELKEEP_KEY_PAIRS_IN_BACKGROUND:
        transaction.on_commit(
            lambda: threading.Thread(
                target=partial(_make_in_background, tenant_id), name="key-pair"
            ).start()
        )


def _make_in_background(tenant_id: UUID) -> None:
    try:
        make_key_pair(tenant=tenant_id)
    except Exception:
        logger.exception(
            "the key pair of workspace %s was not made; it will be at its first use", tenant_id
        )
    finally:
        connection.close()


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
    """The tenant's pair of this id, from the cache or the database. Raises CredentialUnreadable."""
    cache_key = (tenant_id, kid, settings.MODELKEEP_MASTER_KEYS)
    found = _pairs.get(cache_key)
    if found is not None:
        return found
    with tenant_scope(tenant_id):
        row = KeyPair.objects.defer(None).filter(tenant=tenant_id, kid=kid)
        try:
            stored = row.first()
        except FieldUnreadable:
            raise CredentialUnreadable("pair_lost") from None
    if stored is None:
        raise CredentialUnreadable("no_pair")
    pair = load_pair(stored)
    _pairs.put(cache_key, pair)
    return pair


def current_pair(tenant_id: UUID) -> Pair:
    """The pair that seals now. Made where there is none; replaced where it is lost, so that keys
    can be entered again.

    The id is asked for each time: after a rotation no process seals with the old pair. Raises
    KeysNotReady.
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
        return load_pair(_replace_lost(tenant_id, row))


def _replace_lost(tenant_id: UUID, lost: KeyPair) -> KeyPair:
    """A lost pair concerns this tenant only. It stays, retired, in case a backup brings it back."""
    sealing_master()  # a wrong master key makes every pair look lost; that must not come here
    logger.error(
        "the key pair %s of workspace %s cannot be opened and is replaced", lost.kid, tenant_id
    )
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
    """next -> current -> retired, in one step for every reader."""
    with tenant_scope(tenant_id):
        Tenant.objects.select_for_update().get(pk=tenant_id)
        KeyPair.objects.filter(tenant=tenant_id, state=KeyPair.State.CURRENT).update(
            state=KeyPair.State.RETIRED, retired=timezone.now()
        )
        KeyPair.objects.filter(pk=row.pk).update(state=KeyPair.State.CURRENT)
        row.state = KeyPair.State.CURRENT


def rewrap(row: KeyPair) -> bool:
    """Seal a stored private key under the newest master key. False if it is already. Raises
    CredentialUnreadable.
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
    """The whole proof for `verify`: the private half opens and belongs to the public half. Raises
    CredentialUnreadable.
    """
    pair = load_pair(row)
    key: Any = pair.key
    belongs = key.n == key.p * key.q and envelope.fingerprint(key) == row.fingerprint
    public = RSA.import_key(row.public_pem)
    if (
        not belongs
        or public.n != key.n
        or public.e != key.e
        or key.size_in_bits() != envelope.RSA_BITS
    ):
        raise CredentialUnreadable("pair_lost")
