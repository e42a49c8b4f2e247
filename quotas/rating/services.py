"""Price the calls of a period again: corrections that point to records, which stay as they are.

The result depends only on the records and on the prices, which are versions that never change, so
the same period at the same prices gives the same sum for ever. What already has the cost that a
price gives gets no correction: rating twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import IntegrityError, transaction

from core.db.violations import is_duplicate
from core.times import floor_hour
from quotas import ports
from quotas.ledger import pricing, quantities
from quotas.models import CallRecord, Rating
from quotas.rating import store
from quotas.rating.store import Corrected
from tenants.audit import trail
from tenants.audit.trail import Actor
from tenants.models import Tenant

ZERO: Final = Decimal(0)
BATCH: Final = 5000  # calls in one transaction


class AnotherRating(Exception):
    """Another rating is correcting the same calls."""


class Row(NamedTuple):
    """A call with its present cost: that of its current correction, or of its record."""

    id: UUID
    time: datetime
    provider: str
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    images: int | None
    quantities: Mapping[str, Any] | None
    price_version: str | None
    recorded_cost: Decimal | None
    recorded_currency: str
    corrected: int | None
    corrected_cost: Decimal | None
    corrected_currency: str | None

    @property
    def cost(self) -> Decimal | None:
        return self.recorded_cost if self.corrected is None else self.corrected_cost

    @property
    def currency(self) -> str:
        return self.recorded_currency if self.corrected is None else self.corrected_currency or ""


@dataclass(frozen=True, slots=True)
class Period:
    """Calls to rate: of a tenant in [since, before), of all models or some."""

    tenant: Tenant
    since: datetime
    before: datetime
    provider: str = ""
    model: str = ""


@dataclass(slots=True)
class Outcome:
    """What rating changed, or would change.

    Attributes:
        calls: How many were looked at.
        corrected: How many cost something else.
        unpriced: How many keep their cost because there is no price for their time.
        incomplete: How many keep theirs because their record does not say all that was used.
        old: The sum of the known costs so far, by currency.
        new: The same after the rating.
        rating: The rating, if anything was changed.
    """

    calls: int = 0
    corrected: int = 0
    unpriced: int = 0
    incomplete: int = 0
    old: dict[str, Decimal] = field(default_factory=dict)
    new: dict[str, Decimal] = field(default_factory=dict)
    rating: Rating | None = None


def preview(*, period: Period, prices_of: Rating | None = None) -> Outcome:
    """Return what rating the calls again would change."""
    outcome, book = Outcome(), _Book(period.tenant.pk, prices_of)
    for rows in _batches(period):
        _compare(rows, book, outcome)
    return outcome


def rate(
    *, period: Period, actor: Actor, reason: str = "", prices_of: Rating | None = None
) -> Outcome:
    """Price calls again, and write a correction for each that costs something else.

    Args:
        prices_of: Use the prices of an earlier rating instead of those of now.

    Raises:
        AnotherRating: Another rating corrects the same calls. What was corrected before stays.
    """
    outcome, book = Outcome(), _Book(period.tenant.pk, prices_of)
    for rows in _batches(period):
        if corrections := _compare(rows, book, outcome):
            with transaction.atomic():
                outcome.rating = outcome.rating or _begin(period, actor, reason)
                _write(period.tenant.pk, outcome.rating, corrections)
                _note(outcome.rating, outcome, book)
    if outcome.rating is not None:
        _end(period.tenant, actor, outcome.rating)
    return outcome


def _begin(period: Period, actor: Actor, reason: str) -> Rating:
    return Rating.objects.create(
        tenant=period.tenant,
        since=period.since,
        before=period.before,
        provider=period.provider,
        model=period.model,
        actor=actor.label[:160],
        reason=reason[:200],
    )


def _write(tenant_id: UUID, rating: Rating, corrections: Sequence[Corrected]) -> None:
    try:
        store.supersede(corrections)
        store.insert(tenant_id, rating.pk, corrections)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise AnotherRating from None
    store.mark_stale(tenant_id, {floor_hour(each.time) for each in corrections})


def _note(rating: Rating, outcome: Outcome, book: _Book) -> None:
    """Keep what was done so far and at which prices, for a rating that breaks off."""
    rating.corrected, rating.prices = outcome.corrected, book.document()
    rating.save(update_fields=["corrected", "prices"])


def _end(tenant: Tenant, actor: Actor, rating: Rating) -> None:
    details = {"corrected": rating.corrected, "since": rating.since.isoformat()}
    trail.record(
        tenant=tenant,
        actor=actor,
        action="usage.rated",
        object_type="rating",
        object_id=rating.pk,
        details=details,
    )


class _Book:
    """The prices of the models that a rating meets, each looked up once."""

    def __init__(self, tenant_id: UUID, prices_of: Rating | None) -> None:
        self._tenant_id = tenant_id
        self._stored = prices_of.prices if prices_of is not None else None
        self._known: dict[tuple[str, str], ports.Prices | None] = {}

    def of(self, provider: str, model: str) -> ports.Prices | None:
        key = (provider, model)
        if key not in self._known:
            self._known[key] = self._look_up(provider, model)
        return self._known[key]

    def _look_up(self, provider: str, model: str) -> ports.Prices | None:
        if self._stored is None:
            return ports.prices(self._tenant_id, provider, model) if model else None
        document = self._stored.get(f"{provider}/{model}")
        return None if document is None else ports.prices_of(document)

    def document(self) -> dict[str, Any]:
        return {
            f"{provider}/{model}": ports.prices_document(prices)
            for (provider, model), prices in self._known.items()
            if prices is not None
        }


def _batches(period: Period) -> Iterator[list[Row]]:
    """Yield the calls in the order of their time."""
    calls = CallRecord.objects.filter(tenant=period.tenant.pk)
    if period.provider:
        calls = calls.filter(provider=period.provider)
    if period.model:
        calls = calls.filter(model=period.model)
    after: tuple[datetime, UUID] | None = None
    while rows := store.rows(calls, period.since, period.before, after, BATCH):
        batch = [Row(*row) for row in rows]
        yield batch
        after = (batch[-1].time, batch[-1].id)


def _compare(rows: Sequence[Row], book: _Book, outcome: Outcome) -> list[Corrected]:
    """Return the calls that cost something else at the book's prices."""
    corrections = []
    for row in rows:
        made = _rated(row, book, outcome)
        cost, currency = (row.cost, row.currency) if made is None else (made.cost, made.currency)
        if row.cost is not None:
            outcome.old[row.currency] = outcome.old.get(row.currency, ZERO) + row.cost
        if cost is not None:
            outcome.new[currency] = outcome.new.get(currency, ZERO) + cost
        if made is not None and (cost, currency) != (row.cost, row.currency):
            corrections.append(made)
    outcome.calls += len(rows)
    outcome.corrected += len(corrections)
    return corrections


def _rated(row: Row, book: _Book, outcome: Outcome) -> Corrected | None:
    """Return what a call costs at the book's price; None if it keeps its cost."""
    prices = book.of(row.provider, row.model)
    price = None if prices is None else prices.at(row.time)
    if prices is None or price is None:
        outcome.unpriced += 1
        return None
    used = quantities.of_record(row)
    if not row.price_version and not _is_complete(row, used, prices):
        outcome.incomplete += 1
        return None
    cost = pricing.bill_of(used, price).cost
    currency = "" if cost is None else price.currency
    return Corrected(row.id, row.time, row.corrected, cost, currency, price.version)


def _is_complete(row: Row, used: Sequence[quantities.Quantities], prices: ports.Prices) -> bool:
    """Tell whether a record of a release that didn't keep all quantities says all that was used:
    some version of the price must give the cost that was calculated then.
    """
    return row.recorded_cost is not None and any(
        pricing.bill_of(used, version).cost == row.recorded_cost for version in prices.versions()
    )
