"""Usage times price: exact, in tiers, and unpriced where anything that was used is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotas.ledger.pricing import cost_of


@dataclass(frozen=True)
class Used:
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    audio_seconds: float | None = None
    characters: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None
    images: int | None = None
    image_size: str = ""
    image_quality: str = ""
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None


@dataclass(frozen=True)
class OneRate:
    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    thinking_output: Decimal | None = None
    cache_write: Decimal | None = None
    image_input: Decimal | None = None
    image_output: Decimal | None = None


@dataclass(frozen=True)
class List:
    rates: OneRate = OneRate()
    above: int | None = None
    dearer: OneRate = OneRate()
    per_minute: Decimal | None = None
    per_million_characters: Decimal | None = None
    is_free: bool = False
    sizes: tuple[tuple[str, Decimal], ...] = ()

    def of_image(self, size: str, quality: str) -> Decimal | None:
        return dict(self.sizes).get(size)

    def at(self, prompt_tokens: int) -> OneRate:
        return self.dearer if self.above is not None and prompt_tokens > self.above else self.rates


def rate(input: str | None = None, output: str | None = None, cached: str | None = None) -> OneRate:
    return OneRate(*(None if text is None else Decimal(text) for text in (input, output, cached)))


CHAT = List(rate("0.15", "0.60", "0.075"))
IMAGES = List(
    OneRate(Decimal(5), Decimal(10), image_input=Decimal(8), image_output=Decimal(32)),
    sizes=(("1024x1024", Decimal("0.04")),),
)


@pytest.mark.parametrize(
    ("usage", "price", "cost"),
    [
        (Used(1_000_000, 0), CHAT, "0.15"),
        (Used(12, 40), CHAT, "0.0000258"),
        (Used(12, 40, images=3, image_size="1024x1024"), IMAGES, "0.12"),
        # Without a price for the size: by tokens, of which 8 are text and 4 of an image.
        (Used(12, 40, images=3, image_input_tokens=4), IMAGES, "0.001352"),
        (Used(12, 40, images=1, image_output_tokens=30), IMAGES, "0.00112"),
        (Used(12, 40, images=1, image_input_tokens=99, image_output_tokens=99), CHAT, "0.0000258"),
        (Used(1000, 10, 400), CHAT, "0.000126"),
        (
            Used(1000, 10, 400),
            List(rate("0.15", "0.60")),
            "0.000156",
        ),  # no price of its own for cached tokens
        (
            Used(1000, 0, 400, cache_write_tokens=500),
            List(OneRate(Decimal(1), Decimal(5), Decimal("0.1"), None, Decimal("1.25"))),
            "0.000765",
        ),
        (
            Used(1000, 0, 0, cache_write_tokens=500),
            List(OneRate(Decimal(1), Decimal(5))),
            "0.001",
        ),  # written at the price of input
        (
            Used(10, 0, 0, cache_write_tokens=50),
            List(OneRate(Decimal(1), None, None, None, Decimal(2))),
            "0.00002",
        ),
        (Used(10, 1, 50), CHAT, "0.00000135"),  # more cached than sent cannot be
        (Used(0, 0), CHAT, "0"),
        (Used(500), List(rate("0.02")), "0.00001"),  # an embedding has no output
        (Used(500, 0), List(rate("0.02")), "0.00001"),
        (Used(200_000, 1), List(rate("1", "2"), above=200_000, dearer=rate("2", "4")), "0.200002"),
        (Used(200_001, 1), List(rate("1", "2"), above=200_000, dearer=rate("2", "4")), "0.400006"),
        (Used(audio_seconds=90.0), List(per_minute=Decimal("0.006")), "0.009"),
        (
            Used(100, 100, reasoning_tokens=60),
            List(OneRate(Decimal(1), Decimal(2), None, Decimal(8))),
            "0.0009",
        ),
        (
            Used(100, 100, reasoning_tokens=0),
            List(OneRate(Decimal(1), Decimal(2), None, Decimal(8))),
            "0.0003",
        ),
        (Used(characters=2_000), List(per_million_characters=Decimal(15)), "0.03"),
        (Used(audio_seconds=0.1), List(per_minute=Decimal("0.006")), "0.00001"),
        (None, List(is_free=True), "0"),
        (
            Used(None, 10),
            List(rate("0", "1")),
            "0.00001",
        ),  # nothing is charged for what is not known
        (Used(1, 0), List(rate("0.00001", "1")), "0.0000000000"),
    ],
)
def test_cost(usage: Used | None, price: List, cost: str) -> None:
    assert cost_of(usage, price) == Decimal(cost)


@pytest.mark.parametrize(
    ("usage", "price"),
    [
        (Used(1, 1), None),
        (None, CHAT),
        (Used(), CHAT),
        (Used(1, 1), List()),
        (Used(10, 5), List(rate("1"))),
        (Used(10, 5), List(rate(None, "1"))),
        (Used(10), CHAT),  # how much came out is not known
        (Used(None, 10), CHAT),
        (Used(10), List(per_minute=Decimal(1))),
        (Used(10), List(per_million_characters=Decimal(15))),
        (Used(characters=10), List(per_minute=Decimal(1))),
    ],
)
def test_unpriced_is_none_and_never_0(usage: Used | None, price: List | None) -> None:
    assert cost_of(usage, price) is None


tokens = st.integers(0, 10_000_000)
prices = st.decimals(0, 1000, places=4)


@given(tokens, tokens, tokens, prices, prices, prices)
def test_never_negative_never_more_than_uncached_and_to_10_places(
    prompt, completion, cached, dear, output, share
) -> None:
    cheap = min(dear, share)
    price = List(OneRate(dear, output, cheap))
    cost = cost_of(Used(prompt, completion, cached), price)
    most = cost_of(Used(prompt, completion), price)
    assert 0 <= cost <= most
    assert cost.as_tuple().exponent >= -10
    assert isinstance(cost, Decimal)
