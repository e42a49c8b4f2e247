"""Form to override a model's facts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.web.forms import PageForm
from models_catalog.facts.prices import FLAT_RATES, RATES, price_json
from models_catalog.queries import Layers
from models_catalog.resolution.entries import Facts, Price
from providers.operations.table import MODEL_TYPES, facts_of_other_types

AMOUNTS = (*FLAT_RATES, *RATES)
USUAL = ("currency", "input", "output", *FLAT_RATES)  # the other amounts are folded away
# Parts of a price that only the REST API can set.
OTHER_PARTS = {
    "tiers": _("tiers"),
    "images": _("sizes and qualities of images"),
    "tools": _("tools"),
    "service_tiers": _("service tiers"),
    "regions": _("regions"),
}
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
    per_minute = forms.DecimalField(label=_("Audio, per minute"), required=False)
    per_million_characters = forms.DecimalField(
        label=_("Text to speak, per million characters"), required=False
    )
    per_image = forms.DecimalField(label=_("Per image"), required=False)
    input = forms.DecimalField(label=_("Input, per million tokens"), required=False)
    output = forms.DecimalField(label=_("Output, per million tokens"), required=False)
    cached_input = forms.DecimalField(label=_("Cached input, per million tokens"), required=False)
    cache_write = forms.DecimalField(
        label=_("Input written to the cache, per million tokens"), required=False
    )
    cache_write_1h = forms.DecimalField(
        label=_("Input written to the cache for an hour, per million tokens"), required=False
    )
    thinking_output = forms.DecimalField(
        label=_("Output of an answer with reasoning, per million tokens"), required=False
    )
    image_input = forms.DecimalField(label=_("Image input, per million tokens"), required=False)
    image_output = forms.DecimalField(label=_("Image output, per million tokens"), required=False)
    audio_input = forms.DecimalField(label=_("Audio input, per million tokens"), required=False)
    audio_output = forms.DecimalField(label=_("Audio output, per million tokens"), required=False)
    since = forms.DateField(
        label=_("In force from"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("The day begins at midnight UTC. Leave it empty for a price from now on."),
    )

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
        self._kept = _other_parts(own, {*self.fields})
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
        return [self[name] for name in self.fields if name not in (*AMOUNTS, "currency", "since")]

    @property
    def price_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name in USUAL]

    @property
    def other_price_fields(self) -> list[forms.BoundField]:
        folded = {*AMOUNTS, "since"} - {*USUAL}
        return [self[name] for name in self.fields if name in folded]

    @property
    def has_other_prices(self) -> bool:
        return any(field.value() or field.errors for field in self.other_price_fields)

    @property
    def other_parts(self) -> list[Any]:
        """Labels of what the stored price has besides the form's fields."""
        return [label for name, label in OTHER_PARTS.items() if name in self._kept]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        amounts = [name for name in AMOUNTS if values.get(name) is not None]
        if amounts and not values.get("currency"):
            self.add_error("currency", gettext("Choose the currency of the price."))
        if (values.get("currency") or values.get("since")) and not amounts:
            name = "currency" if values.get("currency") else "since"
            self.add_error(name, gettext("Enter an amount, or choose no currency and no date."))
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
        since = {"since": values["since"].isoformat()} if values.get("since") else {}
        if after != before or since:
            changes["price"] = {**self._kept, **after, **since} if after else None
        return changes


def _fact(name: str, text: str, value: Any) -> Any:
    if not text:
        return None
    return (
        [part.strip() for part in text.split(",") if part.strip()] if name == "features" else value
    )


def _other_parts(own: Facts, fields: set[str]) -> dict[str, Any]:
    """Return what the stored price has besides the fields, so that saving them does not drop it."""
    document = {} if own.price is None else price_json(own.price)
    return {name: value for name, value in document.items() if name not in {*fields, "free"}}


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
    amounts: dict[str, Decimal | None] = {name: getattr(price, name) for name in FLAT_RATES}
    amounts |= {name: getattr(price.rates, name) for name in RATES}
    return {name: f"{amount:f}" for name, amount in amounts.items() if amount is not None} | {
        "currency": price.currency
    }
