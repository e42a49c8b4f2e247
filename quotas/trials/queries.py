"""Read trials: what was granted, used, and is left."""

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
from quotas.models import CreditPool
from quotas.usage import totals as usage_totals
from quotas.usage.totals import Standing

FORECAST_DAYS = 7  # a trial's pace is that of so many days


# -- trials ----------------------------------------------------------------------------------------


class Level(StrEnum):
    """How near a trial is to its end."""

    OK = "ok"
    LOW = "low"  # 80 % used or held
    NEARLY = "nearly"  # 95 %
    OVER = "over"


@dataclass(frozen=True, slots=True)
class TrialView:
    """One trial of a tenant. limit, settled (used), held (under way), left: credits. models:
    credits per call of each model.
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
        """Of the limit that is used or held, rounded down: 100 only when nothing is left."""
        return 100 if self.left <= 0 else 100 * (self.settled + self.held) // self.limit

    @property
    def level(self) -> Level:
        if self.left <= 0:
            return Level.OVER
        return Level.NEARLY if self.percent >= 95 else Level.LOW if self.percent >= 80 else Level.OK

    @property
    def retired(self) -> list[ports.RetiredModel]:
        """Models of the trial that their provider has switched off or will."""
        return ports.retired(self.provider, tuple(self.models))


def trials(*, tenant_id: UUID) -> list[TrialView]:
    """The tenant's trials in the order of their plans, those switched off too; one query."""
    pools = (
        CreditPool.objects.filter(tenant_id=tenant_id)
        .select_related("plan")
        .order_by("plan_id", "plan__models__id")
    )
    rows = pools.annotate(
        model=F("plan__models__model"), credits=F("plan__models__credits")
    )  # a row for each model of a plan
    return [_trial(list(found)) for _plan, found in groupby(rows, key=lambda row: row.plan_id)]


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
        has_credential=plan.has_credential
        or plan.is_on,  # no plan is switched on without one, where its provider needs one
        models={row.model: row.credits for row in rows if row.model is not None},
    )


def forecast(
    *,
    tenant_id: UUID,
    now: datetime | None = None,
    known: Sequence[TrialView] | None = None,
    seen: Standing | None = None,
) -> dict[str, int | None]:
    """By plan: in how many days its credits end at the pace of the last 7; None where none were
    used. Two queries more than trials.

    known: the trials, where they were read already. seen: how far the sums reach, where that was
    read for 7 days at least.
    """
    since = (now or timezone.now()) - timedelta(days=FORECAST_DAYS)
    plan = usage_totals.plan(seen or usage_totals.standing(tenant_id=tenant_id, since=since), since)
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
