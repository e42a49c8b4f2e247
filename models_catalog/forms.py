"""Forms of models and default models, built from what providers declare and what the catalog holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.http import QueryDict
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from models_catalog import facts, queries
from models_catalog.catalog import Entry, Facts, Price
from models_catalog.queries import DefaultChoice, Layers
from models_catalog.services import MOST_FALLBACKS
from providers.forms import CredentialForm, DeclaredForm, Section
from providers.operations.table import MODEL_TYPES, facts_of_other_types
from providers.spec import Kind, Provider
from tenants.pages import PageForm

STATES = (
    ("", pgettext_lazy("models", "All")),
    ("on", pgettext_lazy("models", "Enabled")),
    ("off", pgettext_lazy("models", "Switched off")),
    ("retired", pgettext_lazy("models", "Retired or retiring")),
)

CATALOG_STATES = (
    *STATES,
    ("ready", pgettext_lazy("models", "Can be called now")),
    ("blocked", pgettext_lazy("models", "Cannot be called now")),
)


class ModelFilterForm(PageForm):
    q = forms.CharField(label=_("Search models"), required=False, max_length=120)
    type = forms.ChoiceField(label=_("Model type"), required=False)
    state = forms.ChoiceField(label=pgettext_lazy("models", "State"), required=False, choices=STATES)

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_choices("type", [("", pgettext_lazy("model type", "All")), *type_choices(provider)])

    @property
    def query(self) -> dict[str, Any]:
        """Keyword arguments of queries.entries."""
        if not self.is_valid():
            return {}
        values = self.cleaned_data
        enabled = {"on": True, "off": False}.get(values["state"])
        retired = True if values["state"] == "retired" else None
        return {"search": values["q"], "type": values["type"] or None, "enabled": enabled, "retired": retired}


class CatalogFilterForm(PageForm):
    """The filters of the page of all models. providers: the labels of those that have any, by slug."""

    q = forms.CharField(label=_("Search models"), required=False, max_length=120)
    type = forms.ChoiceField(label=_("Model type"), required=False)
    provider = forms.ChoiceField(label=_("Provider"), required=False)
    state = forms.ChoiceField(label=pgettext_lazy("models", "State"), required=False, choices=CATALOG_STATES)

    def __init__(self, *args: Any, providers: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = [(one.value, row.label) for one, row in MODEL_TYPES.items()]
        self.set_choices("type", [("", pgettext_lazy("model type", "All")), *types])
        self.set_choices("provider", [("", pgettext_lazy("providers", "All")), *providers.items()])

    @property
    def query(self) -> dict[str, Any]:
        """Keyword arguments of listing.matching."""
        if not self.is_valid():
            return {}
        values, state = self.cleaned_data, self.cleaned_data["state"]
        return {
            "search": values["q"],
            "type": values["type"] or None,
            "provider": values["provider"],
            "enabled": {"on": True, "off": False}.get(state),
            "retired": True if state == "retired" else None,
            "callable_now": {"ready": True, "blocked": False}.get(state),
        }


def type_choices(provider: Provider) -> list[tuple[str, Any]]:
    return [(one.value, MODEL_TYPES[one].label) for one in provider.model_types]


class ModelForm(DeclaredForm):
    """One more model of a provider: name, type, and the fields that the adapter declares for a model."""

    model = forms.CharField(label=_("Model name"), max_length=200)
    type = forms.ChoiceField(label=_("Model type"))

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        add_model_fields(self, provider)

    @property
    def sections(self) -> list[Section]:
        return self.sections_of("model")

    @property
    def advanced(self) -> list[tuple[forms.BoundField, str]]:
        return self.inputs("model", advanced=True)

    @property
    def advanced_open(self) -> bool:
        return self.has_open_advanced("model")


def add_model_fields(form: DeclaredForm, provider: Provider) -> None:
    form.fields["model"].widget.attrs |= {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
    form.set_choices("type", type_choices(provider))
    if provider.model_label:
        form.fields["model"].label = provider.model_label
    form.declare("model", provider.model_fields)
    if provider.kind is Kind.HOSTING and (names := current_names(provider)):
        based = f"model-{queries.BASE_MODEL}"
        field = form.fields[based if based in form.fields else "model"]
        field.widget = SuggestingInput(names, attrs=field.widget.attrs)


def current_names(provider: Provider) -> list[str]:
    """The shipped models of a hosting provider that are not retired: what somebody may want to add, or to run."""
    today = date.today()
    known = facts.shipped(provider.slug).models.items()
    return [name for name, one in known if one.type in provider.model_types and not (one.retired and one.retired <= today)]


class SuggestingInput(forms.TextInput):
    """A text input that offers names; any other text is as good."""

    def __init__(self, names: Iterable[str], attrs: Any = None) -> None:
        super().__init__(attrs)
        self.names = tuple(names)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        identity = f"{name}-names"
        shown = super().render(name, value, {**(attrs or {}), "list": identity}, renderer)
        options = format_html_join("", '<option value="{}">', ((one,) for one in self.names))
        return format_html('{}<datalist id="{}">{}</datalist>', shown, identity, options)


class SetupForm(CredentialForm):
    """A credential, and for hosting providers the first model with it; optional where the server lists its models itself."""

    def __init__(self, *args: Any, provider: Provider, with_model: bool, **kwargs: Any) -> None:
        super().__init__(*args, provider=provider, **kwargs)
        self.with_model = with_model and provider.kind is Kind.HOSTING
        if not self.with_model:
            return
        listed = provider.list_models is not None
        text = gettext("Leave empty to add models later.") if listed else ""
        self.fields["model"] = forms.CharField(label=_("Model name"), max_length=200, required=not listed, help_text=text)
        self.fields["type"] = forms.ChoiceField(label=_("Model type"))
        add_model_fields(self, provider)

    @property
    def model_basic(self) -> list[tuple[forms.BoundField, str]]:
        return self.inputs("model", advanced=False)

    @property
    def model_advanced(self) -> list[tuple[forms.BoundField, str]]:
        return self.inputs("model", advanced=True) if self.with_model else []

    @property
    def advanced_open(self) -> bool:
        return super().advanced_open or (self.with_model and self.has_open_advanced("model"))

    @property
    def first_model(self) -> dict[str, Any] | None:
        """Keyword arguments of add_model, None where no model was typed."""
        name = self.cleaned_data.get("model", "") if self.with_model else ""
        return {"model": name, "type": self.cleaned_data["type"], "values": self.values("model")} if name else None


class LongSelect(forms.Select):
    """A select of many options. Django renders a template for each option, which took a third of a second for 500 models."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        chosen = set(self.format_value(value))
        pieces: list[str] = [format_html("<select{}>", flatatt(self.build_attrs(self.attrs, {**(attrs or {}), "name": name})))]
        for key, label in self.choices:
            if isinstance(label, list | tuple):
                pieces.append(f'<optgroup label="{escape(key)}">')
                pieces += [_option_html(one, text, chosen) for one, text in label]
                pieces.append("</optgroup>")
            else:
                pieces.append(_option_html(key, label, chosen))
        pieces.append("</select>")
        return mark_safe("".join(pieces))  # noqa: S308  every part is escaped above


