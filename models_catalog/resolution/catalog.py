"""Shipped facts, what the provider's list said, and what the tenant decided, put together to one
entry per model. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from providers.declaration.spec import ModelFacts, ModelType

MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices per million tokens; None is unknown or does not apply, and never means free."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    thinking_output: Decimal | None = (
        None  # of all output of an answer that thought, where that is dearer
    )


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates of the whole request once its prompt is longer than `above` tokens; without any: there
    it is dearer, by how much is not known.
    """

    above: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """A list price. per_minute: of audio. per_million_characters: of text to speak. is_free: costs
    nothing; no rate is given then.
    """

    currency: str  # ISO 4217
    rates: Rates = Rates()
    tiers: tuple[Tier, ...] = ()  # by `above`, rising
    per_minute: Decimal | None = None
    per_million_characters: Decimal | None = None
    is_free: bool = False

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
        """The rates of a request with a prompt of this many tokens."""
        rates = self.rates
        for tier in self.tiers:
            if prompt_tokens > tier.above:
                rates = tier.rates
        return rates


@dataclass(frozen=True, slots=True)
class Facts:
    """What one layer knows of a model; None is "this layer does not say"."""

    type: ModelType | None = None
    label: str | None = None
    context_window: int | None = None
    max_output: int | None = None
    max_inputs: int | None = None
    features: frozenset[str] | None = None
    parameters: Mapping[str, Any] | None = None
    values: Mapping[str, str] | None = None
    price: Price | None = None
    retired: date | None = None
    successor: str | None = None
    source: str = ""
    as_of: date | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of one tenant's catalog, as it is in effect. Unknown is None, or absent, and never
    0.
    """

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
    parameters: Mapping[str, Any] = field(
        default_factory=dict
    )  # name -> {"min", "max", "default", "supported"}
    hints: Mapping[str, str] = field(
        default_factory=dict
    )  # what only the provider's wire reads: facts.VALUES
    price: Price | None = None
    retired: date | None = None  # the day it is or was shut down
    successor: str = ""  # a model of the same provider
    source: str = ""
    as_of: date | None = None
    added: bool = False  # by hand: can be removed
    missing: bool = False  # the provider's last list did not have it
    values: Mapping[str, str] = field(
        default_factory=dict
    )  # fields of a hosted model that are not secret
    base_url: str = ""
    mask: str = ""  # of a hosted model's own key
    overrides: Mapping[str, Any] = field(default_factory=dict)  # as stored

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def brings_access(self) -> bool:
        """Whether it has a key or an address of its own, and so needs no credential of its
        provider.
        """
        return bool(self.mask or self.base_url)

    @property
    def is_retired(self) -> bool:
        """Whether the day of its shutdown has come."""
        return self.retired is not None and self.retired <= date.today()

    @property
    def facts(self) -> ModelFacts:
        """What the wires want to know."""
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
    """A tenant's row of one model: `synced` is what its provider's list said, `overrides` what the
    tenant decided.
    """

    origin: str
    enabled: bool = True
    synced: Facts | None = None
    overrides: Facts | None = None
    missing: bool = False
    values: Mapping[str, str] = field(default_factory=dict)
    base_url: str = ""
    mask: str = ""
    stored_overrides: Mapping[str, Any] = field(default_factory=dict)


def merge(
    provider: str, model: str, *, shipped: Facts | None, tenant: TenantLayer | None = None
) -> Entry:
    """One entry out of three layers: the tenant's word counts before the provider's list, the list
    before what is shipped.

    The type is the exception: a list often only guesses it, so what is shipped counts more.
    """
    synced = tenant.synced if tenant else None
    own = tenant.overrides if tenant else None
    layers = [layer for layer in (own, synced, shipped) if layer is not None]
    typed = [layer for layer in (own, shipped, synced) if layer is not None]
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
        price=_first(layers, "price"),
        retired=_first(layers, "retired"),
        successor=_first(layers, "successor") or "",
        source=dated.source,
        as_of=dated.as_of,
        added=tenant is not None and tenant.origin == "added",
        missing=tenant is not None and tenant.missing,
        values=tenant.values if tenant else {},
        base_url=tenant.base_url if tenant else "",
        mask=tenant.mask if tenant else "",
        overrides=tenant.stored_overrides if tenant else {},
    )


def _first(layers: list[Facts], name: str) -> Any:
    return next((value for layer in layers if (value := getattr(layer, name)) is not None), None)
