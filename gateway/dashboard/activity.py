"""A provider's activity: last week's totals, recent calls and recent settings changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db.models import Q

from quotas.models import CallRecord
from quotas.usage import call_list, summaries, totals
from quotas.usage.summaries import SummaryRow
from tenants import queries as tenant_queries
from tenants.models import AuditEntry, Tenant

DAYS: Final = 7  # covered by the totals
CALLS: Final = 20
CHANGES: Final = 10


@dataclass(frozen=True, slots=True)
class Activity:
    """The content of a provider's activity page.

    Args:
        week: The week's totals; None if there are no calls.
        changes: Empty if the reader may not see the audit log.
    """

    week: SummaryRow | None = None
    calls: list[CallRecord] = field(default_factory=list)
    changes: list[AuditEntry] = field(default_factory=list)


def activity(*, tenant: Tenant, provider: str, with_calls: bool, with_changes: bool) -> Activity:
    """Read a provider's activity in at most five queries.

    Args:
        with_calls: Whether the reader may see calls.
        with_changes: Whether the reader may see the audit log.
    """
    week, calls = _calls(tenant.pk, provider) if with_calls else (None, [])
    return Activity(week, calls, _changes(tenant, provider) if with_changes else [])


def _calls(tenant_id: UUID, provider: str) -> tuple[SummaryRow | None, list[CallRecord]]:
    rollup_state = totals.rollup_state(tenant_id=tenant_id)
    calls = call_list.calls(
        tenant_id=tenant_id, provider=provider, limit=CALLS, rollup_state=rollup_state
    )
    return (
        summaries.totals(
            tenant_id=tenant_id, days=DAYS, provider=provider, rollup_state=rollup_state
        )
        if calls
        else None
    ), calls


def _changes(tenant: Tenant, provider: str) -> list[AuditEntry]:
    """Return audit entries about the provider, its credentials and its models."""
    matches = (
        Q(object_type="provider", object_id=provider)
        | Q(object_type="credential", object_label__startswith=f"{provider}: ")
        | Q(object_type="model", object_label__startswith=f"{provider}/")
    )
    return list(tenant_queries.audit_entries(tenant=tenant).filter(matches)[:CHANGES])
