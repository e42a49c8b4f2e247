"""REST: rates of a workspace, a member or an app key."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from core.api.serializers import StrictSerializer, Whole
from tenants.limits.rates import MEASURES, MOST

_HELP = {
    "requests_per_minute": _("Requests that may begin in a minute."),
    "tokens_per_minute": _("Tokens of requests and answers in a minute."),
    "calls_at_once": _("Calls that may be under way."),
}


def _shown(name: str) -> serializers.IntegerField:
    return serializers.IntegerField(allow_null=True, help_text=_HELP[name])


def _given(name: str) -> Whole:
    return Whole(
        required=False, allow_null=True, min_value=1, max_value=MOST, help_text=_HELP[name]
    )


class RatesOut(serializers.Serializer[Any]):
    requests_per_minute = _shown("requests_per_minute")
    tokens_per_minute = _shown("tokens_per_minute")
    calls_at_once = _shown("calls_at_once")

    def to_representation(self, instance: Any) -> dict[str, int | None]:
        return {name: (instance or {}).get(name) for name in MEASURES}


class RatesField(RatesOut):
    """Read from a row whose `rates` may be None."""

    def get_attribute(self, instance: Any) -> Any:
        return instance.rates or {}


class RatesIn(StrictSerializer):
    """All rates: one that is left out or null is no limit."""

    requests_per_minute = _given("requests_per_minute")
    tokens_per_minute = _given("tokens_per_minute")
    calls_at_once = _given("calls_at_once")
