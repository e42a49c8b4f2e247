"""What pages, the REST API and the gateway read: trials, call records, sums of usage. All need an active scope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from django.db.models import BigIntegerField, Count, DecimalField, ExpressionWrapper, F, Q, QuerySet, Sum
from django.db.models.functions import Cast, Coalesce, Round, TruncDate
from django.utils import timezone

from quotas import hooks
from quotas.models import CallRecord, CreditPool
from quotas.pricing import PLACES

FORECAST_DAYS = 7  # a trial's pace is that of so many days
Calls = QuerySet[CallRecord, Any]


# -- trials -----------------------------------------------------------------------------------------------------------


class Level(StrEnum):
    """How near a trial is to its end."""

    OK = "ok"
    LOW = "low"  # 80 % used or held
    NEARLY = "nearly"  # 95 %
    OVER = "over"


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
    def retired(self) -> list[hooks.RetiredModel]:
        """Models of the trial that their provider has switched off or will."""
        return hooks.retired(self.provider, tuple(self.models))


def trials(*, tenant_id: UUID) -> list[TrialView]:
    """The tenant's trials in the order of their plans, those switched off too; two queries."""
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
        has_credential=plan.has_credential or plan.is_on,  # no plan is switched on without one, where its provider needs one
        models={row.model: row.credits for row in sorted(plan.models.all(), key=lambda row: row.pk)},
    )


def forecast(*, tenant_id: UUID, now: datetime | None = None, known: Sequence[TrialView] | None = None) -> dict[str, int | None]:
    """By plan: in how many days its credits end at the pace of the last 7; None where none were used. One query more than trials.

    known: the trials, where they were read already.
    """
    since = (now or timezone.now()) - timedelta(days=FORECAST_DAYS)
    recent = _of(tenant_id).filter(time__gte=since, source__startswith="trial:").values_list("source").annotate(Sum("credits"))
    used = {source.removeprefix("trial:"): credits for source, credits in recent.order_by()}
    return {
        trial.plan: _days_left(trial.left, used.get(trial.plan, 0)) for trial in (trials(tenant_id=tenant_id) if known is None else known)
    }


def _days_left(left: int, used: int) -> int | None:
    return left * FORECAST_DAYS // used if used else None


# -- call records -----------------------------------------------------------------------------------------------------


def _of(tenant_id: UUID) -> Calls:
    rows: Calls = CallRecord.objects.filter(tenant_id=tenant_id)
    return rows


def calls(
    *,
    tenant_id: UUID,
    after: UUID | None = None,
    model: str | None = None,
    source: str | None = None,
    provider: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> list[CallRecord]:
    """Call records, newest first, at most `limit`.

    after: the id of the last one seen. model: its name or "provider/model". source: "trial" or "credential" for all of a kind,
    or one such as "trial:openai". Ids sort by time, so that both the order and the cursor are one index.
    """
    rows = _of(tenant_id)
    if after is not None:
        rows = rows.filter(id__lt=after)
    if since is not None:
        rows = rows.filter(time__gte=since)
    if model:
        name = Q(model=model)
        owner, slash, rest = model.partition("/")
        rows = rows.filter(name | Q(provider=owner, model=rest) if slash else name)
    if source:
        rows = rows.filter(source__startswith=f"{source}:") if source in ("trial", "credential") else rows.filter(source=source)
    equal = {name: value for name, value in (("provider", provider), ("status", status)) if value}
    return list(rows.filter(**equal).order_by("-id")[:limit])


def call(*, tenant_id: UUID, pk: UUID) -> CallRecord | None:
    """One call record, None where this tenant has none of this id."""
    return _of(tenant_id).filter(pk=pk).select_related("hold").first()


# -- sums -------------------------------------------------------------------------------------------------------------

# What usage can be grouped by, and the columns of each.
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "day": ("day",),
    "model": ("provider", "model"),
    "provider": ("provider",),
    "app_key": ("app_key_name",),
    "source": ("source",),
    "scenario": ("scenario",),
    "error_code": ("error_code",),
}
_NUMBERS = ("calls", "errors", "cancelled", "trial_calls", "prompt_tokens", "completion_tokens", "credits", "unpriced")
# Sums of costs are made in whole steps of the last place: SQLite would add up floats.
_STEPS = Cast(
    Round(ExpressionWrapper(F("cost") * 10**PLACES, output_field=DecimalField(max_digits=30, decimal_places=0))), BigIntegerField()
)


