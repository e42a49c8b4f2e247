"""Forms of credentials, built from what an adapter declares: a new provider needs no form of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from providers.cards import TYPE_LABELS
from providers.fields import typed_base_url
from providers.models import ProviderCredential
from providers.spec import Field, Provider


class FilterForm(forms.Form):
    q = forms.CharField(label=_("Search providers"), required=False, max_length=80)
    type = forms.ChoiceField(
        label=_("Model type"),
        required=False,
        choices=lambda: [("", pgettext_lazy("model type", "All")), *((one.value, label) for one, label in TYPE_LABELS.items())],
    )


def form_field(declared: Field, *, kept: str = "") -> forms.Field:
    """The input of one declared field. kept: mask of a stored secret, which stays when the input is left empty."""
    help_text = str(declared.help_text)
    if kept:
        help_text = gettext("Leave empty to keep %(mask)s.") % {"mask": kept}
    elif not help_text and declared.prefix:
        help_text = gettext("Starts with %(prefix)s") % {"prefix": declared.prefix}
    options: dict[str, Any] = {"label": declared.label, "required": declared.required and not kept, "help_text": help_text}
    if declared.choices:
        empty = [] if declared.required else [("", "–")]
        return forms.ChoiceField(choices=[*empty, *declared.choices], **options)
    attrs = {"placeholder": declared.placeholder, "spellcheck": "false", "autocapitalize": "none"}
    if declared.secret:
        # Never filled in again by us: render_value stays False, so a secret that was typed never comes back.
        return forms.CharField(widget=forms.PasswordInput(attrs={**attrs, "autocomplete": "off", "data-1p-ignore": "true"}), **options)
    return forms.CharField(widget=forms.TextInput(attrs={**attrs, "autocomplete": "off"}), **options)


class DeclaredForm(forms.Form):
    """A form with an input for every declared field, under a prefix that keeps the names apart from our own.

    `names` says the translator of refusals where a service's field is found.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names: dict[str, str] = {}
        self._declared: dict[str, list[Field]] = {}

    def declare(self, group: str, declared: Iterable[Field], *, kept: str = "", initial: dict[str, str] | None = None) -> None:
        self._declared[group] = list(declared)
        for one in self._declared[group]:
            name = f"{group}-{one.name}"
            self.fields[name] = form_field(one, kept=kept if one.secret else "")
            if initial and not one.secret:
                self.fields[name].initial = initial.get(one.name, "")
            self.names.setdefault(one.name, name)

    def values(self, group: str) -> dict[str, str]:
        """What was typed; empty inputs of secrets are left out, so that a stored one stays."""
        typed = {one: self.cleaned_data.get(f"{group}-{one.name}", "") for one in self._declared[group]}
        return {one.name: value for one, value in typed.items() if value or not one.secret}

    def inputs(self, group: str, *, advanced: bool) -> list[tuple[forms.BoundField, str]]:
        return [(self[f"{group}-{one.name}"], one.help_url) for one in self._declared[group] if one.advanced is advanced]

    def has_open_advanced(self, group: str) -> bool:
        return any(field.errors or field.value() for field, _url in self.inputs(group, advanced=True))

    @property
    def basic(self) -> list[tuple[forms.BoundField, str]]:
        return self.inputs("values", advanced=False)

    @property
    def advanced(self) -> list[tuple[forms.BoundField, str]]:
        return self.inputs("values", advanced=True)

    @property
    def advanced_open(self) -> bool:
        return self.has_open_advanced("values")


class CredentialForm(DeclaredForm):
    """A new credential of a provider."""

    name = forms.CharField(label=_("Credential name"), max_length=80, help_text=_("To tell several keys of one provider apart."))

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs["autocomplete"] = "off"
        self.declare("values", provider.credential_fields)


class ReplaceForm(DeclaredForm):
    """New values of a stored credential; what is secret is shown as a mask only."""

    def __init__(self, *args: Any, provider: Provider, credential: ProviderCredential, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = {**credential.values, "base_url": typed_base_url(provider, credential.values, credential.base_url)}
        self.declare("values", provider.credential_fields, kept=credential.mask, initial=stored)


class RenameForm(forms.Form):
    name = forms.CharField(label=_("Credential name"), max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))
