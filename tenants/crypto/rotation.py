"""Key rotation without downtime, and `verify`, which opens everything. Used through
tenants.crypto.keys.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from django.db import models

from core.errors import ServiceError
from tenants.audit.trail import Actor, record
from tenants.config_version import bump_version
from tenants.crypto import envelope, sealing
from tenants.crypto import key_pairs as key_pair_store
from tenants.crypto.envelope import EnvelopeError
from tenants.crypto.key_pairs import CredentialUnreadable
from tenants.models import KeyPair, MasterKeyCheck, Tenant, TenantOwned
from tenants.scope import tenant_scope

logger = logging.getLogger(__name__)
Getter = Callable[[Any], Any]
TRIES: Final = 3  # per row, when somebody writes it at the same moment


@dataclass(frozen=True)
class SealedColumn:
    """A model with columns `sealed` and `version`, and how the parts of a row's binding are found."""

    model: Any  # a model class
    name: str
    provider: Getter
    base_url: Getter  # the effective one
    tenant_id: Getter
    subject: Getter

    def keys_of(self, tenant_id: UUID) -> list[Any]:
        """Primary keys of the tenant's rows that hold a sealed text."""
        rows: Any = self.model.objects.exclude(sealed="").order_by("pk")
        if issubclass(self.model, TenantOwned):
            return list(rows.filter(tenant=tenant_id).values_list("pk", flat=True))
        return [row.pk for row in rows if self.tenant_id(row) == tenant_id]

    def tokens_of(self, tenant_id: UUID) -> list[str]:
        """The tenant's sealed texts themselves."""
        rows: Any = self.model.objects.exclude(sealed="")
        if issubclass(self.model, TenantOwned):
            return list(rows.filter(tenant=tenant_id).values_list("sealed", flat=True))
        return [row.sealed for row in rows if self.tenant_id(row) == tenant_id]

    def get(self, pk: Any) -> Any:
        """The row as it is now, or None if it is gone or sealed no more."""
        return self.model.objects.exclude(sealed="").filter(pk=pk).first()

    def binding(self, row: Any) -> dict[str, Any]:
        return {
            "tenant_id": self.tenant_id(row),
            "provider": self.provider(row),
            "base_url": self.base_url(row),
            "name": self.name,
            "row_id": str(row.pk),
        }

    def open(self, row: Any, purpose: str) -> str:
        return sealing.open_sealed(
            **self.binding(row),
            version=row.version,
            token=row.sealed,
            purpose=purpose,
            subject=self.subject(row),
        )


_columns: dict[type[models.Model], SealedColumn] = {}


def register_sealed(
    model: type[models.Model],
    *,
    name: str,
    provider: str | Getter,
    base_url: str | Getter,
    tenant_id: str | Getter = "tenant_id",
    subject: str | Getter | None = None,
) -> None:
    """Let rotation re-seal and `verify` open this model's `sealed` column. Called in
    AppConfig.ready().

    `name` is what `seal` is called with. The others are functions of a row, or names of its
    attributes; `base_url` gives the effective one. `subject` names a row in counts
    ("credential:<id>"); without it the name and the primary key do.
    """
    _columns[model] = SealedColumn(
        model,
        name,
        _getter(provider),
        _getter(base_url),
        _getter(tenant_id),
        _getter(subject or (lambda row: f"{name}:{row.pk}")),
    )


def sealed_columns() -> tuple[SealedColumn, ...]:
    return tuple(_columns.values())


def _getter(what: str | Getter) -> Getter:
    return attrgetter(what) if isinstance(what, str) else what


@dataclass
class RotationReport:
    """Counts of sealed texts and key pairs: what was looked at, what was sealed anew, what could
    not be.
    """

    kid: str = ""
    processed: int = 0
    succeeded: int = 0
    failed: int = 0
    leftovers: int = 0  # of the succeeded ones: were still under an earlier pair
    resumed: bool = False
    complete: bool = True  # every sealed text was looked at
    failures: list[str] = field(default_factory=list)

    def fail(self, what: str, reason: str) -> None:
        self.failed += 1
        self.failures.append(f"{what}: {reason}")

    def add(self, other: RotationReport) -> None:
        self.processed += other.processed
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.failures += other.failures


@dataclass
class VerifyReport:
    """What `verify` opened."""

    key_pairs: int = 0
    key_pairs_failed: int = 0
    sealed: int = 0
    sealed_failed: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return self.key_pairs_failed + self.sealed_failed


# ----------------------------------------------------------------------------------------- rotation


