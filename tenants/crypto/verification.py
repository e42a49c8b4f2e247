"""Verify that every key pair and every sealed text opens, and that app keys are unchanged."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.errors import ServiceError
from tenants.crypto import key_pairs, sealing
from tenants.crypto.digest_key import DigestKeyUnavailable, is_genuine
from tenants.crypto.sealed_columns import sealed_rows
from tenants.models import AppKey, KeyPair, Tenant
from tenants.scope import tenant_scope


@dataclass
class VerifyReport:
    """Counts of what `verify` opened, and its failures."""

    key_pairs: int = 0
    key_pairs_failed: int = 0
    sealed: int = 0
    sealed_failed: int = 0
    app_keys: int = 0
    app_keys_failed: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return self.key_pairs_failed + self.sealed_failed + self.app_keys_failed


def verify(*, tenant: Tenant | None = None) -> VerifyReport:
    """Open every key pair and every sealed text of one tenant, or of all; check their app keys.

    Changes nothing but the counts in KeyOpening.
    """
    report = VerifyReport()
    sealing.forget()
    tenants = [tenant] if tenant is not None else Tenant.objects.order_by("slug")
    for owner in tenants:
        with tenant_scope(owner):
            _verify_pairs(owner, report)
            _verify_sealed(owner, report)
            _verify_app_keys(owner, report)
    return report


def _verify_pairs(tenant: Tenant, report: VerifyReport) -> None:
    for row in KeyPair.objects.filter(tenant=tenant).order_by("pk"):
        report.key_pairs += 1
        try:
            key_pairs.check_pair(row)
        except (ServiceError, ValueError) as error:
            reason = getattr(error, "reason", "damaged")
            report.key_pairs_failed += 1
            report.failures.append(f"{tenant.slug}: key pair {row.kid} ({row.state}): {reason}")


def _verify_sealed(tenant: Tenant, report: VerifyReport) -> None:
    for column, pk in sealed_rows(tenant.pk):
        row = column.get(pk)
        if row is None:
            continue
        report.sealed += 1
        try:
            column.open(row, "verify")
        except ServiceError as error:
            reason = getattr(error, "reason", error.code)
            report.sealed_failed += 1
            report.failures.append(f"{tenant.slug}: {column.name} {pk}: {reason}")


def _verify_app_keys(tenant: Tenant, report: VerifyReport) -> None:
    """Count app keys that somebody added or changed past the product; calls refuse them."""
    for row in AppKey.objects.filter(tenant=tenant, revoked=None).order_by("pk"):
        report.app_keys += 1
        try:
            reason = "" if is_genuine(row) else "changed in the database"
        except DigestKeyUnavailable as error:
            reason = str(error)
        if reason:
            report.app_keys_failed += 1
            report.failures.append(f"{tenant.slug}: app key {row.prefix}: {reason}")
