"""Calculate what a call costs: usage times price, as Decimal. Pure. Unknown is None, never 0.

Usage and prices come from apps that this one does not import; the protocols below list the
attributes it reads.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Protocol

PLACES: Final = 10  # decimal places of a cost in the ledger
STEP: Final = Decimal(1).scaleb(-PLACES)
# No call costs more. In units of the last decimal place, it leaves room in 64 bits for sums.
MOST_COST: Final = Decimal(100_000_000)
MILLION: Final = 1_000_000
SECONDS_PER_MINUTE: Final = 60


class Rates(Protocol):
    """Prices per million tokens; None if unknown or not applicable.

    `thinking_output` applies to the whole output if the model used reasoning tokens. `image_input`
    and `image_output` apply to the tokens of images; without them, those cost as much as others.
    """

    @property
    def input(self) -> Decimal | None: ...
    @property
    def output(self) -> Decimal | None: ...
    @property
    def cached_input(self) -> Decimal | None: ...
    @property
    def cache_write(self) -> Decimal | None: ...
    @property
    def thinking_output(self) -> Decimal | None: ...
    @property
    def image_input(self) -> Decimal | None: ...
    @property
    def image_output(self) -> Decimal | None: ...


class Price(Protocol):
    """A list price in one currency.

    `per_minute` is the price of audio; `at` returns the rates of the tier that a prompt of the
    given length falls into, and `of_image` the price of one image.
    """

    @property
    def per_minute(self) -> Decimal | None: ...
    @property
    def per_million_characters(self) -> Decimal | None: ...
    @property
    def is_free(self) -> bool: ...
    def at(self, prompt_tokens: int, /) -> Rates: ...
    def of_image(self, size: str, quality: str, /) -> Decimal | None: ...


class Usage(Protocol):
    """Tokens, seconds of audio, characters of speech input and images of a call.

    `prompt_tokens` includes `cached_tokens`, `cache_write_tokens` and `image_input_tokens`;
    `completion_tokens` includes `reasoning_tokens` and `image_output_tokens`.
    """

    @property
    def prompt_tokens(self) -> int | None: ...
    @property
    def completion_tokens(self) -> int | None: ...
    @property
    def cached_tokens(self) -> int | None: ...
    @property
    def cache_write_tokens(self) -> int | None: ...
    @property
    def reasoning_tokens(self) -> int | None: ...
    @property
    def audio_seconds(self) -> float | None: ...
    @property
    def characters(self) -> int | None: ...
    @property
    def images(self) -> int | None: ...
    @property
    def image_size(self) -> str: ...
    @property
    def image_quality(self) -> str: ...
    @property
    def image_input_tokens(self) -> int | None: ...
    @property
    def image_output_tokens(self) -> int | None: ...


def plain(amount: Decimal) -> str:
    """An amount as people write it: without exponent and trailing zeros, such as "0", "0.00042" and
    "100".
    """
    return f"{amount.normalize():f}"


def cost_of(usage: Usage | None, price: Price | None) -> Decimal | None:
    """Return the cost in the price's currency, rounded to 10 decimal places, at most MOST_COST.

    Returns:
        None (unpriced) if the amount or the price of anything used is unknown.
    """
    if price is None:
        return None
    if price.is_free:
        return Decimal(0)
    if usage is None:
        return None
    if price.per_minute is not None and usage.audio_seconds is not None:
        return _rounded(price.per_minute * Decimal(str(usage.audio_seconds)) / SECONDS_PER_MINUTE)
    if price.per_million_characters is not None and usage.characters is not None:
        return _rounded(price.per_million_characters * usage.characters / MILLION)
    if usage.images is not None:
        amount = price.of_image(usage.image_size, usage.image_quality)
        if amount is not None:
            return _rounded(amount * usage.images)
    return _cost_of_tokens(usage, price)


def _cost_of_tokens(usage: Usage, price: Price) -> Decimal | None:
    if usage.prompt_tokens is None and usage.completion_tokens is None:
        return None
    rates = price.at(usage.prompt_tokens or 0)
    if rates.input is None and rates.output is None:
        return None
    cached = min(usage.cached_tokens or 0, usage.prompt_tokens or 0)
    written = min(usage.cache_write_tokens or 0, (usage.prompt_tokens or 0) - cached)
    uncached = None if usage.prompt_tokens is None else usage.prompt_tokens - cached - written
    cached_rate = rates.input if rates.cached_input is None else rates.cached_input
    written_rate = rates.input if rates.cache_write is None else rates.cache_write
    is_reasoning = bool(usage.reasoning_tokens) and rates.thinking_output is not None
    output_rate = rates.thinking_output if is_reasoning else rates.output
    parts = (
        (uncached, rates.input),
        (cached, cached_rate),
        (written, written_rate),
        (usage.completion_tokens, output_rate),
    )
    total = Decimal(0) if usage.images is None else _surcharge_of_images(usage, rates)
    for tokens, rate in parts:
        if tokens and rate is not None:
            total += tokens * rate
        elif tokens or (tokens is None and rate):  # only one of both is known, and not zero
            return None
    return _rounded(total / MILLION)


def _surcharge_of_images(usage: Usage, rates: Rates) -> Decimal:
    """Return by how much the tokens of images cost more than those of text.

    What is generated by a call for images is images, unless the provider says otherwise.
    """
    prompt, output = usage.prompt_tokens or 0, usage.completion_tokens or 0
    drawn = output if usage.image_output_tokens is None else usage.image_output_tokens
    parts = (
        (min(usage.image_input_tokens or 0, prompt), rates.image_input, rates.input),
        (min(drawn, output), rates.image_output, rates.output),
    )
    return sum(
        (tokens * (rate - base) for tokens, rate, base in parts if rate and base), Decimal(0)
    )


def _rounded(cost: Decimal) -> Decimal:
    # Bounded first: quantize raises an error for numbers with too many digits.
    return min(cost, MOST_COST).quantize(STEP, ROUND_HALF_UP)
