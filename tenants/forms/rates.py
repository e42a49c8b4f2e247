"""Fields for the rates of a workspace, a member or an app key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from core.web.forms import PageForm
from tenants.limits.rates import LABELS, MEASURES, MOST


def _field(name: str) -> forms.IntegerField:
    return forms.IntegerField(label=LABELS[name], required=False, min_value=1, max_value=MOST)


class RatesForm(PageForm):
    """How fast models may be called. An empty field is no limit."""

    unmarked = MEASURES
    requests_per_minute = _field("requests_per_minute")
    tokens_per_minute = _field("tokens_per_minute")
    calls_at_once = _field("calls_at_once")

    @property
    def rates(self) -> dict[str, int | None]:
        return {name: self.cleaned_data[name] for name in MEASURES}

    @property
    def has_rates(self) -> bool:
        """Whether a rate is set or has an error, so that the page must show them."""
        return any(self[name].errors or self[name].value() for name in MEASURES)


def initial_rates(rates: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: (rates or {}).get(name) for name in MEASURES}
