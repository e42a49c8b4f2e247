"""Usage times price: exact, in tiers, and unpriced where anything that was used is unknown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_catalog.resolution.entries import ImageRate, Price, Rates, Tier
from quotas.ledger.pricing import bill_of, cost_of
from quotas.ledger.quantities import Quantities


def rate(input: str | None = None, output: str | None = None, cached: str | None = None) -> Rates:
    return Rates(*(None if text is None else Decimal(text) for text in (input, output, cached)))


def used(
    prompt: int | None = None, completion: int | None = None, cached: int | None = None, **more: Any
) -> Quantities:
    return Quantities(
        prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached, **more
    )


NO_RATES = Rates()


def priced(rates: Rates = NO_RATES, **more: Any) -> Price:
    return Price("USD", rates, **more)


CHAT = priced(rate("0.15", "0.60", "0.075"))
IMAGES = priced(
    Rates(Decimal(5), Decimal(10), image_input=Decimal(8), image_output=Decimal(32)),
    images=(ImageRate(Decimal("0.04"), "1024x1024"),),
)


CACHES = Rates(Decimal(1), Decimal(5), Decimal("0.1"), Decimal("1.25"), cache_write_1h=Decimal(2))
AUDIO = Rates(Decimal(1), Decimal(2), audio_input=Decimal(32), audio_output=Decimal(64))
MODIFIED = priced(
    CACHES,
    tools={"web_search": Decimal("0.01")},
    service_tiers={"flex": Decimal("0.5"), "priority": Decimal(2)},
    regions={"us": Decimal("1.1")},
)
LONG = (Tier(200_000, rate("2", "4")),)


@pytest.mark.parametrize(
    ("usage", "price", "cost"),
    [
        (used(1_000_000, 0), CHAT, "0.15"),
        (used(12, 40), CHAT, "0.0000258"),
        (used(12, 40, images=3, image_size="1024x1024"), IMAGES, "0.12"),
        # Without a price for the size: by tokens, of which 8 are text and 4 of an image.
        (used(12, 40, images=3, image_input_tokens=4), IMAGES, "0.001352"),
        (used(12, 40, images=1, image_output_tokens=30), IMAGES, "0.00112"),
        (used(12, 40, images=1, image_input_tokens=99, image_output_tokens=99), CHAT, "0.0000258"),
        (used(1000, 10, 400), CHAT, "0.000126"),
        (
            used(1000, 0, 400, cache_write_tokens=500),
            priced(CACHES),
            "0.000765",
        ),
        (
            used(10, 0, 0, cache_write_tokens=50),
            priced(Rates(Decimal(1), cache_write=Decimal(2))),
            "0.00002",
        ),
        (
            used(1000, 0, 0, cache_write_tokens=500, cache_write_1h_tokens=300),
            priced(CACHES),
            "0.00135",
        ),
        (used(100, 50, audio_input_tokens=40, audio_output_tokens=20), priced(AUDIO), "0.00268"),
        (used(1000, 100, tools={"web_search": 3}), MODIFIED, "0.0315"),
        (used(1000, 100, service_tier="flex"), MODIFIED, "0.00075"),
        (used(1000, 100, service_tier="priority", region="us"), MODIFIED, "0.0033"),
        (used(1000, 100, batch=Decimal("0.5"), tools={"web_search": 1}), MODIFIED, "0.01075"),
        (used(300_000, 0, prompts=(90_000, 110_000)), priced(rate("1", "2"), tiers=LONG), "0.3"),
        (used(10, 1, 50), CHAT, "0.00000135"),  # more cached than sent cannot be
        (used(0, 0), CHAT, "0"),
        (used(500), priced(rate("0.02")), "0.00001"),  # an embedding has no output
        (used(500, 0), priced(rate("0.02")), "0.00001"),
        (used(200_000, 1), priced(rate("1", "2"), tiers=LONG), "0.200002"),
        (used(200_001, 1), priced(rate("1", "2"), tiers=LONG), "0.400006"),
        (used(audio_seconds=90.0), priced(per_minute=Decimal("0.006")), "0.009"),
        (
            used(100, 100, reasoning_tokens=60),
            priced(Rates(Decimal(1), Decimal(2), thinking_output=Decimal(8))),
            "0.0009",
        ),
        (
            used(100, 100, reasoning_tokens=0),
            priced(Rates(Decimal(1), Decimal(2), thinking_output=Decimal(8))),
            "0.0003",
        ),
        (used(characters=2_000), priced(per_million_characters=Decimal(15)), "0.03"),
        (used(audio_seconds=0.1), priced(per_minute=Decimal("0.006")), "0.00001"),
        (None, priced(is_free=True), "0"),
        (
            used(None, 10),
            priced(rate("0", "1")),
            "0.00001",
        ),  # nothing is charged for what is not known
        (used(1, 0), priced(rate("0.00001", "1")), "0.0000000000"),
    ],
)
def test_cost(usage: Quantities | None, price: Price, cost: str) -> None:
    assert cost_of(usage, price) == Decimal(cost)


@pytest.mark.parametrize(
    ("usage", "price"),
    [
        (used(1, 1), None),
        (None, CHAT),
        (used(), CHAT),
        (used(1, 1), priced()),
        (used(10, 5), priced(rate("1"))),
        (used(10, 5), priced(rate(None, "1"))),
        (used(10), CHAT),  # how much came out is not known
        (used(None, 10), CHAT),
        (used(10), priced(per_minute=Decimal(1))),
        (used(10), priced(per_million_characters=Decimal(15))),
        (used(characters=10), priced(per_minute=Decimal(1))),
        (used(1000, 10, 400), priced(rate("1", "2"))),  # no price for cached tokens
        (used(1000, 0, 0, cache_write_tokens=500), priced(rate("1", "2", "0.1"))),
        (
            used(1000, 0, 0, cache_write_tokens=5, cache_write_1h_tokens=5),
            priced(Rates(Decimal(1), Decimal(5), cache_write=Decimal("1.25"))),
        ),
        (used(10, 5, audio_input_tokens=1), CHAT),
        (used(10, 5, tools={"file_search": 1}), MODIFIED),
        (used(10, 5, service_tier="scale"), MODIFIED),
        (used(10, 5, region="eu"), MODIFIED),
        (used(400_000, 5, prompts=(1, 300_000)), priced(rate("1", "2"), tiers=LONG)),
    ],
)
def test_unpriced_is_none_and_never_0(usage: Quantities | None, price: Price | None) -> None:
    assert cost_of(usage, price) is None


tokens = st.integers(0, 10_000_000)
prices = st.decimals(0, 1000, places=4)


@given(tokens, tokens, tokens, prices, prices, prices)
def test_never_negative_never_more_than_uncached_and_to_10_places(
    prompt, completion, cached, dear, output, share
) -> None:
    cheap = min(dear, share)
    price = priced(Rates(dear, output, cheap))
    cost = cost_of(used(prompt, completion, cached), price)
    most = cost_of(used(prompt, completion), price)
    assert 0 <= cost <= most
    assert cost.as_tuple().exponent >= -10
    assert isinstance(cost, Decimal)


def test_a_bill_says_what_is_known_and_what_is_not() -> None:
    usage = used(1000, 10, 400, tools={"web_search": 2})
    bill = bill_of([usage], priced(rate("1", "2")))
    assert (bill.cost, bill.known, bill.unknown) == (
        None,
        Decimal("0.00062"),
        ("cached", "tool:web_search"),
    )
    bill = bill_of([usage, Quantities()], None)
    assert (bill.cost, bill.unknown) == (None, ("price",))
    whole = bill_of([used(1000, 10), used(1000, 0, service_tier="flex")], MODIFIED)
    assert (whole.cost, whole.unknown) == (Decimal("0.00155"), ())
    assert bill_of([], MODIFIED).cost == 0
