"""Merge shipped facts, the provider's list and the tenant's choices into one entry per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from providers.declaration.spec import ModelFacts, ModelType

MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices per million tokens; None means unknown or not applicable, never free."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    # For all output of a response that includes thinking, if that costs more.
    thinking_output: Decimal | None = None
    # For the tokens of images, if they cost more than those of text.
    image_input: Decimal | None = None
    image_output: Decimal | None = None
    cache_write_1h: Decimal | None = None  # kept for an hour; `cache_write` for minutes
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ImageRate:
    """The price of one image of a size, a quality or both; empty stands for any."""

    amount: Decimal
    size: str = ""  # width x height
    quality: str = ""


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates for the whole request when its prompt exceeds `above` tokens.

    Without rates, requests of that size cost more by an unknown amount.
    """

    above: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """A list price: per million tokens, minute of audio, million characters of text to speak, or
    image.

    If `is_free`, there are no rates.
    """

    currency: str  # ISO 4217
    rates: Rates = Rates()
    tiers: tuple[Tier, ...] = ()  # ascending by `above`
    per_minute: Decimal | None = None
    per_million_characters: Decimal | None = None
    per_image: Decimal | None = None  # of the sizes and qualities without a rate of their own
    images: tuple[ImageRate, ...] = ()
    is_free: bool = False
    # One use of a tool: {"web_search": 0.01}.
    tools: Mapping[str, Decimal] = field(default_factory=dict, hash=False)
    # What other prices are multiplied by: {"flex": 0.5}, {"us": 1.1}.
    service_tiers: Mapping[str, Decimal] = field(default_factory=dict, hash=False)
    regions: Mapping[str, Decimal] = field(default_factory=dict, hash=False)
    # The version: since when it is in force (None: ever since), its id, and where it is from.
    since: datetime | None = None
    version: str = field(default="", compare=False)
    source: str = field(default="", compare=False)
    as_of: date | None = field(default=None, compare=False)
    is_own: bool = field(default=False, compare=False)  # the workspace's

    @property
    def input(self) -> Decimal | None:
        return self.rates.input

    @property
    def output(self) -> Decimal | None:
        return self.rates.output

    @property
    def cached_input(self) -> Decimal | None:
        return self.rates.cached_input

    def at(self, prompt_tokens: int) -> Rates:
        """Return the rates for a request whose prompt has this many tokens."""
        rates = self.rates
        for tier in self.tiers:
            if prompt_tokens > tier.above:
                rates = tier.rates
        return rates

    @property
    def amounts_per_image(self) -> tuple[Decimal, Decimal] | None:
        """The lowest and the highest price of one image; None if images have no price."""
        amounts = [rate.amount for rate in self.images]
        amounts += [] if self.per_image is None else [self.per_image]
        return (min(amounts), max(amounts)) if amounts else None

    def of_image(self, size: str, quality: str) -> Decimal | None:
        """Return the price of one image: by the first rate that fits, or the general one."""
        for rate in self.images:
            if rate.size in ("", size) and rate.quality in ("", quality):
                return rate.amount
        return self.per_image


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """A price and since when it is in force; a tenant's None means the list price again."""

    since: datetime | None
    price: Price | None


@dataclass(frozen=True, slots=True)
class PriceHistory:
    """A model's prices, the tenant's own and those of the list, each newest first."""

    own: tuple[PriceVersion, ...] = ()
    listed: tuple[PriceVersion, ...] = ()

    def at(self, time: datetime) -> Price | None:
        """Return the price in force at a time; None if it is unknown."""
        price = _in_force(self.own, time) if self.own else None
        return price or _in_force(self.listed, time)

    def versions(self) -> list[Price]:
        """Return all prices, the newest own one first."""
        known = (version.price for version in (*self.own, *self.listed))
        return [price for price in known if price is not None]

    def find(self, version: str) -> Price | None:
        """Return the price with this version's id."""
        return next((price for price in self.versions() if price.version == version), None)


