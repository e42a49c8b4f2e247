"""Summaries of usage: totals and groups by day, model and so on, with costs and median latency.

All functions need an active tenant scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from core.times import midnight
from quotas.ledger.pricing import PLACES
from quotas.usage import columns, latency_buckets
from quotas.usage import totals as usage_totals
from quotas.usage.totals import RollupState

# What usage can be grouped by, and the columns of each group's key.
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "day": ("start",),
    "model": ("provider", "model"),
    "provider": ("provider",),
    "app_key": ("app_key_name",),
    "source": ("source",),
    "scenario": ("scenario",),
    "error_code": ("error_code",),
    "member": ("user_id",),
}
# Every total is split by these: errors from answers, trials from own credentials, and currencies
# from each other.
_APART: Final = ("status", "source", "currency")


@dataclass(frozen=True, slots=True)
class Cost:
    """A total in one currency."""

    currency: str
    amount: Decimal


@dataclass(slots=True)
class SummaryRow:
    """Totals of a group of calls.

    Attributes:
        key: The day as ISO date, "provider/model", the app key's name ...; "" if calls have none.
        counted: Answered calls whose tokens are known.
        prompt_tokens: Total of the calls whose tokens are known, like completion_tokens.
        unpriced: Answered calls without a known price; no cost includes them.
        costs: One per currency.
        latencies: Counts by latency bucket.
        fastest: Milliseconds, like slowest.
    """

    key: str
    calls: int = 0
    errors: int = 0
    cancelled: int = 0
    trial_calls: int = 0
    counted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    images: int = 0
    credits: int = 0
    unpriced: int = 0
    costs: list[Cost] = field(default_factory=list)
    latencies: list[int] = field(
        default_factory=lambda: [0] * len(latency_buckets.COLUMNS), repr=False
    )
    fastest: int | None = None
    slowest: int = 0

    @property
    def ok(self) -> int:
        return self.calls - self.errors - self.cancelled

    @property
    def answered(self) -> int:
        return self.calls - self.errors

    @property
    def median_ms(self) -> int | None:
        """Median latency of the answers; None if there are none or latencies were not loaded."""
        return latency_buckets.median(self.latencies, self.fastest or 0, self.slowest)

    def add(self, group: Mapping[str, Any]) -> None:
        """Add a group from `totals.add_up` whose calls share one status, source and currency."""
        calls, status = group["calls"], group["status"]
        self.calls += calls
        self.errors += calls if status == "error" else 0
        self.cancelled += calls if status == "cancelled" else 0
        self.trial_calls += calls if group["source"].startswith("trial:") else 0
        self.counted += group["counted"] if status != "error" else 0
        self.prompt_tokens += group["prompt_tokens"]
        self.completion_tokens += group["completion_tokens"]
        self.images += group["images"]
        self.credits += group["credits"]
        self.unpriced += calls - group["priced"] if status != "error" else 0
        if group["priced"]:
            self._add_cost(group["currency"], Decimal(group["cost_steps"]).scaleb(-PLACES))
        if status == "ok" and "latency_min" in group:
            self._add_latencies(group)

    def _add_cost(self, currency: str, amount: Decimal) -> None:
        amounts = {cost.currency: cost.amount for cost in self.costs}
        amounts[currency] = amounts.get(currency, Decimal(0)) + amount
        self.costs = [Cost(*item) for item in sorted(amounts.items())]

    def _add_latencies(self, group: Mapping[str, Any]) -> None:
        self.latencies = [
            old + group[name]
            for old, name in zip(self.latencies, latency_buckets.COLUMNS, strict=True)
        ]
        self.fastest = min(
            group["latency_min"], group["latency_min"] if self.fastest is None else self.fastest
        )
        self.slowest = max(group["latency_max"], self.slowest)


@dataclass(frozen=True, slots=True)
class Summary:
    """Usage since a given time: one row per key, days in order, other keys by most calls."""

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
    app_key: str | None = None,
    now: datetime | None = None,
    rollup_state: RollupState | None = None,
) -> Summary:
    """Summarise the last `days` days in the active time zone, today included; two queries.

    Days without calls have a row too.

    Args:
        by: A key of GROUPS.
        model: Model name without the provider.
        rollup_state: The state of the rollups, if already loaded.

    Raises:
        ValueError: `by` is not a key of GROUPS.
    """
    if by not in GROUPS:
        raise ValueError(f"usage is not grouped by {by!r}")
    since = start_of(days, now)
    rollup_state = rollup_state or usage_totals.rollup_state(tenant_id=tenant_id, since=since)
    is_daily = by == "day"
    groups = usage_totals.add_up(
        tenant_id=tenant_id,
        of=usage_totals.plan(rollup_state, since, by_day=is_daily),
        by=tuple(dict.fromkeys([*_APART, *(() if is_daily else GROUPS[by])])),
        filters=filters_of(provider=provider, model=model, app_key=app_key),
        by_start=is_daily,
    )
    if is_daily:
        return Summary(days, by, since, daily(groups, since, days))
    return Summary(days, by, since, grouped(groups, by))


def totals(
    *,
    tenant_id: UUID,
    days: int,
    periods_back: int = 0,
    provider: str | None = None,
    model: str | None = None,
    app_key: str | None = None,
    now: datetime | None = None,
    rollup_state: RollupState | None = None,
) -> SummaryRow:
    """Return the totals of the last `days` days, or of an earlier period of the same length.

    Args:
        periods_back: How many periods earlier, for comparisons.
        rollup_state: The state of the rollups, if already loaded.
    """
    since = start_of(days * (periods_back + 1), now)
    before = start_of(days * periods_back, now) if periods_back else None
    rollup_state = rollup_state or usage_totals.rollup_state(
        tenant_id=tenant_id, since=since, before=before
    )
    row = SummaryRow("")
    for group in usage_totals.add_up(
        tenant_id=tenant_id,
        of=usage_totals.plan(rollup_state, since, before),
        by=_APART,
        numbers=tuple(columns.ALL),
        filters=filters_of(provider=provider, model=model, app_key=app_key),
    ):
        row.add(group)
    return row


def filters_of(
    *, provider: str | None = None, model: str | None = None, app_key: str | None = None
) -> dict[str, str]:
    """Return the filters that are not empty, as `totals.where` takes them."""
    filters = {"provider": provider, "model": model, "app_key_name": app_key}
    return {name: value for name, value in filters.items() if value}


def start_of(days: int, now: datetime | None = None) -> datetime:
    """Return when the last `days` days begin, today included, in the active time zone."""
    return midnight(timezone.localdate(now) - timedelta(days=days - 1))


def daily(groups: Iterable[Mapping[str, Any]], since: datetime, days: int) -> list[SummaryRow]:
    """Return one row per day, including days without calls."""
    first = timezone.localtime(since).date()
    dates = [(first + timedelta(days=number)).isoformat() for number in range(days)]
    rows = _folded(groups, lambda group: timezone.localtime(group["start"]).date().isoformat())
    return [rows.get(day) or SummaryRow(day) for day in dates]


def grouped(groups: Iterable[Mapping[str, Any]], by: str) -> list[SummaryRow]:
    """Return one row per key, most calls first.

    Groups by error omit calls without one; groups by member omit calls without a user.
    """
    names = GROUPS[by]
    rows = _folded(
        groups,
        lambda group: "/".join(str(group[name]) for name in names if group[name] not in ("", None)),
    )
    if by in ("error_code", "member"):
        rows.pop("", None)
    return sorted(rows.values(), key=lambda row: (-row.calls, row.key))


def _folded(
    groups: Iterable[Mapping[str, Any]], key_of: Callable[[Mapping[str, Any]], str]
) -> dict[str, SummaryRow]:
    rows: dict[str, SummaryRow] = {}
    for group in groups:
        key = key_of(group)
        rows.setdefault(key, SummaryRow(key)).add(group)
    return rows


# -- usage page ------------------------------------------------------------------------------------

BREAKDOWNS: Final = ("model", "provider", "app_key", "member", "source", "error_code")
_ALL_GROUPS: Final = (
    "provider",
    "model",
    "source",
    "app_key_name",
    "user_id",
    "status",
    "error_code",
    "currency",
)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the usage page shows of a period.

    Attributes:
        before: Totals of the previous period of the same length.
        by: Rows of each breakdown.
        choices: Values to filter by, by parameter name of `filters_of`, regardless of filters.
    """

    since: datetime
    total: SummaryRow
    before: SummaryRow
    days: Sequence[SummaryRow]
    by: Mapping[str, Sequence[SummaryRow]]
    choices: Mapping[str, Sequence[str]]


