"""What pages, the REST API and the gateway read: trials, call records, sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from quotas.models import CreditPool


@dataclass(frozen=True, slots=True)
class TrialView:
    """One trial of a tenant. limit, settled (used), held (under way), left: credits. models: credits per call of each model."""

    pool_id: int
    plan_id: int
    plan: str
    provider: str
    label: str
    limit: int
    settled: int
    held: int
    is_on: bool
    has_credential: bool
    models: Mapping[str, int]

    @property
    def left(self) -> int:
        return self.limit - self.settled - self.held


def trials(*, tenant_id: UUID) -> list[TrialView]:
    """The tenant's trials in the order of their plans; two queries. Needs an active scope."""
    pools = CreditPool.objects.filter(tenant_id=tenant_id).select_related("plan").prefetch_related("plan__models").order_by("plan_id")
    return [_trial(pool) for pool in pools]


def _trial(pool: CreditPool) -> TrialView:
    plan = pool.plan
    return TrialView(
        pool_id=pool.pk,
        plan_id=plan.pk,
        plan=plan.slug,
        provider=plan.provider,
        label=plan.label,
        limit=pool.limit,
        settled=pool.settled,
        held=pool.held,
        is_on=plan.is_on,
        has_credential=bool(plan.sealed or plan.values or plan.base_url),
        models={row.model: row.credits for row in sorted(plan.models.all(), key=lambda row: row.pk)},
    )
