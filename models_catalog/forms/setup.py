"""Forms to set up a provider and add a model."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from models_catalog import queries
from models_catalog.facts import library
from models_catalog.forms.filters import type_choices
from providers.declaration.spec import Kind, Provider
from providers.forms import CredentialForm, DeclaredForm, Section


class ModelForm(DeclaredForm):
    """A model to add: name, type, and the model fields that the adapter declares."""

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
    form.fields["model"].widget.attrs |= {
        "autocomplete": "off",
        "spellcheck": "false",
        "autocapitalize": "none",
    }
    form.set_choices("type", type_choices(provider))
    if provider.model_label:
        form.fields["model"].label = provider.model_label
    form.declare("model", provider.model_fields)
    if provider.kind is Kind.HOSTING and (names := current_names(provider)):
        based = f"model-{queries.BASE_MODEL}"
        field = form.fields[based if based in form.fields else "model"]
        field.widget = SuggestingInput(names, attrs=field.widget.attrs)


def current_names(provider: Provider) -> list[str]:
    """Return a hosting provider's shipped models that are not retired, as suggestions."""
    today = date.today()
    return [
        name
        for name, facts in library.shipped(provider.slug).models.items()
        if facts.type in provider.model_types and not (facts.retired and facts.retired <= today)
    ]


class SuggestingInput(forms.TextInput):
    """A text input that suggests names but accepts any text."""

    def __init__(self, names: Iterable[str], attrs: Any = None) -> None:
        super().__init__(attrs)
        self.names = tuple(names)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        list_id = f"{name}-names"
        html = super().render(name, value, {**(attrs or {}), "list": list_id}, renderer)
        options = format_html_join("", '<option value="{}">', ((option,) for option in self.names))
        return format_html('{}<datalist id="{}">{}</datalist>', html, list_id, options)


class SetupForm(CredentialForm):
    """A credential, plus the first model for hosting providers.

    The model is optional if the server lists its models itself.
    """

    def __init__(self, *args: Any, provider: Provider, with_model: bool, **kwargs: Any) -> None:
        super().__init__(*args, provider=provider, **kwargs)
        self.with_model = with_model and provider.kind is Kind.HOSTING
        if not self.with_model:
            return
        listed = provider.list_models is not None
        text = gettext("Leave empty to add models later.") if listed else ""
        self.fields["model"] = forms.CharField(
            label=_("Model name"), max_length=200, required=not listed, help_text=text
        )
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
        """Keyword arguments of add_model, or None if no model was entered."""
        name = self.cleaned_data.get("model", "") if self.with_model else ""
        return (
            {"model": name, "type": self.cleaned_data["type"], "values": self.values("model")}
            if name
            else None
        )