def usage(
    *,
    tenant_id: UUID,
    days: int,
    now: datetime | None = None,
    rollup_state: RollupState | None = None,
    **filters: str | None,
) -> Usage:
    """Load the usage page in four queries, regardless of the number of calls.

    Args:
        rollup_state: The state of the rollups, if already loaded for twice as many days.
        filters: As for `filters_of`.
    """
    conditions = filters_of(**filters)
    since = start_of(days, now)
    rollup_state = rollup_state or usage_totals.rollup_state(
        tenant_id=tenant_id, since=start_of(2 * days, now)
    )
    everything = usage_totals.add_up(
        tenant_id=tenant_id,
        of=usage_totals.plan(rollup_state, since),
        by=_ALL_GROUPS,
        numbers=tuple(columns.ALL),
    )
    groups = [
        group
        for group in everything
        if all(group[name] == value for name, value in conditions.items())
    ]
    total = SummaryRow("")
    for group in groups:
        total.add(group)
    by_day = usage_totals.plan(rollup_state, since, by_day=True)
    by_start = (
        usage_totals.add_up(
            tenant_id=tenant_id, of=by_day, by=_APART, filters=conditions, by_start=True
        )
        if total.calls
        else []
    )
    return Usage(
        since=since,
        total=total,
        before=totals(
            tenant_id=tenant_id,
            days=days,
            periods_back=1,
            now=now,
            rollup_state=rollup_state,
            **filters,
        ),
        days=daily(by_start, since, days),
        by={name: grouped(groups, name) for name in BREAKDOWNS},
        choices=_choices(everything, ("provider", "model", "app_key")),
    )


_CHOICES: Final = {
    "provider": "provider",
    "model": "model",
    "app_key": "app_key_name",
    "error_code": "error_code",
}


def choices(*, tenant_id: UUID, days: int, now: datetime | None = None) -> dict[str, list[str]]:
    """Return the values of the last `days` days to filter the log by, most used first.

    Takes two queries.
    """
    since = start_of(days, now)
    plan = usage_totals.plan(usage_totals.rollup_state(tenant_id=tenant_id, since=since), since)
    return _choices(
        usage_totals.add_up(
            tenant_id=tenant_id, of=plan, by=tuple(_CHOICES.values()), numbers=("calls",)
        ),
        tuple(_CHOICES),
    )


def _choices(groups: Iterable[Mapping[str, Any]], names: Sequence[str]) -> dict[str, list[str]]:
    counts: dict[str, dict[str, int]] = {name: {} for name in names}
    for group in groups:
        for name in names:
            value = group[_CHOICES[name]]
            if value:
                counts[name][value] = counts[name].get(value, 0) + group["calls"]
    return {
        name: sorted(used, key=lambda value: (-used[value], value)) for name, used in counts.items()
    }
