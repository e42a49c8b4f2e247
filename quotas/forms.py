"""Filters of the usage pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from quotas.models import CallRecord

PERIODS = ((7, _("Last 7 days")), (30, _("Last 30 days")), (90, _("Last 90 days")))
SOURCES = (("", pgettext_lazy("calls", "All")), ("credential", _("Own key")), ("trial", pgettext_lazy("calls", "Trial")))


class PeriodForm(forms.Form):
    days = forms.TypedChoiceField(label=pgettext_lazy("usage", "Period"), choices=PERIODS, coerce=int, required=False, empty_value=30)

    @property
    def chosen(self) -> int:
        return self.cleaned_data["days"] if self.is_valid() else 30


class CallFilterForm(forms.Form):
    model = forms.CharField(label=_("Model"), required=False, max_length=241)
    source = forms.ChoiceField(label=_("Served by"), required=False, choices=SOURCES)
    status = forms.ChoiceField(label=_("Result"), required=False)
    after = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["status"].choices = [("", pgettext_lazy("calls", "All")), *CallRecord.Status.choices]

    @property
    def query(self) -> dict[str, Any]:
        """Keyword arguments of queries.calls; what cannot be read is left out."""
        self.is_valid()
        return {name: value or None for name, value in self.cleaned_data.items()}