def rotate(*, tenant: Tenant, actor: Actor, new_pair: bool = True) -> RotationReport:
    """Give a tenant a new key pair and seal everything anew under it and under the newest master
    key.

    Calls go on meanwhile: old texts open with the retired pair until they are sealed anew. A run
    that was interrupted is finished by the next one, which then makes no further pair. With
    `new_pair` False only the master key is renewed. Raises KeysNotReady before anything is changed.
    """
    key_pair_store.sealing_master()
    report = RotationReport()
    with tenant_scope(tenant):
        _rewrap_pairs(tenant, report)
        # What an earlier run left over is done first. Where there was something, this run is that
        # one's end.
        rest = reseal(tenant)
        report.add(rest)
        started = KeyPair.objects.filter(tenant=tenant, state=KeyPair.State.NEXT).exists()
        report.resumed = started or rest.leftovers > 0
        if new_pair and (started or not rest.leftovers):
            row = key_pair_store.make_key_pair(tenant=tenant, state=KeyPair.State.NEXT)
            key_pair_store.promote(tenant.pk, row)
            report.add(reseal(tenant))
        current = key_pair_store.current_pair(tenant.pk)
        report.kid = current.kid
        record(
            tenant=tenant,
            actor=actor,
            action="key_pair.rotated" if new_pair else "master_key.renewed",
            object_type="key_pair",
            object_id=current.kid,
            details={
                "processed": report.processed,
                "succeeded": report.succeeded,
                "failed": report.failed,
            },
        )
    bump_version(tenant.pk)
    sealing.forget()
    return report


@dataclass(frozen=True)
class Progress:
    """How far a tenant's sealed texts are: `done` of `total` are under the current pair and the
    newest master key.
    """

    total: int
    done: int

    @property
    def left(self) -> int:
        return self.total - self.done


def progress(*, tenant: Tenant) -> Progress:
    """Read from the texts themselves, so that it is right after an interruption too. One query for
    each sealed column and one more.
    """
    row = KeyPair.objects.filter(tenant=tenant, state=KeyPair.State.CURRENT).first()
    kid, mkid = (row.kid if row else ""), key_pair_store.master_keys().newest
    tokens = [token for column in sealed_columns() for token in column.tokens_of(tenant.pk)]
    return Progress(len(tokens), sum(_is_under(token, kid, mkid) for token in tokens))


def begin_rotation(*, tenant: Tenant, actor: Actor) -> Progress:
    """Give a tenant a new key pair; `continue_rotation` seals the texts anew. Where an earlier
    rotation is under way, nothing changes.

    Texts that no longer open, and those that only wait for a newer master key, keep nobody from
    getting a new pair.

    Making a pair takes 1 to 2 s. Raises KeysNotReady before anything is changed.
    """
    key_pair_store.sealing_master()
    before = progress(tenant=tenant)
    if before.left and _is_under_way(tenant):
        return before
    _rewrap_pairs(tenant, RotationReport())
    row = key_pair_store.make_key_pair(tenant=tenant, state=KeyPair.State.NEXT)
    key_pair_store.promote(tenant.pk, row)
    bump_version(tenant.pk)
    sealing.forget()
    now = progress(tenant=tenant)
    _record(tenant, actor, "key_pair.rotated", row.kid, total=now.total)
    return now


def _is_under_way(tenant: Tenant) -> bool:
    """Whether a text that opens is still under an earlier pair."""
    kid = key_pair_store.current_pair(tenant.pk).kid
    for column, pk in _sealed_rows(tenant.pk):
        row = column.get(pk)
        try:
            if row is not None and envelope.parse(row.sealed).kid != kid:
                column.open(row, "rotate")
                return True
        except (EnvelopeError, ServiceError):
            continue
    return False


def continue_rotation(*, tenant: Tenant, actor: Actor, seconds: float = 2.0) -> RotationReport:
    """Seal anew what is left, for so many seconds at most; calls go on meanwhile. Raises
    KeysNotReady.
    """
    report = reseal(tenant, until=time.monotonic() + seconds)
    sealing.forget()
    if report.succeeded:
        bump_version(tenant.pk)
    if report.complete and report.succeeded:
        kid = key_pair_store.current_pair(tenant.pk).kid
        _record(
            tenant,
            actor,
            "key_pair.resealed",
            kid,
            succeeded=report.succeeded,
            failed=report.failed,
        )
    return report


def _record(tenant: Tenant, actor: Actor, action: str, kid: str, **counts: int) -> None:
    record(
        tenant=tenant,
        actor=actor,
        action=action,
        object_type="key_pair",
        object_id=kid,
        object_label=kid,
        details=counts,
    )


