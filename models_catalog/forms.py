"""Forms of models and default models, built from what providers declare and what the catalog holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import groupby
from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from models_catalog import facts, queries
from models_catalog.catalog import Entry
from models_catalog.queries import DefaultChoice
from providers.cards import TYPE_LABELS
from providers.forms import CredentialForm, DeclaredForm
from providers.spec import Kind, Provider

STATES = (
    ("", pgettext_lazy("models", "All")),
    ("on", pgettext_lazy("models", "Enabled")),
    ("off", pgettext_lazy("models", "Switched off")),
)
FALLBACKS = 3


class ModelFilterForm(forms.Form):
    q = forms.CharField(label=_("Search models"), required=False, max_length=120)
    type = forms.ChoiceField(label=_("Model type"), required=False)
    state = forms.ChoiceField(label=pgettext_lazy("models", "State"), required=False, choices=STATES)

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["type"].choices = [("", pgettext_lazy("model type", "All")), *type_choices(provider)]

    @property
    def query(self) -> dict[str, Any]:
        """Keyword arguments of queries.entries."""
        if not self.is_valid():
            return {}
        values = self.cleaned_data
        enabled = {"on": True, "off": False}.get(values["state"])
        return {"search": values["q"], "type": values["type"] or None, "enabled": enabled}


def type_choices(provider: Provider) -> list[tuple[str, Any]]:
    return [(one.value, TYPE_LABELS[one]) for one in provider.model_types]


class ModelForm(DeclaredForm):
    """One more model of a provider: name, type, and the fields that the adapter declares for a model."""

    model = forms.CharField(label=_("Model name"), max_length=200)
    type = forms.ChoiceField(label=_("Model type"))

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        add_model_fields(self, provider)

    @property
    def basic(self) -> list[tuple[forms.BoundField, str]]:
        return self.inputs("model", advanced=False)

    @property
    def advanced(self) -> list[tuple[forms.BoundField, str]]:
        return self.inputs("model", advanced=True)

    @property
    def advanced_open(self) -> bool:
        return self.has_open_advanced("model")


def add_model_fields(form: DeclaredForm, provider: Provider) -> None:
    form.fields["model"].widget.attrs |= {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
    form.fields["type"].choices = type_choices(provider)
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
    def advanced(self) -> list[tuple[forms.BoundField, str]]:
        return [*super().advanced, *(self.inputs("model", advanced=True) if self.with_model else [])]

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
        pieces = [format_html("<select{}>", flatatt(self.build_attrs(self.attrs, {**(attrs or {}), "name": name})))]
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


class DefaultForm(forms.Form):
    """The default model of one scenario with the models to try after it; an empty model clears it."""

    model = forms.ChoiceField(required=False, widget=LongSelect)

    def __init__(self, *args: Any, choice: DefaultChoice, entries: Iterable[Entry], labels: Mapping[str, Any], **kwargs: Any) -> None:
        kwargs.setdefault("prefix", choice.scenario.slug)
        initial = {"model": choice.model} | {f"fallback{place}": name for place, name in enumerate(choice.fallbacks)}
        super().__init__(*args, initial=initial, **kwargs)
        self.scenario = choice.scenario
        groups = grouped(entries, labels)
        self.fields["model"].label = choice.scenario.label
        self.fields["model"].help_text = choice.scenario.description
        self.fields["model"].choices = [("", gettext("Not set")), *_with(groups, choice.model)]
        self.places = max(FALLBACKS, len(choice.fallbacks))
        for place in range(self.places):
            chosen = initial.get(f"fallback{place}", "")
            label = gettext("%(number)d. fallback") % {"number": place + 1}
            choices = [("", "–"), *_with(groups, chosen)]
            self.fields[f"fallback{place}"] = forms.ChoiceField(label=label, required=False, choices=choices, widget=LongSelect)
        self.names = {"fallbacks": "fallback0"}
        for field in self.fields.values():
            field.widget.attrs["form"] = "defaults"  # the page has small forms of its own beside each select

    @property
    def fallback_fields(self) -> list[forms.BoundField]:
        return [self[f"fallback{place}"] for place in range(self.places)]

    @property
    def chosen_fallbacks(self) -> list[str]:
        names = (self.cleaned_data[f"fallback{place}"] for place in range(self.places))
        return [name for name in names if name]

    @property
    def has_models(self) -> bool:
        return len(self.fields["model"].choices) > 1


def grouped(entries: Iterable[Entry], labels: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Choices in groups by provider, as <optgroup>."""
    groups = groupby(entries, key=lambda one: one.provider)
    return [(str(labels.get(slug, slug)), [(one.id, _option(one)) for one in rows]) for slug, rows in groups]


def _option(entry: Entry) -> str:
    return gettext("%(model)s (retired)") % {"model": entry.model} if entry.is_retired else entry.model


def _with(groups: list[tuple[str, list[tuple[str, str]]]], chosen: str) -> list[Any]:
    """The groups, with a chosen model that is no longer offered on top: saving something else must not lose it silently."""
    known = {name for _label, options in groups for name, _text in options}
    return (
        [(chosen, gettext("%(model)s (switched off or gone)") % {"model": chosen}), *groups]
        if chosen and chosen not in known
        else list(groups)
    )
