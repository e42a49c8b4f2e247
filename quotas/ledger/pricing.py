"""Calculate what a call costs: quantities times prices, as Decimal. Pure. Unknown is None, never 0.

Usage and prices come from apps that this one does not import; protocols.py lists the attributes
that are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple

from quotas.ledger.protocols import Price as Price
from quotas.ledger.protocols import Rates, Usage

PLACES: Final = 10  # decimal places of a cost in the ledger
STEP: Final = Decimal(1).scaleb(-PLACES)
# No call costs more. In units of the last decimal place, it leaves room in 64 bits for sums.
MOST_COST: Final = Decimal(100_000_000)
MILLION: Final = 1_000_000
SECONDS_PER_MINUTE: Final = 60
ONE: Final = Decimal(1)


class Charge(NamedTuple):
    """One quantity of a call and its price.

    Attributes:
        what: A part of the bill, such as "cache_write_1h", or "tool:web_search".
        quantity: None if it is unknown.
        price: For `per` of them, with every modifier; None if it is unknown.
    """

    what: str
    quantity: int | Decimal | None
    price: Decimal | None
    per: int

    @property
    def cost(self) -> Decimal | None:
        """The exact cost, not rounded; None if the quantity or the price is unknown."""
        if not self.quantity and self.quantity is not None:
            return Decimal(0)
        if self.price is None:
            return None
        if self.quantity is None:
            return None if self.price else Decimal(0)
        return self.quantity * self.price / self.per


class Bill(NamedTuple):
    """What a call cost.

    Attributes:
        cost: Rounded to 10 decimal places, at most MOST_COST; None if a part is unknown.
        known: The sum of the known parts, rounded likewise.
        unknown: The parts whose quantity or price is unknown.
    """

    cost: Decimal | None
    known: Decimal
    unknown: tuple[str, ...]
    charges: Sequence[Charge]


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
    charges = None if price is None else charges_of(usage, price)
    if charges is None:
        return None
    total = Decimal(0)
    for charge in charges:
        if (cost := charge.cost) is None:
            return None
        total += cost
    return rounded(total)


def bill_of(usages: Iterable[Usage], price: Price | None) -> Bill:
    """Return what the usages of one record cost, with all parts."""
    if price is None:
        return Bill(None, Decimal(0), ("price",), ())
    charges: list[Charge] = []
    known, unknown = Decimal(0), []
    for usage in usages:
        part = charges_of(usage, price)
        if part is None:
            unknown.append("usage")
            continue
        charges += part
        for charge in part:
            if (cost := charge.cost) is None:
                unknown.append(charge.what)
            else:
                known += cost
    known = rounded(known)
    return Bill(None if unknown else known, known, tuple(unknown), charges)


def charges_of(usage: Usage | None, price: Price) -> Sequence[Charge] | None:
    """Return a call's quantities with their prices; None if what was used is unknown."""
    if price.is_free:
        return ()
    if usage is None:
        return None
    charges = _charges_of_output(usage, price)
    if charges is None:
        return None
    if usage.service_tier or usage.region or usage.batch is not None:
        charges = [_modified(charge, _factor(usage, price)) for charge in charges]
    if usage.tools:
        charges += [
            Charge(f"tool:{name}", uses, price.tools.get(name), 1)
            for name, uses in usage.tools.items()
        ]
    return charges


def _charges_of_output(usage: Usage, price: Price) -> list[Charge] | None:
    """Return the charges without those for tools, at the list price."""
    if price.per_minute is not None and usage.audio_seconds is not None:
        seconds = Decimal(str(usage.audio_seconds))
        return [Charge("seconds", seconds, price.per_minute, SECONDS_PER_MINUTE)]
    if price.per_million_characters is not None and usage.characters is not None:
        return [Charge("characters", usage.characters, price.per_million_characters, MILLION)]
    if usage.images is not None:
        amount = price.of_image(usage.image_size, usage.image_quality)
        if amount is not None:
            return [Charge("images", usage.images, amount, 1)]
    if usage.prompt_tokens is None and usage.completion_tokens is None:
        return None
    rates = _rates_of(usage, price)
    if rates is None or (rates.input is None and rates.output is None):
        return None
    return _charges_of_prompt(usage, rates) + _charges_of_completion(usage, rates)


def _rates_of(usage: Usage, price: Price) -> Rates | None:
    """Return the rates for the prompt's length; None if several calls had different ones."""
    if usage.prompts is None:
        return price.at(usage.prompt_tokens or 0)
    shortest, longest = usage.prompts
    rates = price.at(longest)
    return rates if rates == price.at(shortest) else None


def _charges_of_prompt(usage: Usage, rates: Rates) -> list[Charge]:
    tokens = usage.prompt_tokens
    if tokens is None:
        return [] if rates.input is None else [Charge("input", None, rates.input, MILLION)]
    written = usage.cache_write_tokens or 0
    if not (usage.cached_tokens or written or usage.audio_input_tokens or usage.image_input_tokens):
        return [Charge("input", tokens, rates.input, MILLION)]
    hour = usage.cache_write_1h_tokens or 0
    return _split(
        Charge("input", tokens, rates.input, MILLION),
        ("cached", usage.cached_tokens, rates.cached_input),
        ("cache_write_1h", hour, rates.cache_write_1h),
        ("cache_write", written - hour, rates.cache_write),
        ("audio_input", usage.audio_input_tokens, rates.audio_input),
        ("image_input", usage.image_input_tokens, rates.image_input or rates.input),
    )


def _charges_of_completion(usage: Usage, rates: Rates) -> list[Charge]:
    tokens = usage.completion_tokens
    is_reasoning = bool(usage.reasoning_tokens) and rates.thinking_output is not None
    rate = rates.thinking_output if is_reasoning else rates.output
    if tokens is None:  # as of an embedding, which has no output and no price of it
        return [] if rate is None else [Charge("output", None, rate, MILLION)]
    drawn = usage.image_output_tokens
    if drawn is None and usage.images is not None:
        drawn = tokens  # a call for images makes images, unless the provider says otherwise
    whole = Charge("output", tokens, rate, MILLION)
    if not (drawn or usage.audio_output_tokens):
        return [whole]
    return _split(
        whole,
        ("audio_output", usage.audio_output_tokens, rates.audio_output),
        ("image_output", drawn, rates.image_output or rates.output),
    )


def _split(whole: Charge, *parts: tuple[str, int | None, Decimal | None]) -> list[Charge]:
    """Take what has a price of its own out of all tokens; together they are never more than all."""
    left = whole.quantity or 0
    special = []
    for what, tokens, rate in parts:
        if tokens and (tokens := min(tokens, int(left))) > 0:
            left -= tokens
            special.append(Charge(what, tokens, rate, MILLION))
    return [whole._replace(quantity=left), *special] if left else special


def _factor(usage: Usage, price: Price) -> Decimal | None:
    """Return by what tier, region and batch multiply a price; None if one of them is unknown."""
    factor = ONE if usage.batch is None else usage.batch
    for name, factors in (
        (usage.service_tier, price.service_tiers),
        (usage.region, price.regions),
    ):
        if name:
            known = factors.get(name)
            if known is None:
                return None
            factor *= known
    return factor


def _modified(charge: Charge, factor: Decimal | None) -> Charge:
    price = None if factor is None or charge.price is None else charge.price * factor
    return charge._replace(price=price)


def rounded(cost: Decimal) -> Decimal:
    # Bounded first: quantize raises an error for numbers with too many digits.
    return min(cost, MOST_COST).quantize(STEP, ROUND_HALF_UP)
