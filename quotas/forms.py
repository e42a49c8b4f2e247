"""Filters of the usage pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypedDict

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core import error_codes
from core.web.forms import DAY_INPUT, PageForm
from quotas.models import CallRecord
from quotas.templatetags.usage_ui import provider_name
from tenants.forms.audit import midnight

PERIODS: Final = (
    (1, pgettext_lazy("period", "Today")),
    (7, _("Last 7 days")),
    (30, _("Last 30 days")),
    (90, _("Last 90 days")),
)
ALL: Final = ("", pgettext_lazy("calls", "All"))
SOURCES: Final = (ALL, ("credential", _("Own key")), ("trial", pgettext_lazy("calls", "Trial")))
MOST_CHOICES: Final = 60  # per list, always including the selected value
DAYS: Final = 30


class LenientForm(PageForm):
    """A filter form that ignores invalid values, so that old bookmarks still open."""

    def readable(self) -> dict[str, Any]:
        self.is_valid()
        return self.cleaned_data

    def offer(self, choices: Mapping[str, Iterable[str]]) -> None:
        """Fill the selects with the available choices and the selected value."""
        for name, available in choices.items():
            selected = self.data.get(name, "")
            shown = list(dict.fromkeys([*([selected] if selected else []), *available]))
            shown = shown[:MOST_CHOICES]
            self.fields[name].widget.choices = [
                ALL,
                *((value, self.label_of(name, value)) for value in sorted(shown)),
            ]

    def label_of(self, name: str, value: str) -> Any:
        labels = {
            "error_code": lambda code: error_codes.describe(code).title,
            "provider": provider_name,
        }
        return labels[name](value) if name in labels else value

    @property
    def is_filtering(self) -> bool:
        return any(self.readable().get(name) for name in self.FILTERS)

    FILTERS: Sequence[str] = ()


def _choice(label: Any, length: int) -> forms.CharField:
    """Return a select whose choices are filled in later from the data."""
    return forms.CharField(label=label, required=False, max_length=length, widget=forms.Select())


class UsageFilters(TypedDict):
    """Filters of summaries.usage and summaries.summary as keyword arguments."""

    provider: str
    model: str
    app_key: str


class UsageForm(LenientForm):
    FILTERS = ("provider", "model", "app_key")
    days = forms.TypedChoiceField(
        label=pgettext_lazy("usage", "Period"), choices=PERIODS, coerce=int, required=False
    )
    provider = _choice(_("Provider"), 40)
    model = _choice(_("Model"), 200)
    app_key = _choice(_("App key"), 80)

    @property
    def chosen(self) -> int:
        return self.readable().get("days") or DAYS

    @property
    def filters(self) -> UsageFilters:
        readable = self.readable()
        return {
            "provider": readable.get("provider", ""),
            "model": readable.get("model", ""),
            "app_key": readable.get("app_key", ""),
        }

    @property
    def chosen_filters(self) -> dict[str, str]:
        """The non-empty filters, for a query string."""
        return {name: value for name in self.FILTERS if (value := self.readable().get(name))}


class CallFilterForm(LenientForm):
    FILTERS = (
        "since",
        "until",
        "provider",
        "model",
        "app_key",
        "source",
        "status",
        "error_code",
        "request_id",
    )
    since = forms.DateField(
        label=pgettext_lazy("filter", "From"),
        required=False,
        widget=DAY_INPUT,
    )
    until = forms.DateField(
        label=pgettext_lazy("filter", "To, included"),
        required=False,
        widget=DAY_INPUT,
    )
    provider = _choice(_("Provider"), 40)
    model = _choice(_("Model"), 241)
    app_key = _choice(_("App key"), 80)
    source = forms.ChoiceField(label=_("Served by"), required=False, choices=SOURCES)
    status = forms.ChoiceField(label=_("Result"), required=False)
    error_code = _choice(_("Error type"), 40)
    request_id = forms.CharField(
        label=_("Request ID"),
        required=False,
        max_length=64,
        widget=forms.TextInput({"spellcheck": "false"}),
    )
    after = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_choices("status", [ALL, *CallRecord.Status.choices])

    @property
    def query(self) -> dict[str, Any]:
        """Keyword arguments of call_list.calls and call_list.every_call."""
        values = {
            name: value or None
            for name, value in self.readable().items()
            if name not in ("since", "until")
        }
        values["since"] = midnight(self.readable().get("since"))
        values["before"] = midnight(self.readable().get("until"), days=1)
        return values
