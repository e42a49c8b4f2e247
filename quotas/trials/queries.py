"""Queries for trials: credits granted, used and left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from quotas import ports
from quotas.models import CreditPool, TrialPlan
from quotas.usage import totals as usage_totals
from quotas.usage.totals import RollupState

FORECAST_DAYS = 7  # days whose usage the forecast extrapolates


class Level(StrEnum):
    """How close a trial is to running out of credits."""

    OK = "ok"
    LOW = "low"  # 80 % used or held
    NEARLY = "nearly"  # 95 %
    OVER = "over"


@dataclass(frozen=True, slots=True)
class TrialView:
    """A tenant's trial.

    Attributes:
        limit: Credits, like settled (used), held (calls in progress) and left.
        models: Credits per call, by model name.
    """

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

    @property
    def percent(self) -> int:
        """Percentage of the limit used or held, rounded down: 100 only if nothing is left."""
        return 100 if self.left <= 0 else 100 * (self.settled + self.held) // self.limit

    @property
    def level(self) -> Level:
        if self.left <= 0:
            return Level.OVER
        return Level.NEARLY if self.percent >= 95 else Level.LOW if self.percent >= 80 else Level.OK

    @property
    def retired(self) -> list[ports.RetiredModel]:
        """The trial's models that the provider has retired or is going to retire."""
        return ports.retired(self.provider, tuple(self.models))


def trials(*, tenant_id: UUID) -> list[TrialView]:
    """Return the tenant's trials in the order of their plans, inactive ones included; one query."""
    pools = (
        CreditPool.objects.filter(tenant_id=tenant_id)
        .select_related("plan")
        .order_by("plan_id", "plan__models__id")
    )
    # one row per model of a plan
    rows = pools.annotate(model=F("plan__models__model"), credits=F("plan__models__credits"))
    return [_trial(list(group)) for _plan, group in groupby(rows, key=lambda row: row.plan_id)]


def plan_slug(plan_id: int) -> str:
    """Return a plan's slug; "" if there is no such plan."""
    slug: str | None = TrialPlan.objects.filter(pk=plan_id).values_list("slug", flat=True).first()
    return slug or ""


def _trial(rows: Sequence[Any]) -> TrialView:
    pool, plan = rows[0], rows[0].plan
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
        # a plan cannot be switched on without a credential if its provider needs one
        has_credential=plan.has_credential or plan.is_on,
        models={row.model: row.credits for row in rows if row.model is not None},
    )


def forecast(
    *,
    tenant_id: UUID,
    now: datetime | None = None,
    known: Sequence[TrialView] | None = None,
    rollup_state: RollupState | None = None,
) -> dict[str, int | None]:
    """Forecast in how many days each trial's credits run out, from the last 7 days' usage.

    Takes two queries, and one more if `known` is None.

    Args:
        known: The tenant's trials, if already loaded.
        rollup_state: The state of the rollups, if already loaded for at least the last 7 days.

    Returns:
        Days by plan slug; None if the plan's credits were not used in that time.
    """
    since = (now or timezone.now()) - timedelta(days=FORECAST_DAYS)
    plan = usage_totals.plan(
        rollup_state or usage_totals.rollup_state(tenant_id=tenant_id, since=since), since
    )
    recent = usage_totals.add_up(
        tenant_id=tenant_id,
        of=plan,
        by=("source",),
        numbers=("credits",),
        filters={"source_kind": "trial"},
    )
    used = {row["source"].removeprefix("trial:"): row["credits"] for row in recent}
    return {
        trial.plan: _days_left(trial.left, used.get(trial.plan, 0))
        for trial in (trials(tenant_id=tenant_id) if known is None else known)
    }


def _days_left(left: int, used: int) -> int | None:
    return left * FORECAST_DAYS // used if used else None
