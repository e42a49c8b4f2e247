"""Rates: how fast a workspace, a member or an app key may call models."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from django.utils.translation import gettext_lazy as _

from core.errors import ServiceError

LABELS: Final = {
    "requests_per_minute": _("Requests a minute"),
    "tokens_per_minute": _("Tokens a minute"),
    "calls_at_once": _("Calls at once"),
}
MEASURES: Final = tuple(LABELS)
MOST: Final = 1_000_000_000


class Rate(NamedTuple):
    """The rates of a workspace, a member or an app key. None: no limit."""

    scope: str  # "app_key", "member" or "workspace"
    key: int  # names whose rate it is, on all machines alike: 63 bits, never 0
    requests: int | None
    tokens: int | None
    calls: int | None


def rate_of(scope: str, owner: object, values: Mapping[str, Any]) -> Rate | None:
    """Return the rates that a row stores, or None if it limits nothing.

    Args:
        owner: The row's ID.
        values: Numbers by name, as `checked_rates` returns them.
    """
    limits = [values.get(name) for name in MEASURES]
    if not any(limits):
        return None
    digest = blake2b(f"{scope}:{owner}".encode(), digest_size=8).digest()
    return Rate(scope, int.from_bytes(digest) >> 1 or 1, *limits)


def checked_rates(values: Mapping[str, Any]) -> dict[str, int] | None:
    """Return the rates to store, without those that are None; None if all are.

    Args:
        values: Numbers by the names in MEASURES; None means no limit.

    Raises:
        ServiceError: If a number is not between 1 and a thousand million.
    """
    checked = {name: values[name] for name in MEASURES if values.get(name) is not None}
    for name, number in checked.items():
        if type(number) is not int or not 1 <= number <= MOST:
            raise ServiceError(
                "invalid_value", _("Enter a whole number from 1 to 1,000,000,000."), field=name
            )
    return checked or None


def described(rates: Mapping[str, int] | None) -> list[str]:
    """Return the rates as pages show them."""
    return [f"{LABELS[name]}: {number:,}" for name, number in (rates or {}).items()]


def is_within(rates: Mapping[str, Any] | None, outer: Mapping[str, Any] | None) -> bool:
    """Tell whether no rate is above the outer one of its name."""
    return all(0 < (rates or {}).get(name, 0) <= most for name, most in (outer or {}).items())