def _option_html(value: Any, label: Any, chosen: set[str]) -> str:
    return f'<option value="{escape(value)}"{" selected" if str(value) in chosen else ""}>{escape(label)}</option>'


@dataclass(frozen=True, slots=True)
class FallbackPlace:
    """A place in the order of fallbacks. taken: how many places hold a model."""

    field: forms.BoundField
    place: int
    taken: int

    @property
    def is_taken(self) -> bool:
        return self.place < self.taken

    @property
    def is_first(self) -> bool:
        return self.place == 0

    @property
    def is_last(self) -> bool:
        return self.place == self.taken - 1


def rearranged(posted: QueryDict) -> QueryDict:
    """The form of default models after one of its buttons, which save as well: "up:<scenario>:<place>", "down:...", "remove:...",
    and "use:<scenario>:<model>" for a model that the page suggested.
    """
    what, _colon, rest = posted.get("do", "").partition(":")
    if what == "use":
        return _with_suggestion(posted, *rest.partition(":")[::2])
    scenario, _colon, place = rest.rpartition(":")
    if what not in ("up", "down", "remove") or not place.isdecimal() or int(place) >= MOST_FALLBACKS:
        return posted
    changed = posted.copy()
    names = _fallback_names(scenario)
    here, there = int(place), int(place) + {"up": -1, "down": 1, "remove": 0}[what]
    if what == "remove":
        changed[names[here]] = ""
    elif 0 <= there < MOST_FALLBACKS and posted.get(names[there]):
        changed[names[here]], changed[names[there]] = posted.get(names[there], ""), posted.get(names[here], "")
    return changed