def _rewrap_pairs(tenant: Tenant, report: RotationReport) -> None:
    for row in KeyPair.objects.filter(tenant=tenant).order_by("pk"):
        report.processed += 1
        try:
            report.succeeded += key_pair_store.rewrap(row)
        except CredentialUnreadable as error:
            # A lost pair that is retired was replaced long ago; texts under it are counted where
            # they are.
            if row.state != KeyPair.State.RETIRED:
                report.fail(f"key pair {row.kid}", error.reason)


def reseal(tenant: Tenant, *, until: float | None = None) -> RotationReport:
    """Seal anew what is not under the tenant's current pair and the newest master key. Inside the
    tenant's scope.

    until: of the monotonic clock; what is not done by then is left to the next run (`complete` is
    False).
    """
    report = RotationReport()
    pair = key_pair_store.current_pair(tenant.pk)
    mkid, _master = key_pair_store.sealing_master()
    for column, pk in _sealed_rows(tenant.pk):
        if until is not None and report.succeeded and time.monotonic() >= until:
            report.complete = False
            break
        report.processed += 1
        try:
            before = _reseal_row(column, pk, pair.kid, mkid)
            report.succeeded += before is not None
            report.leftovers += before not in (None, pair.kid)
        except ServiceError as error:
            reason = getattr(error, "reason", error.code)
            report.fail(f"{column.name} {pk}", reason)
            logger.error(
                "%s %s of %s was not sealed anew: %s", column.name, pk, tenant.slug, reason
            )
    return report


def _sealed_rows(tenant_id: UUID) -> Iterator[tuple[SealedColumn, Any]]:
    for column in sealed_columns():
        for pk in column.keys_of(tenant_id):
            yield column, pk


def _reseal_row(column: SealedColumn, pk: Any, kid: str, mkid: str) -> str | None:
    """Seal a row anew; the id of the pair it was under, or None where nothing was to do.

    Written only if nobody wrote the row meanwhile; else it is looked at again.
    """
    for _try in range(TRIES):
        row = column.get(pk)
        if row is None or _is_under(row.sealed, kid, mkid):
            return None
        text = column.open(row, "rotate")
        token = sealing.seal(**column.binding(row), version=row.version + 1, text=text)
        rows: Any = column.model.objects.filter(pk=pk, sealed=row.sealed, version=row.version)
        if rows.update(sealed=token, version=row.version + 1):
            return envelope.parse(row.sealed).kid
    raise ServiceError("busy", "the row was written by others each time")


def _is_under(token: str, kid: str, mkid: str) -> bool:
    try:
        parsed = envelope.parse(token)
    except EnvelopeError:
        return False
    return (parsed.kid, parsed.mkid) == (kid, mkid)


def retire_master_keys() -> list[str]:
    """After a rotation of every tenant without failures: older master keys are not needed any more.
    Returns their ids.
    """
    newest, _master = key_pair_store.sealing_master()
    old = MasterKeyCheck.objects.exclude(mkid=newest)
    ids = list(old.values_list("mkid", flat=True))
    old.delete()
    return ids


# ------------------------------------------------------------------------------------------- verify


def verify(*, tenant: Tenant | None = None) -> VerifyReport:
    """Open every key pair and every sealed text of one tenant or of all, and count. Changes nothing
    but the count of openings.
    """
    report = VerifyReport()
    sealing.forget()
    for one in [tenant] if tenant is not None else Tenant.objects.order_by("slug"):
        with tenant_scope(one):
            _verify_pairs(one, report)
            _verify_sealed(one, report)
    return report


def _verify_pairs(tenant: Tenant, report: VerifyReport) -> None:
    for row in KeyPair.objects.filter(tenant=tenant).order_by("pk"):
        report.key_pairs += 1
        try:
            key_pair_store.check_pair(row)
        except (ServiceError, ValueError) as error:
            report.key_pairs_failed += 1
            report.failures.append(
                f"{tenant.slug}: key pair {row.kid} ({row.state}): {getattr(error, 'reason', 'damaged')}"
            )


def _verify_sealed(tenant: Tenant, report: VerifyReport) -> None:
    for column, pk in _sealed_rows(tenant.pk):
        row = column.get(pk)
        if row is None:
            continue
        report.sealed += 1
        try:
            column.open(row, "verify")
        except ServiceError as error:
            report.sealed_failed += 1
            report.failures.append(
                f"{tenant.slug}: {column.name} {pk}: {getattr(error, 'reason', error.code)}"
            )
