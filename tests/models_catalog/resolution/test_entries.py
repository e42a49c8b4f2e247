"""Three layers become one entry."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from models_catalog.resolution.entries import (
    Entry,
    Facts,
    Price,
    Rates,
    TenantLayer,
    merge,
)
from providers.declaration.spec import ModelType

SHIPPED = Facts(
    type=ModelType.REASONING,
    label="Shipped",
    context_window=1000,
    features=frozenset({"tools"}),
    price=Price("USD", Rates(input=Decimal(1))),
    source="shipped source",
    as_of=date(2026, 1, 1),
)
SYNCED = Facts(
    type=ModelType.EMBEDDING, context_window=2000, source="list", as_of=date(2026, 11, 22)
)


def test_what_nobody_knows_is_unknown_and_not_zero() -> None:
    entry = merge("p", "m", shipped=None)
    assert (
        entry.type,
        entry.label,
        entry.context_window,
        entry.max_output,
        entry.price,
        entry.retired,
    ) == (
        None,
        "m",
        None,
        None,
        None,
        None,
    )
    assert entry.features == frozenset()
    assert entry.enabled


def test_a_shipped_model_needs_no_row() -> None:
    entry = merge("p", "m", shipped=SHIPPED)
    assert (entry.id, entry.origin, entry.label, entry.context_window, entry.source) == (
        "p/m",
        "shipped",
        "Shipped",
        1000,
        "shipped source",
    )
    assert entry.facts.features == {"tools"}


def test_the_list_counts_before_what_is_shipped_but_for_the_type() -> None:
    entry = merge("p", "m", shipped=SHIPPED, tenant=TenantLayer("synced", synced=SYNCED))
    assert (entry.context_window, entry.type, entry.source, entry.as_of) == (
        2000,
        ModelType.REASONING,
        "list",
        SYNCED.as_of,
    )
    assert entry.price == SHIPPED.price
    assert (
        merge("p", "m", shipped=None, tenant=TenantLayer("synced", synced=SYNCED)).type
        is ModelType.EMBEDDING
    )


def test_the_tenants_word_counts_most() -> None:
    own = Facts(type=ModelType.RERANK, context_window=3000, price=Price("EUR", is_free=True))
    entry = merge(
        "p",
        "m",
        shipped=SHIPPED,
        tenant=TenantLayer("added", enabled=False, synced=SYNCED, overrides=own, missing=True),
    )
    assert (entry.type, entry.context_window, entry.enabled, entry.added, entry.missing) == (
        ModelType.RERANK,
        3000,
        False,
        True,
        True,
    )
    assert entry.price is not None
    assert entry.price.is_free


def test_a_day_of_shutdown_in_the_future_is_no_retirement() -> None:
    def retired(day: date) -> bool:
        return Entry("p", "m", None, "m", True, "shipped", retired=day).is_retired

    assert retired(date.today())
    assert not retired(date.today() + timedelta(days=1))