def _with_suggestion(posted: QueryDict, scenario: str, model: str) -> QueryDict:
    """The model becomes the default; where it was a fallback, it no longer is."""
    changed = posted.copy()
    changed[f"{scenario}-model"] = model
    for name in _fallback_names(scenario):
        if changed.get(name) == model:
            changed[name] = ""
    return changed


def _fallback_names(scenario: str) -> list[str]:
    return [f"{scenario}-fallback{number}" for number in range(MOST_FALLBACKS)]


class DefaultForm(PageForm):
    """The default model of one scenario with the models to try after it; an empty model clears it."""

    model = forms.ChoiceField(required=False, widget=LongSelect)

    def __init__(self, *args: Any, choice: DefaultChoice, entries: Iterable[Entry], labels: Mapping[str, Any], **kwargs: Any) -> None:
        kwargs.setdefault("prefix", choice.scenario.slug)
        initial = {"model": choice.model} | {f"fallback{place}": name for place, name in enumerate(choice.fallbacks)}
        kwargs["initial"] = initial
        super().__init__(*args, **kwargs)
        self.scenario = choice.scenario
        groups = grouped(entries, labels)
        self.fields["model"].label = choice.scenario.label
        self.fields["model"].help_text = choice.scenario.description
        models = _with(groups, choice.model)
        self.has_models = bool(models)
        self.set_choices("model", [("", gettext("Not set")), *models])
        # One empty place after those that are taken: that is how one is added, without any script.
        self.places = min(len(choice.fallbacks) + 1, MOST_FALLBACKS)
        for place in range(self.places):
            chosen = initial.get(f"fallback{place}", "")
            label = gettext("%(number)d. fallback") % {"number": place + 1} if chosen else gettext("Add a fallback")
            choices = [("", "–"), *_with(groups, chosen)]
            self.fields[f"fallback{place}"] = forms.ChoiceField(label=label, required=False, choices=choices, widget=LongSelect)
        self.names = {"fallbacks": "fallback0"}
        for field in self.fields.values():
            field.widget.attrs["form"] = "defaults"  # the page has small forms of its own beside each select

    @property
    def fallback_fields(self) -> list[FallbackPlace]:
        taken = sum(1 for place in range(self.places) if self.initial.get(f"fallback{place}"))
        return [FallbackPlace(self[f"fallback{place}"], place, taken) for place in range(self.places)]

    @property
    def chosen_fallbacks(self) -> list[str]:
        names = (self.cleaned_data[f"fallback{place}"] for place in range(self.places))
        return [name for name in names if name]


