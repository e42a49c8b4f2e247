"""Rotate a tenant's key pair without downtime."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from core.errors import ServiceError
from tenants.audit.trail import Actor, record
from tenants.config_version import bump_version
from tenants.crypto import data_keys, envelope, key_pairs, sealing
from tenants.crypto.envelope import EnvelopeError
from tenants.crypto.key_pairs import CredentialUnreadable
from tenants.crypto.sealed_columns import SealedColumn, sealed_columns, sealed_rows
from tenants.models import KeyPair, MasterKeyCheck, Tenant
from tenants.scope import tenant_scope

logger = logging.getLogger(__name__)
MAX_ATTEMPTS: Final = 3  # per row, in case of concurrent writes


@dataclass
class RotationReport:
    """Counts of the sealed texts and key pairs that a rotation processed."""

    kid: str = ""
    processed: int = 0
    succeeded: int = 0
    failed: int = 0
    leftovers: int = 0  # re-sealed texts that were still under an earlier pair
    resumed: bool = False
    complete: bool = True  # every sealed text was processed
    failures: list[str] = field(default_factory=list)

    def fail(self, name: str, reason: str) -> None:
        self.failed += 1
        self.failures.append(f"{name}: {reason}")

    def add(self, other: RotationReport) -> None:
        self.processed += other.processed
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.failures += other.failures


def rotate(*, tenant: Tenant, actor: Actor, new_pair: bool = True) -> RotationReport:
    """Give a tenant a new key pair and re-seal everything under it and the newest master key.

    Calls keep working meanwhile: texts open with the retired pair until they are re-sealed. A run
    after an interrupted one finishes it without making another pair.

    Args:
        tenant: The workspace.
        actor: Recorded in the audit trail.
        new_pair: False moves to the newest master key and keeps the key pair.

    Raises:
        KeysNotReady: Before anything is changed.
    """
    key_pairs.sealing_master()
    report = RotationReport()
    with tenant_scope(tenant):
        _rewrap_pairs(tenant, report)
        # Finish an earlier, interrupted run first. If it left anything, this run only completes it.
        remainder = reseal(tenant)
        report.add(remainder)
        started = KeyPair.objects.filter(tenant=tenant, state=KeyPair.State.NEXT).exists()
        report.resumed = started or remainder.leftovers > 0
        if new_pair and (started or not remainder.leftovers):
            _make_and_promote(tenant)
            report.add(reseal(tenant))
        report.kid = key_pairs.current_pair(tenant.pk).kid
        record(
            tenant=tenant,
            actor=actor,
            action="key_pair.rotated" if new_pair else "master_key.renewed",
            object_type="key_pair",
            object_id=report.kid,
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
    """How many sealed texts are under the current key pair and the newest master key."""

    total: int
    done: int

    @property
    def left(self) -> int:
        return self.total - self.done


def progress(*, tenant: Tenant) -> Progress:
    """Return the progress of a rotation, with one query plus one per sealed column.

    It is read from the texts themselves, so it is right after an interruption too.
    """
    row = KeyPair.objects.filter(tenant=tenant, state=KeyPair.State.CURRENT).first()
    kid, mkid = (row.kid if row else ""), key_pairs.master_keys().newest
    tokens = [token for column in sealed_columns() for token in column.tokens_of(tenant.pk)]
    return Progress(len(tokens), sum(_is_under(token, kid, mkid) for token in tokens))


def begin_rotation(*, tenant: Tenant, actor: Actor) -> Progress:
    """Give a tenant a new key pair; `continue_rotation` then re-seals the texts.

    Does nothing while an earlier rotation is in progress. Texts that no longer open, and texts
    that only need the newest master key, don't count as such. Making a pair takes 1 to 2 s.

    Raises:
        KeysNotReady: Before anything is changed.
    """
    key_pairs.sealing_master()
    before = progress(tenant=tenant)
    if before.left and _is_in_progress(tenant):
        return before
    _rewrap_pairs(tenant, RotationReport())
    row = _make_and_promote(tenant)
    bump_version(tenant.pk)
    sealing.forget()
    after = progress(tenant=tenant)
    _record(tenant, actor, "key_pair.rotated", row.kid, total=after.total)
    return after


def _is_in_progress(tenant: Tenant) -> bool:
    """Return whether a text that opens is still under an earlier pair."""
    kid = key_pairs.current_pair(tenant.pk).kid
    for column, pk in sealed_rows(tenant.pk):
        row = column.get(pk)
        try:
            if row is not None and envelope.parse(row.sealed).kid != kid:
                column.open(row, "rotate")
                return True
        except (EnvelopeError, ServiceError):
            continue
    return False


def continue_rotation(*, tenant: Tenant, actor: Actor, seconds: float = 2.0) -> RotationReport:
    """Re-seal the remaining texts for at most `seconds`.

    Raises:
        KeysNotReady: If the master keys cannot be used.
    """
    report = reseal(tenant, until=time.monotonic() + seconds)
    sealing.forget()
    if not report.succeeded:
        return report
    bump_version(tenant.pk)
    if report.complete:
        kid = key_pairs.current_pair(tenant.pk).kid
        counts = {"succeeded": report.succeeded, "failed": report.failed}
        _record(tenant, actor, "key_pair.resealed", kid, **counts)
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


def _make_and_promote(tenant: Tenant) -> KeyPair:
    row = key_pairs.make_key_pair(tenant=tenant, state=KeyPair.State.NEXT)
    key_pairs.promote(tenant.pk, row)
    return row


def _rewrap_pairs(tenant: Tenant, report: RotationReport) -> None:
    for row in KeyPair.objects.filter(tenant=tenant).order_by("pk"):
        report.processed += 1
        try:
            report.succeeded += key_pairs.rewrap(row)
        except CredentialUnreadable as error:
            # A lost pair that is retired has been replaced; its texts are counted by `reseal`.
            if row.state != KeyPair.State.RETIRED:
                report.fail(f"key pair {row.kid}", error.reason)


def reseal(tenant: Tenant, *, until: float | None = None) -> RotationReport:
    """Re-seal texts not yet under the current pair and newest master key, or in an old format.

    Call inside the tenant's scope.

    Args:
        tenant: The workspace.
        until: Deadline on the monotonic clock; `complete` is False if it passes before the end.
    """
    report = RotationReport()
    kid = key_pairs.current_pair(tenant.pk).kid
    mkid, _master = key_pairs.sealing_master()
    for column, pk in sealed_rows(tenant.pk):
        if until is not None and report.succeeded and time.monotonic() >= until:
            report.complete = False
            break
        report.processed += 1
        try:
            earlier_kid = _reseal_row(column, pk, kid, mkid)
        except ServiceError as error:
            reason = getattr(error, "reason", error.code)
            report.fail(f"{column.name} {pk}", reason)
            logger.error("could not re-seal %s %s of %s: %s", column.name, pk, tenant.slug, reason)
        else:
            report.succeeded += earlier_kid is not None
            report.leftovers += earlier_kid not in (None, kid)
    return report


def _reseal_row(column: SealedColumn, pk: Any, kid: str, mkid: str) -> str | None:
    """Re-seal a row and return the id of its earlier pair, or None if there was nothing to do.

    The write is conditional on the row being unchanged; otherwise it is read again.
    """
    for _attempt in range(MAX_ATTEMPTS):
        row = column.get(pk)
        if row is None or _is_current(column.binding(row)["tenant_id"], row.sealed, kid, mkid):
            return None
        text = column.open(row, "rotate")
        token = sealing.seal(**column.binding(row), version=row.version + 1, text=text)
        rows: Any = column.model.objects.filter(pk=pk, sealed=row.sealed, version=row.version)
        if rows.update(sealed=token, version=row.version + 1):
            return envelope.parse(row.sealed).kid
    raise ServiceError("busy", "the row was changed by another process each time")


def _is_under(token: str, kid: str, mkid: str) -> bool:
    try:
        parsed = envelope.parse(token)
    except EnvelopeError:
        return False
    return (parsed.kid, parsed.mkid) == (kid, mkid)


def _is_current(tenant_id: UUID, token: str, kid: str, mkid: str) -> bool:
    """Return whether there is nothing to re-seal: texts are moved to their pair's data key too."""
    return _is_under(token, kid, mkid) and not (
        envelope.parse(token).is_first_format and data_keys.has_one(tenant_id, kid)
    )


def retire_master_keys() -> list[str]:
    """Drop the check values of older master keys and return their ids.

    Call after every tenant was rotated without failures.
    """
    newest, _master = key_pairs.sealing_master()
    older = MasterKeyCheck.objects.exclude(mkid=newest)
    mkids = list(older.values_list("mkid", flat=True))
    older.delete()
    return mkids
