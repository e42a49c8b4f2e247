"""What calls cost equals the vendors' bills to the last digit, also when it is worked out again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from models_catalog.facts import library
from models_catalog.resolution.entries import Price
from providers.wire.usage import usage_in
from quotas.ledger import pricing, quantities
from quotas.ledger.records import Record
from tests.gateway.dataplane.bills import ROWS, UNKNOWN, Row, chat

pytestmark = pytest.mark.one_database


def price_of(model: str) -> Price:
    slug, _slash, name = model.partition("/")
    price = library.from_file(slug).models[name].price
    assert price is not None
    return price


def record_of(body: dict[str, Any]) -> Record:
    """What the ledger keeps of an answer."""
    usage = usage_in(body)
    assert usage is not None
    columns = {name: getattr(usage, name) for name in quantities.COLUMNS}
    return Record(  # type: ignore[call-arg]
        tenant_id=None,
        request_id="r",
        operation="chat",
        status="ok",
        quantities=quantities.rare(usage),
        **columns,
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model)
def test_a_call_costs_what_the_vendor_charges(row: Row) -> None:
    by_hand = sum(
        (quantity * Decimal(price) / per for quantity, price, per in row.lines), Decimal(0)
    )
    price = price_of(row.model)
    assert pricing.cost_of(usage_in(row.body), price) == by_hand
    again = pricing.bill_of(quantities.of_record(record_of(row.body)), price)
    assert (again.cost, again.unknown) == (by_hand, ())


@pytest.mark.parametrize(("model", "body", "unknown"), UNKNOWN)
def test_what_has_no_known_price_is_named(
    model: str, body: dict[str, Any], unknown: tuple[str, ...]
) -> None:
    assert pricing.cost_of(usage_in(body), price_of(model)) is None
    bill = pricing.bill_of(quantities.of_record(record_of(body)), price_of(model))
    assert (bill.cost, bill.unknown) == (None, unknown)


def test_the_table_has_every_modifier() -> None:
    assert len(ROWS) >= 60
    parts = {
        charge.what
        for row in ROWS
        for charge in pricing.charges_of(usage_in(row.body), price_of(row.model)) or ()
    }
    assert parts >= {"cached", "cache_write", "cache_write_1h", "audio_input", "tool:web_search"}


def test_what_the_provider_charged_is_kept_beside() -> None:
    body = chat(10, 5)
    body["usage"]["cost"] = 0.00042
    assert quantities.of_record(record_of(body))[0].cost == Decimal("0.00042")
