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
    """One more model of a provider: name, type, and the fields that the adapter declares for a
    model.
    """

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
    """The shipped models of a hosting provider that are not retired: what somebody may want to add,
    or to run.
    """
    today = date.today()
    known = library.shipped(provider.slug).models.items()
    return [
        name
        for name, one in known
        if one.type in provider.model_types and not (one.retired and one.retired <= today)
    ]


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
    """A credential, and for hosting providers the first model with it; optional where the server
    lists its models itself.
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
        """Keyword arguments of add_model, None where no model was typed."""
        name = self.cleaned_data.get("model", "") if self.with_model else ""
        return (
            {"model": name, "type": self.cleaned_data["type"], "values": self.values("model")}
            if name
            else None
        )
