"""Filters of model lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.web.forms import PageForm
from providers.declaration.spec import Provider
from providers.operations.table import MODEL_TYPES

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
    state = forms.ChoiceField(
        label=pgettext_lazy("models", "State"), required=False, choices=STATES
    )

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_choices(
            "type", [("", pgettext_lazy("model type", "All")), *type_choices(provider)]
        )

    @property
    def query(self) -> dict[str, Any]:
        """Keyword arguments of queries.entries."""
        if not self.is_valid():
            return {}
        values = self.cleaned_data
        enabled = {"on": True, "off": False}.get(values["state"])
        retired = True if values["state"] == "retired" else None
        return {
            "search": values["q"],
            "type": values["type"] or None,
            "enabled": enabled,
            "retired": retired,
        }


class CatalogFilterForm(PageForm):
    """Filters of the page of all models.

    Args:
        providers: Labels of the providers that have models, by slug.
    """

    q = forms.CharField(label=_("Search models"), required=False, max_length=120)
    type = forms.ChoiceField(label=_("Model type"), required=False)
    provider = forms.ChoiceField(label=_("Provider"), required=False)
    state = forms.ChoiceField(
        label=pgettext_lazy("models", "State"), required=False, choices=CATALOG_STATES
    )

    def __init__(self, *args: Any, providers: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = [(model_type.value, row.label) for model_type, row in MODEL_TYPES.items()]
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
    return [
        (model_type.value, MODEL_TYPES[model_type].label) for model_type in provider.model_types
    ]
