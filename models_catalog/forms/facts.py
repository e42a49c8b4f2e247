"""Form to override a model's facts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.web.forms import PageForm
from models_catalog.queries import Layers
from models_catalog.resolution.entries import Facts, Price
from providers.operations.table import MODEL_TYPES, facts_of_other_types

AMOUNTS = ("input", "output", "cached_input", "per_minute", "per_million_characters", "per_image")
CURRENCIES = ("USD", "CNY", "EUR")


class FactsForm(PageForm):
    """The workspace's own values for a model; empty inputs keep the shipped or listed values."""

    label = forms.CharField(label=_("Display name"), max_length=200, required=False)
    context_window = forms.IntegerField(
        label=_("Context window (tokens)"), min_value=1, max_value=2**31 - 1, required=False
    )
    max_output = forms.IntegerField(
        label=_("Longest answer (tokens)"), min_value=1, max_value=2**31 - 1, required=False
    )
    max_inputs = forms.IntegerField(
        label=_("Texts in one request"), min_value=1, max_value=2**31 - 1, required=False
    )
    features = forms.CharField(
        label=_("Features"),
        max_length=1000,
        required=False,
        help_text=_("Separated by commas, such as vision, tools, json_schema."),
    )
    currency = forms.ChoiceField(label=_("Currency"), required=False)
    input = forms.DecimalField(label=_("Input, per million tokens"), required=False)
    output = forms.DecimalField(label=_("Output, per million tokens"), required=False)
    cached_input = forms.DecimalField(label=_("Cached input, per million tokens"), required=False)
    per_minute = forms.DecimalField(label=_("Audio, per minute"), required=False)
    per_million_characters = forms.DecimalField(
        label=_("Text to speak, per million characters"), required=False
    )
    per_image = forms.DecimalField(label=_("Per image"), required=False)

    def __init__(self, *args: Any, layers: Layers, **kwargs: Any) -> None:
        own = layers.own or Facts()
        kwargs["initial"] = _typed_facts(own)
        super().__init__(*args, **kwargs)
        self.own, kind = own, layers.entry.type
        self.names = {"price": "input"}
        self.set_choices("currency", [("", "–"), *((code, code) for code in _currencies(layers))])
        prices = MODEL_TYPES[kind].prices if kind else AMOUNTS
        for name in ({*AMOUNTS} - {*prices}) | facts_of_other_types(kind):
            del self.fields[name]
        inherited = _typed_facts(_inherited(layers))
        self.unmarked = tuple(self.fields)  # all optional: the page says so once
        for name, field in self.fields.items():
            field.widget.attrs |= (
                {"autocomplete": "off", "placeholder": inherited.get(name, "")}
                if name != "currency"
                else {}
            )
            if isinstance(field, forms.DecimalField):
                field.widget.attrs |= {"step": "any", "min": "0"}

    @property
    def fact_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name not in (*AMOUNTS, "currency")]

    @property
    def price_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name in (*AMOUNTS, "currency")]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        amounts = [name for name in AMOUNTS if values.get(name) is not None]
        if amounts and not values.get("currency"):
            self.add_error("currency", gettext("Choose the currency of the price."))
        if values.get("currency") and not amounts:
            self.add_error("currency", gettext("Enter an amount, or choose no currency."))
        return values

    @property
    def changed_facts(self) -> dict[str, Any]:
        """Overrides that differ from the stored ones; None removes an override."""
        values, stored = self.cleaned_data, _typed_facts(self.own)
        changes: dict[str, Any] = {}
        for name in ("label", "context_window", "max_output", "max_inputs", "features"):
            text = str(values.get(name) if values.get(name) is not None else "").strip()
            if name in self.fields and text != stored.get(name, ""):
                changes[name] = _fact(name, text, values[name])
        amounts = {name: f"{values[name]:f}" for name in AMOUNTS if values.get(name) is not None}
        before = {name: stored.get(name, "") for name in (*AMOUNTS, "currency") if stored.get(name)}
        after = {**amounts, "currency": values["currency"]} if amounts else {}
        if after != before:
            changes["price"] = after or None
        return changes


def _fact(name: str, text: str, value: Any) -> Any:
    if not text:
        return None
    return (
        [part.strip() for part in text.split(",") if part.strip()] if name == "features" else value
    )


def _currencies(layers: Layers) -> list[str]:
    in_use = [
        layer.price.currency
        for layer in (layers.own, layers.synced, layers.shipped)
        if layer is not None and layer.price is not None
    ]
    return list(dict.fromkeys([*in_use, *CURRENCIES]))


def _inherited(layers: Layers) -> Facts:
    """Return the facts in effect without the workspace's overrides."""
    under = [layer for layer in (layers.synced, layers.shipped) if layer is not None]
    names = ("label", "context_window", "max_output", "max_inputs", "features", "price")
    effective: dict[str, Any] = {
        name: next(
            (getattr(layer, name) for layer in under if getattr(layer, name) is not None), None
        )
        for name in names
    }
    return Facts(**effective)


def _typed_facts(facts: Facts) -> dict[str, str]:
    """Convert facts to input values; unknown facts are left out."""
    plain = {
        name: str(value)
        for name in ("label", "context_window", "max_output", "max_inputs")
        if (value := getattr(facts, name))
    }
    if facts.features:
        plain["features"] = ", ".join(sorted(facts.features))
    return plain | (
        _typed_price(facts.price) if facts.price is not None and not facts.price.is_free else {}
    )


def _typed_price(price: Price) -> dict[str, str]:
    amounts: dict[str, Decimal | None] = {name: getattr(price, name) for name in AMOUNTS}
    return {name: f"{amount:f}" for name, amount in amounts.items() if amount is not None} | {
        "currency": price.currency
    }
