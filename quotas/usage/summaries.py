"""Figures of usage: totals, sums by day, model and so on, and the median of the answers' time. All
need an active scope.
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
from quotas.usage.totals import Standing

# What usage can be grouped by, and the columns of each.
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
# What every sum needs to be told apart: errors from answers, trials from own keys, one currency
# from the other.
_APART: Final = ("status", "source", "currency")


@dataclass(frozen=True, slots=True)
class Cost:
    """A sum in one currency."""

    currency: str
    amount: Decimal


@dataclass(slots=True)
class SummaryRow:
    """Sums of some calls. key: the day as ISO date, "provider/model", the app key's name ...; ""
    where a call has none.

    prompt_tokens, completion_tokens: of calls whose tokens are known; counted: how many of the
    answered ones these are. costs: one per currency. unpriced: answered calls without a known
    price; they are in no cost.
    """

    key: str
    calls: int = 0
    errors: int = 0
    cancelled: int = 0
    trial_calls: int = 0
    counted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    credits: int = 0
    unpriced: int = 0
    costs: list[Cost] = field(default_factory=list)
    latencies: list[int] = field(
        default_factory=lambda: [0] * len(latency_buckets.COLUMNS), repr=False
    )
    fastest: int | None = None  # ms
    slowest: int = 0

    @property
    def ok(self) -> int:
        return self.calls - self.errors - self.cancelled

    @property
    def answered(self) -> int:
        return self.calls - self.errors

    @property
    def median_ms(self) -> int | None:
        """Of the answers; None where there are none, or their times were not asked for."""
        return latency_buckets.median(self.latencies, self.fastest or 0, self.slowest)

    def add(self, group: Mapping[str, Any]) -> None:
        """Take a group of sums.add_up in, whose calls all have one status, source and currency."""
        calls, status = group["calls"], group["status"]
        self.calls += calls
        self.errors += calls if status == "error" else 0
        self.cancelled += calls if status == "cancelled" else 0
        self.trial_calls += calls if group["source"].startswith("trial:") else 0
        self.counted += group["counted"] if status != "error" else 0
        self.prompt_tokens += group["prompt_tokens"]
        self.completion_tokens += group["completion_tokens"]
        self.credits += group["credits"]
        self.unpriced += calls - group["priced"] if status != "error" else 0
        if group["priced"]:
            self._add_cost(group["currency"], Decimal(group["cost_steps"]).scaleb(-PLACES))
        if status == "ok" and "latency_min" in group:
            self._add_latencies(group)

    def _add_cost(self, currency: str, amount: Decimal) -> None:
        known = {cost.currency: cost.amount for cost in self.costs}
        known[currency] = known.get(currency, Decimal(0)) + amount
        self.costs = [Cost(*item) for item in sorted(known.items())]

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
    seen: Standing | None = None,
) -> Summary:
    """Sums of the last `days` days, today included, days being those of the active time zone; two
    queries.

    by: one of GROUPS (ValueError otherwise). Days without a call have a row too. model: without its
    provider. seen: read already.
    """
    if by not in GROUPS:
        raise ValueError(f"usage is not grouped by {by!r}")
    since = start_of(days, now)
    seen = seen or usage_totals.standing(tenant_id=tenant_id, since=since)
    is_daily = by == "day"
    found = usage_totals.add_up(
        tenant_id=tenant_id,
        of=usage_totals.plan(seen, since, by_day=is_daily),
        by=tuple(dict.fromkeys([*_APART, *(() if is_daily else GROUPS[by])])),
        filters=filters_of(provider=provider, model=model, app_key=app_key),
        by_start=is_daily,
    )
    if is_daily:
        return Summary(days, by, since, daily(found, since, days))
    return Summary(days, by, since, grouped(found, by))


def totals(
    *,
    tenant_id: UUID,
    days: int,
    periods_back: int = 0,
    provider: str | None = None,
    model: str | None = None,
    app_key: str | None = None,
    now: datetime | None = None,
    seen: Standing | None = None,
) -> SummaryRow:
    """All calls of `days` days in one row: the last ones, or as many days `periods_back` times
    earlier (to compare with).
    """
    since = start_of(days * (periods_back + 1), now)
    before = start_of(days * periods_back, now) if periods_back else None
    seen = seen or usage_totals.standing(tenant_id=tenant_id, since=since, before=before)
    row = SummaryRow("")
    for group in usage_totals.add_up(
        tenant_id=tenant_id,
        of=usage_totals.plan(seen, since, before),
        by=_APART,
        numbers=tuple(columns.ALL),
        filters=filters_of(provider=provider, model=model, app_key=app_key),
    ):
        row.add(group)
    return row


def filters_of(
    *, provider: str | None = None, model: str | None = None, app_key: str | None = None
) -> dict[str, str]:
    """What sums.where takes; what is empty is no filter."""
    given = {"provider": provider, "model": model, "app_key_name": app_key}
    return {name: value for name, value in given.items() if value}


def start_of(days: int, now: datetime | None = None) -> datetime:
    """Return when the last `days` days begin, today included, in the active time zone."""
    return midnight(timezone.localdate(now) - timedelta(days=days - 1))


def daily(groups: Iterable[Mapping[str, Any]], since: datetime, days: int) -> list[SummaryRow]:
    """A row for each day, those without calls too."""
    first = timezone.localtime(since).date()
    rows = {(first + timedelta(days=number)).isoformat(): None for number in range(days)}
    found = _folded(groups, lambda group: timezone.localtime(group["start"]).date().isoformat())
    return [found.get(day) or SummaryRow(day) for day in rows]


def grouped(groups: Iterable[Mapping[str, Any]], by: str) -> list[SummaryRow]:
    """A row for each key, the most called first. Calls without an error are in no row of errors,
    those of nobody in none of members.
    """
    names = GROUPS[by]
    found = _folded(
        groups,
        lambda group: "/".join(str(group[name]) for name in names if group[name] not in ("", None)),
    )
    if by in ("error_code", "member"):
        found.pop("", None)
    return sorted(found.values(), key=lambda row: (-row.calls, row.key))


def _folded(
    groups: Iterable[Mapping[str, Any]], key_of: Callable[[Mapping[str, Any]], str]
) -> dict[str, SummaryRow]:
    rows: dict[str, SummaryRow] = {}
    for group in groups:
        key = key_of(group)
        rows.setdefault(key, SummaryRow(key)).add(group)
    return rows


# -- all figures of the page -----------------------------------------------------------------------

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
    """What the page shows of a period. choices: what can be filtered by, by the names of
    `filters_of`, filters left aside.
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
    seen: Standing | None = None,
    **wanted: str | None,
) -> Usage:
    """Everything in four queries, whatever the number of calls. wanted: as for filters_of."""
    filters = filters_of(**wanted)
    since = start_of(days, now)
    seen = seen or usage_totals.standing(tenant_id=tenant_id, since=start_of(2 * days, now))
    everything = usage_totals.add_up(
        tenant_id=tenant_id,
        of=usage_totals.plan(seen, since),
        by=_ALL_GROUPS,
        numbers=tuple(columns.ALL),
    )
    groups = [
        group
        for group in everything
        if all(group[name] == value for name, value in filters.items())
    ]
    total = SummaryRow("")
    for group in groups:
        total.add(group)
    by_day = usage_totals.plan(seen, since, by_day=True)
    by_start = (
        usage_totals.add_up(
            tenant_id=tenant_id, of=by_day, by=_APART, filters=filters, by_start=True
        )
        if total.calls
        else []
    )
    return Usage(
        since=since,
        total=total,
        before=totals(tenant_id=tenant_id, days=days, periods_back=1, now=now, seen=seen, **wanted),
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
    """What the log can be filtered by: what there was in so many days, the most used first; two
    queries.
    """
    since = start_of(days, now)
    plan = usage_totals.plan(usage_totals.standing(tenant_id=tenant_id, since=since), since)
    return _choices(
        usage_totals.add_up(
            tenant_id=tenant_id, of=plan, by=tuple(_CHOICES.values()), numbers=("calls",)
        ),
        tuple(_CHOICES),
    )


def _choices(groups: Iterable[Mapping[str, Any]], names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, dict[str, int]] = {name: {} for name in names}
    for group in groups:
        for name in names:
            value = group[_CHOICES[name]]
            if value:
                found[name][value] = found[name].get(value, 0) + group["calls"]
    return {
        name: sorted(used, key=lambda value: (-used[value], value)) for name, used in found.items()
    }
