"""Forms of credentials, built from the fields that providers declare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django import forms
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from core.web.forms import PageForm
from providers.cards import STATE_FILTERS
from providers.credentials.called import called_urls
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
            *((model_type.value, row.label) for model_type, row in MODEL_TYPES.items()),
        ],
    )
    state = forms.ChoiceField(
        label=pgettext_lazy("provider", "State"),
        required=False,
        choices=lambda: [
            ("", pgettext_lazy("provider state", "All")),
            *((state.value, label) for state, label in STATE_FILTERS.items()),
        ],
    )


def form_field(declared: Field, *, mask: str = "") -> forms.Field:
    """Return the form field of a declared field.

    Args:
        declared: The declared field.
        mask: The mask of a stored secret, which is kept if the input is left empty.
    """
    help_text = str(declared.help_text)
    if mask:
        help_text = gettext("Leave empty to keep %(mask)s.") % {"mask": mask}
    elif not help_text and declared.prefix:
        help_text = gettext("Starts with %(prefix)s") % {"prefix": declared.prefix}
    options: dict[str, Any] = {
        "label": declared.label,
        "required": declared.required and not mask,
        "help_text": help_text,
    }
    if declared.choices:
        empty = [] if declared.required else [("", "–")]
        return forms.ChoiceField(choices=[*empty, *declared.choices], **options)
    attrs = {"placeholder": declared.placeholder, "spellcheck": "false", "autocapitalize": "none"}
    if declared.secret:
        # render_value stays False, so an entered secret is never sent back.
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
    """A group of inputs.

    Args:
        heading: Heading of an alternative; empty for other inputs.
        follows: Whether the section before it is an alternative, too.
        inputs: Pairs of input and help URL.
    """

    heading: Any
    follows: bool
    inputs: list[tuple[forms.BoundField, str]]


class DeclaredForm(PageForm):
    """A form with an input for every declared field.

    The inputs have a prefix, so that their names differ from the form's own fields.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names: dict[str, str] = {}
        self.unmarked: set[str] = set()
        self._declared: dict[str, list[Field]] = {}
        self._provider: Provider | None = None
        self.typed_url = ""  # what is being typed as the base URL

    def declare(
        self,
        group: str,
        declared: Iterable[Field],
        *,
        mask: str = "",
        initial: dict[str, str] | None = None,
    ) -> None:
        self._declared[group] = list(declared)
        for field in self._declared[group]:
            name = f"{group}-{field.name}"
            self.fields[name] = form_field(field, mask=mask if field.secret else "")
            if field.group:
                self.unmarked.add(name)  # neither required nor optional: one of the groups is
            if initial and not field.secret:
                self.fields[name].initial = initial.get(field.name, "")
            self.names.setdefault(field.name, name)

    def values(self, group: str) -> dict[str, str]:
        """Return the entered values without empty secrets, so that stored ones are kept."""
        typed = {
            field: self.cleaned_data.get(f"{group}-{field.name}", "")
            for field in self._declared[group]
        }
        return {field.name: value for field, value in typed.items() if value or not field.secret}

    def inputs(self, group: str, *, advanced: bool) -> list[tuple[forms.BoundField, str]]:
        return [
            (self[f"{group}-{field.name}"], field.help_url)
            for field in self._declared[group]
            if field.advanced is advanced
        ]

    def sections_of(self, group: str) -> list[Section]:
        """Return the inputs that are not advanced, grouped by alternative."""
        shown = [field for field in self._declared[group] if not field.advanced]
        sections: list[Section] = []
        for heading, fields in groupby(shown, key=lambda field: field.group):
            inputs = [(self[f"{group}-{field.name}"], field.help_url) for field in fields]
            follows = bool(heading and sections and sections[-1].heading)
            sections.append(Section(heading, follows, inputs))
        return sections

    def has_open_advanced(self, group: str) -> bool:
        return any(
            field.errors or field.value() for field, _url in self.inputs(group, advanced=True)
        )

    @property
    def called_urls(self) -> Sequence[str]:
        """The URLs that are called with the base URL as it is entered."""
        public = [field.name for field in self._declared["values"] if not field.secret]
        entered = {name: self[f"values-{name}"].value() or "" for name in public}
        url = self.typed_url or entered.pop("base_url", "")
        return called_urls(self._provider, entered, url) if url and self._provider else ()

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
        help_text=_("Helps to tell several keys of a provider apart."),
    )

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs["autocomplete"] = "off"
        self._provider = provider
        self.declare("values", provider.credential_fields)


class ReplaceForm(DeclaredForm):
    """New values of a stored credential; secrets are shown as a mask."""

    def __init__(
        self, *args: Any, provider: Provider, credential: ProviderCredential, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        stored = {
            **credential.values,
            "base_url": typed_base_url(provider, credential.values, credential.base_url),
        }
        self._provider = provider
        self.declare("values", provider.credential_fields, mask=credential.mask, initial=stored)


class RenameForm(PageForm):
    name = forms.CharField(
        label=_("Credential name"),
        max_length=NAME_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class SecretTextarea(forms.Textarea):
    """A text area whose content is never sent back to the browser."""

    def format_value(self, value: Any) -> str:
        return ""


class PasteForm(PageForm):
    """Lines of a .env file, pasted or uploaded."""

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
            "One NAME=value per line, at most 50 lines. Keys without a name are "
            "recognised by their prefix."
        ),
    )
    file = forms.FileField(
        label=_("Or a file"), required=False, max_length=200, help_text=_("Text, at most 64 KiB.")
    )
    unmarked = ("text", "file")  # either one is enough

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        values["lines"] = "\n".join(
            text for text in (values.get("text", ""), self._file_text(values.get("file"))) if text
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
            self.add_error("file", gettext("This is not a text file."))
            return ""


def provider_choices() -> list[tuple[str, Any]]:
    """Return the providers that need only one key."""
    return [
        (provider.slug, provider.label)
        for provider in registry.offered()
        if provider.default_base_url and key_field(provider) is not None
    ]