def _in_force(versions: tuple[PriceVersion, ...], time: datetime) -> Price | None:
    for version in versions:
        if version.since is None or version.since <= time:
            return version.price
    return None


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts one layer has about a model; None means the layer doesn't say."""

    type: ModelType | None = None
    label: str | None = None
    context_window: int | None = None
    max_output: int | None = None
    max_inputs: int | None = None
    features: frozenset[str] | None = None
    parameters: Mapping[str, Any] | None = None
    values: Mapping[str, str] | None = None
    price: Price | None = None
    earlier_prices: tuple[Price, ...] | None = None
    retired: date | None = None
    successor: str | None = None
    source: str = ""
    as_of: date | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One model in a tenant's catalog with its effective facts; unknown ones are None, never 0."""

    provider: str
    model: str
    type: ModelType | None
    label: str
    enabled: bool
    origin: str  # "shipped", "synced" or "added", as TenantModel.Origin
    context_window: int | None = None  # tokens
    max_output: int | None = None  # tokens
    max_inputs: int | None = None  # texts in one embedding request
    features: frozenset[str] = frozenset()
    # name -> {"min", "max", "default", "supported"}
    parameters: Mapping[str, Any] = field(default_factory=dict)
    # Read only by the provider's wire: facts.schema.VALUES.
    hints: Mapping[str, str] = field(default_factory=dict)
    price: Price | None = None  # in force when the entry was made
    prices: PriceHistory = field(default=PriceHistory(), compare=False)
    retired: date | None = None  # shutdown date
    successor: str = ""  # a model of the same provider
    source: str = ""
    as_of: date | None = None
    since: date | None = None  # the day that the facts are of, or that the model was added
    added: bool = False  # added by hand: can be deleted
    missing: bool = False  # absent from the provider's latest list
    values: Mapping[str, str] = field(default_factory=dict)  # public fields of a hosted model
    base_url: str = ""
    mask: str = ""  # a hosted model's own key, masked
    overrides: Mapping[str, Any] = field(default_factory=dict)  # as stored

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def brings_access(self) -> bool:
        """Whether the model has its own key or address and so needs no provider credential."""
        return bool(self.mask or self.base_url)

    @property
    def is_retired(self) -> bool:
        """Whether the shutdown date has passed."""
        return self.retired is not None and self.retired <= date.today()

    @property
    def facts(self) -> ModelFacts:
        """The facts that wires need."""
        return ModelFacts(
            name=self.model,
            type=self.type or ModelType.REASONING,
            context_window=self.context_window,
            max_output=self.max_output,
            max_inputs=self.max_inputs,
            features=self.features,
            parameters=self.parameters,
            values=self.hints,
        )


@dataclass(frozen=True, slots=True)
class TenantLayer:
    """A tenant's row: `synced` holds the provider's list, `overrides` the tenant's own values."""

    origin: str
    enabled: bool = True
    synced: Facts | None = None
    overrides: Facts | None = None
    missing: bool = False
    values: Mapping[str, str] = field(default_factory=dict)
    base_url: str = ""
    mask: str = ""
    stored_overrides: Mapping[str, Any] = field(default_factory=dict)
    prices: tuple[PriceVersion, ...] = ()  # the tenant's own, newest first
    created: date | None = None


def merge(
    provider: str, model: str, *, shipped: Facts | None, tenant: TenantLayer | None = None
) -> Entry:
    """Merge three layers: the tenant's values, then the provider's list, then shipped facts.

    For the type, shipped facts take precedence over the list, which often only guesses.
    """
    synced = tenant.synced if tenant else None
    own = tenant.overrides if tenant else None
    layers = [layer for layer in (own, synced, shipped) if layer is not None]
    typed = [layer for layer in (own, shipped, synced) if layer is not None]
    prices = history_of(
        tenant.prices if tenant else (), own, [layer for layer in (synced, shipped) if layer]
    )
    dated = next(
        (layer for layer in (synced, shipped) if layer is not None and layer.source), Facts()
    )
    return Entry(
        provider=provider,
        model=model,
        type=_first(typed, "type"),
        label=_first(layers, "label") or model,
        enabled=tenant.enabled if tenant else True,
        origin=tenant.origin if tenant else "shipped",
        context_window=_first(layers, "context_window"),
        max_output=_first(layers, "max_output"),
        max_inputs=_first(layers, "max_inputs"),
        features=_first(layers, "features") or frozenset(),
        parameters=_first(layers, "parameters") or {},
        hints=_first(layers, "values") or {},
        price=prices.at(datetime.now(UTC)),
        prices=prices,
        retired=_first(layers, "retired"),
        successor=_first(layers, "successor") or "",
        source=dated.source,
        as_of=dated.as_of,
        since=dated.as_of or (tenant.created if tenant else None),
        added=tenant is not None and tenant.origin == "added",
        missing=tenant is not None and tenant.missing,
        values=tenant.values if tenant else {},
        base_url=tenant.base_url if tenant else "",
        mask=tenant.mask if tenant else "",
        overrides=tenant.stored_overrides if tenant else {},
    )


def history_of(
    own: tuple[PriceVersion, ...], overrides: Facts | None, listed: Sequence[Facts]
) -> PriceHistory:
    """Join a tenant's own prices and those of the first layer that has any."""
    if not own and overrides is not None:  # entered before versions were kept
        own = tuple(
            PriceVersion(version.since, version.price and replace(version.price, is_own=True))
            for version in _versions(overrides)
        )
    return PriceHistory(own, next((found for facts in listed if (found := _versions(facts))), ()))


def _versions(facts: Facts) -> tuple[PriceVersion, ...]:
    prices = [] if facts.price is None else [facts.price]
    prices += facts.earlier_prices or ()
    return tuple(PriceVersion(price.since, price) for price in prices)


def _first(layers: list[Facts], name: str) -> Any:
    return next((value for layer in layers if (value := getattr(layer, name)) is not None), None)
