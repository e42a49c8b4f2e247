"""Forms of credentials, built from what an adapter declares: a new provider needs no form of its
own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django import forms
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from core.web.forms import PageForm
from providers.cards import STATE_FILTERS
from providers.credentials.validation import typed_base_url
from providers.declaration import registry
from providers.declaration.spec import Field, Provider
from providers.imports.env_file import MOST_CHARACTERS, key_field
from providers.models import NAME_LENGTH, ProviderCredential
from providers.operations.table import MODEL_TYPES


class FilterForm(PageForm):
    q = forms.CharField(label=_("Search providers"), required=False, max_length=80)
    type = forms.ChoiceField(
        label=_("Model type"),
        required=False,
        choices=lambda: [
            ("", pgettext_lazy("model type", "All")),
            *((one.value, row.label) for one, row in MODEL_TYPES.items()),
        ],
    )
    state = forms.ChoiceField(
        label=pgettext_lazy("provider", "State"),
        required=False,
        choices=lambda: [
            ("", pgettext_lazy("provider state", "All")),
            *((one.value, label) for one, label in STATE_FILTERS.items()),
        ],
    )


def form_field(declared: Field, *, kept: str = "") -> forms.Field:
    """The input of one declared field. kept: mask of a stored secret, which stays when the input is
    left empty.
    """
    help_text = str(declared.help_text)
    if kept:
        help_text = gettext("Leave empty to keep %(mask)s.") % {"mask": kept}
    elif not help_text and declared.prefix:
        help_text = gettext("Starts with %(prefix)s") % {"prefix": declared.prefix}
    options: dict[str, Any] = {
        "label": declared.label,
        "required": declared.required and not kept,
        "help_text": help_text,
    }
    if declared.choices:
        empty = [] if declared.required else [("", "–")]
        return forms.ChoiceField(choices=[*empty, *declared.choices], **options)
    attrs = {"placeholder": declared.placeholder, "spellcheck": "false", "autocapitalize": "none"}
    if declared.secret:
        # Never filled in again by us: render_value stays False, so a secret that was typed never
        # comes back.
        return forms.CharField(
            widget=forms.PasswordInput(
                attrs={**attrs, "autocomplete": "off", "data-1p-ignore": "true"}
            ),
            **options,
        )
    return forms.CharField(
        widget=forms.TextInput(attrs={**attrs, "autocomplete": "off"}), **options
    )


@dataclass(frozen=True, slots=True)
class Section:
    """Inputs that stand together. heading: of an alternative, "" for plain ones. follows: an
    alternative stands before it.
    """

    heading: Any
    follows: bool
    inputs: list[tuple[forms.BoundField, str]]


class DeclaredForm(PageForm):
    """A form with an input for every declared field, under a prefix that keeps the names apart from
    our own.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names: dict[str, str] = {}
        self.unmarked: set[str] = set()
        self._declared: dict[str, list[Field]] = {}

    def declare(
        self,
        group: str,
        declared: Iterable[Field],
        *,
        kept: str = "",
        initial: dict[str, str] | None = None,
    ) -> None:
        self._declared[group] = list(declared)
        for one in self._declared[group]:
            name = f"{group}-{one.name}"
            self.fields[name] = form_field(one, kept=kept if one.secret else "")
            if one.group:
                self.unmarked.add(name)  # neither required nor optional: one of the groups is
            if initial and not one.secret:
                self.fields[name].initial = initial.get(one.name, "")
            self.names.setdefault(one.name, name)

    def values(self, group: str) -> dict[str, str]:
        """What was typed; empty inputs of secrets are left out, so that a stored one stays."""
        typed = {
            one: self.cleaned_data.get(f"{group}-{one.name}", "") for one in self._declared[group]
        }
        return {one.name: value for one, value in typed.items() if value or not one.secret}

    def inputs(self, group: str, *, advanced: bool) -> list[tuple[forms.BoundField, str]]:
        return [
            (self[f"{group}-{one.name}"], one.help_url)
            for one in self._declared[group]
            if one.advanced is advanced
        ]

    def sections_of(self, group: str) -> list[Section]:
        """The inputs that are not advanced, those of one alternative together."""
        shown = [one for one in self._declared[group] if not one.advanced]
        found: list[Section] = []
        for heading, fields in groupby(shown, key=lambda one: one.group):
            inputs = [(self[f"{group}-{one.name}"], one.help_url) for one in fields]
            found.append(Section(heading, bool(heading and found and found[-1].heading), inputs))
        return found

    def has_open_advanced(self, group: str) -> bool:
        return any(
            field.errors or field.value() for field, _url in self.inputs(group, advanced=True)
        )

    @property
    def sections(self) -> list[Section]:
        return self.sections_of("values")

    @property
    def advanced(self) -> list[tuple[forms.BoundField, str]]:
        return self.inputs("values", advanced=True)

    @property
    def advanced_open(self) -> bool:
        return self.has_open_advanced("values")


class CredentialForm(DeclaredForm):
    """A new credential of a provider."""

    name = forms.CharField(
        label=_("Credential name"),
        max_length=NAME_LENGTH,
        help_text=_("To tell several keys of one provider apart."),
    )

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs["autocomplete"] = "off"
        self.declare("values", provider.credential_fields)


class ReplaceForm(DeclaredForm):
    """New values of a stored credential; what is secret is shown as a mask only."""

    def __init__(
        self, *args: Any, provider: Provider, credential: ProviderCredential, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        stored = {
            **credential.values,
            "base_url": typed_base_url(provider, credential.values, credential.base_url),
        }
        self.declare("values", provider.credential_fields, kept=credential.mask, initial=stored)


class RenameForm(PageForm):
    name = forms.CharField(
        label=_("Credential name"),
        max_length=NAME_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class SecretTextarea(forms.Textarea):
    """A text that is never shown again: what was typed does not come back, whatever the answer is."""

    def format_value(self, value: Any) -> str:
        return ""


class PasteForm(PageForm):
    """Lines of an environment file, pasted or as a file."""

    text = forms.CharField(
        label=_("Lines of a .env file"),
        required=False,
        max_length=MOST_CHARACTERS,
        strip=False,
        widget=SecretTextarea(
            attrs={
                "rows": 8,
                "autocomplete": "off",
                "spellcheck": "false",
                "autocapitalize": "none",
                "placeholder": "OPENAI_API_KEY=sk-…",
            }
        ),
        help_text=_(
            "One NAME=value a line, at most 50 of them. Keys alone are recognised by how they "
            "start."
        ),
    )
    file = forms.FileField(
        label=_("Or a file"), required=False, max_length=200, help_text=_("Text, at most 64 KiB.")
    )
    unmarked = ("text", "file")  # one of the two is filled in

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        values["lines"] = "\n".join(
            one for one in (values.get("text", ""), self._file_text(values.get("file"))) if one
        )
        if not values["lines"].strip() and not self.errors:
            self.add_error("text", gettext("Paste the lines with your keys, or choose a file."))
        return values

    def _file_text(self, file: Any) -> str:
        if file is None:
            return ""
        if file.size > MOST_CHARACTERS:
            self.add_error("file", gettext("The file is larger than 64 KiB. Import it in parts."))
            return ""
        try:
            return str(file.read().decode())
        except UnicodeDecodeError:
            self.add_error("file", gettext("This is no text file."))
            return ""


def provider_choices() -> list[tuple[str, Any]]:
    """The providers that one key is enough for."""
    return [
        (one.slug, one.label)
        for one in registry.offered()
        if one.default_base_url and key_field(one) is not None
    ]