def grouped(entries: Iterable[Entry], labels: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Choices in groups by provider, as <optgroup>."""
    groups = groupby(entries, key=lambda one: one.provider)
    named = [(str(labels.get(slug, slug)), list(rows)) for slug, rows in groups]
    return [(label, [(one.id, _option(one, label)) for one in rows]) for label, rows in named]


def _option(entry: Entry, provider: str) -> str:
    """With the provider: a closed select does not show its groups."""
    text = f"{provider} ▸ {entry.model}"
    return gettext("%(model)s (retired)") % {"model": text} if entry.is_retired else text


def _with(groups: list[tuple[str, list[tuple[str, str]]]], chosen: str) -> list[Any]:
    """The groups, with a chosen model that is no longer offered on top: saving something else must not lose it silently."""
    known = {name for _label, options in groups for name, _text in options}
    return (
        [(chosen, gettext("%(model)s (switched off or gone)") % {"model": chosen}), *groups]
        if chosen and chosen not in known
        else list(groups)
    )


AMOUNTS = ("input", "output", "cached_input", "per_minute", "per_million_characters")
CURRENCIES = ("USD", "CNY", "EUR")


class FactsForm(PageForm):
    """The workspace's own values of one model. An empty input leaves the shipped or listed value in effect."""

    label = forms.CharField(label=_("Name that is shown"), max_length=200, required=False)
    context_window = forms.IntegerField(label=_("Context window (tokens)"), min_value=1, max_value=2**31 - 1, required=False)
    max_output = forms.IntegerField(label=_("Longest answer (tokens)"), min_value=1, max_value=2**31 - 1, required=False)
    max_inputs = forms.IntegerField(label=_("Texts in one request"), min_value=1, max_value=2**31 - 1, required=False)
    features = forms.CharField(
        label=_("Features"), max_length=1000, required=False, help_text=_("Separated by commas, such as vision, tools, json_schema.")
    )
    currency = forms.ChoiceField(label=_("Currency"), required=False)
    input = forms.DecimalField(label=_("Input, per million tokens"), required=False)
    output = forms.DecimalField(label=_("Output, per million tokens"), required=False)
    cached_input = forms.DecimalField(label=_("Cached input, per million tokens"), required=False)
    per_minute = forms.DecimalField(label=_("Audio, per minute"), required=False)
    per_million_characters = forms.DecimalField(label=_("Text to speak, per million characters"), required=False)

    def __init__(self, *args: Any, layers: Layers, **kwargs: Any) -> None:
        own = layers.own or Facts()
        kwargs["initial"] = _typed_facts(own)
        super().__init__(*args, **kwargs)
        self.own, kind = own, layers.entry.type
        self.names = {"price": "input"}
        self.set_choices("currency", [("", "–"), *((one, one) for one in _currencies(layers))])
        prices = MODEL_TYPES[kind].prices if kind else AMOUNTS
        for name in ({*AMOUNTS} - {*prices}) | facts_of_other_types(kind):
            del self.fields[name]
        inherited = _typed_facts(_inherited(layers))
        self.unmarked = tuple(self.fields)  # all are optional: the page says so once
        for name, field in self.fields.items():
            field.widget.attrs |= {"autocomplete": "off", "placeholder": inherited.get(name, "")} if name != "currency" else {}
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
        given = [name for name in AMOUNTS if values.get(name) is not None]
        if given and not values.get("currency"):
            self.add_error("currency", gettext("Choose the currency of the price."))
        if values.get("currency") and not given:
            self.add_error("currency", gettext("Enter an amount, or choose no currency."))
        return values

    @property
    def changed_facts(self) -> dict[str, Any]:
        """Arguments of services.override: what differs from the stored values; None takes a value back."""
        values, stored = self.cleaned_data, _typed_facts(self.own)
        found: dict[str, Any] = {}
        for name in ("label", "context_window", "max_output", "max_inputs", "features"):
            text = str(values.get(name) if values.get(name) is not None else "").strip()
            if name in self.fields and text != stored.get(name, ""):
                found[name] = _fact(name, text, values[name])
        amounts = {name: f"{values[name]:f}" for name in AMOUNTS if values.get(name) is not None}
        before = {name: stored.get(name, "") for name in (*AMOUNTS, "currency") if stored.get(name)}
        after = {**amounts, "currency": values["currency"]} if amounts else {}
        if after != before:
            found["price"] = after or None
        return found


def _fact(name: str, text: str, value: Any) -> Any:
    if not text:
        return None
    return [one.strip() for one in text.split(",") if one.strip()] if name == "features" else value


def _currencies(layers: Layers) -> list[str]:
    known = [one.price.currency for one in (layers.own, layers.synced, layers.shipped) if one is not None and one.price is not None]
    return list(dict.fromkeys([*known, *CURRENCIES]))


def _inherited(layers: Layers) -> Facts:
    """What is in effect where the workspace says nothing."""
    under = [layer for layer in (layers.synced, layers.shipped) if layer is not None]
    names = ("label", "context_window", "max_output", "max_inputs", "features", "price")
    effective: dict[str, Any] = {
        name: next((getattr(one, name) for one in under if getattr(one, name) is not None), None) for name in names
    }
    return Facts(**effective)


def _typed_facts(facts: Facts) -> dict[str, str]:
    """Facts as they are typed into the form's inputs; what is not known is left out."""
    plain = {name: str(value) for name in ("label", "context_window", "max_output", "max_inputs") if (value := getattr(facts, name))}
    if facts.features:
        plain["features"] = ", ".join(sorted(facts.features))
    return plain | (_typed_price(facts.price) if facts.price is not None and not facts.price.is_free else {})


def _typed_price(price: Price) -> dict[str, str]:
    amounts: dict[str, Decimal | None] = {name: getattr(price, name) for name in AMOUNTS}
    return {name: f"{amount:f}" for name, amount in amounts.items() if amount is not None} | {"currency": price.currency}