@dataclass(frozen=True, slots=True)
class Cost:
    """A sum in one currency."""

    currency: str
    amount: Decimal


@dataclass(slots=True)
class SummaryRow:
    """Sums of some calls. key: the day as ISO date, "provider/model", the app key's name ...; "" where a call has none.

    prompt_tokens, completion_tokens: of calls whose tokens are known. costs: one per currency. unpriced: answered calls without a
    known price; they are in no cost.
    """

    key: str
    calls: int = 0
    errors: int = 0
    cancelled: int = 0
    trial_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    credits: int = 0
    unpriced: int = 0
    costs: list[Cost] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Summary:
    """Sums since a moment, one row per key; days in order, everything else the most called first."""

    days: int
    by: str
    since: datetime
    rows: Sequence[SummaryRow]


def summary(
    *,
    tenant_id: UUID,
    days: int = 30,
    by: str = "day",
    provider: str | None = None,
    model: str | None = None,
    now: datetime | None = None,
) -> Summary:
    """Sums of the last `days` days, today included, days being those of the active time zone; one query.

    by: one of GROUPS (ValueError otherwise). Days without a call have a row too.
    """
    if by not in GROUPS:
        raise ValueError(f"usage is not grouped by {by!r}")
    since = _start_of(days, now)
    rows = _of(tenant_id).filter(time__gte=since)
    if provider:
        rows = rows.filter(provider=provider)
    if model:
        rows = rows.filter(model=model)
    if by == "error_code":
        rows = rows.exclude(error_code="")
    found = _summed(rows, GROUPS[by])
    if by == "day":
        first = timezone.localtime(since).date()
        dates = [(first + timedelta(days=number)).isoformat() for number in range(days)]
        return Summary(days, by, since, [found.get(day) or SummaryRow(day) for day in dates])
    return Summary(days, by, since, sorted(found.values(), key=lambda row: (-row.calls, row.key)))


def totals(*, tenant_id: UUID, days: int, periods_back: int = 0, now: datetime | None = None) -> SummaryRow:
    """All calls of `days` days in one row: the last ones, or as many days `periods_back` times earlier (to compare with)."""
    since = _start_of(days, now) - timedelta(days=days * periods_back)
    rows = _of(tenant_id).filter(time__gte=since)
    if periods_back:
        rows = rows.filter(time__lt=since + timedelta(days=days))
    return _summed(rows, ()).get("") or SummaryRow("")


def _start_of(days: int, now: datetime | None) -> datetime:
    """Midnight before the first of the last `days` days, today included."""
    today = timezone.localtime(now or timezone.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days - 1)


def _summed(rows: Calls, columns: tuple[str, ...]) -> dict[str, SummaryRow]:
    """Rows of sums by key. Grouped by currency as well, because costs of two currencies are not added."""
    if "day" in columns:
        rows = rows.annotate(day=TruncDate("time"))
    answered = Q(status__in=("ok", "cancelled"))
    groups = (
        rows.order_by()
        .values(*columns, "currency")
        .annotate(
            calls=Count("pk"),
            errors=Count("pk", filter=Q(status="error")),
            cancelled=Count("pk", filter=Q(status="cancelled")),
            trial_calls=Count("pk", filter=Q(source__startswith="trial:")),
            tokens_in=Coalesce(Sum("prompt_tokens"), 0),
            tokens_out=Coalesce(Sum("completion_tokens"), 0),
            charged=Coalesce(Sum("credits"), 0),
            unpriced=Count("pk", filter=answered & Q(cost=None)),
            steps=Sum(_STEPS),
        )
    )
    summed: dict[str, SummaryRow] = {}
    for group in groups:
        renamed = {
            **group,
            "prompt_tokens": group["tokens_in"],
            "completion_tokens": group["tokens_out"],
            "credits": group["charged"],
        }
        key = "/".join(str(group[column]) for column in columns if group[column] != "")
        row = summed.setdefault(key, SummaryRow(key))
        for name in _NUMBERS:
            setattr(row, name, getattr(row, name) + renamed[name])
        if group["steps"] is not None:
            row.costs.append(Cost(group["currency"], Decimal(int(group["steps"])).scaleb(-PLACES)))
    for row in summed.values():
        row.costs.sort(key=lambda cost: cost.currency)
    return summed
