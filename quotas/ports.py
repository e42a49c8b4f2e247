"""What this app has to ask of apps it may not import: plans' credentials, retired models, prices, names of providers.

gateway/apps.py registers the answers. Until then a credential is kept as it was typed, every field but `base_url` as a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from quotas.ledger import pricing


@dataclass(frozen=True, slots=True)
class PlanCredential:
    """A checked credential: `public` is stored as it is, `secret` sealed, `base_url` normalised ("" is the provider's own)."""

    public: Mapping[str, str]
    secret: Mapping[str, str] = field(repr=False)
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class RetiredModel:
    """A model that its provider has switched off or will: since when, and what to use instead ("" where nothing is known)."""

    model: str
    since: date | None = None
    successor: str = ""


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One input of a provider's credential, for the operator's form. label, help_text: lazy strings."""

    name: str
    label: Any
    secret: bool = False
    help_text: Any = ""


class Rates(pricing.Price, Protocol):
    """A list price with its lowest tier, per million tokens; None is unknown or does not apply."""

    @property
    def input(self) -> Decimal | None: ...
    @property
    def output(self) -> Decimal | None: ...
    @property
    def cached_input(self) -> Decimal | None: ...
    @property
    def currency(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ListPrice:
    """What a model costs now. as_of: the day the price was read at its source; is_own: the workspace entered it itself."""

    rates: Rates
    as_of: date | None = None
    source: str = ""
    is_own: bool = False


# (tenant's id, provider's slug, model) -> its price in the catalog of now; None where the catalog knows none.
FindPrice = Callable[[UUID, str, str], ListPrice | None]
# provider's slug -> its name for people; None where there is no such provider.
FindLabel = Callable[[str], Any]
# provider's slug -> the inputs of its credential, base_url among them.
CredentialFields = Callable[[str], Sequence[CredentialField]]
# (provider's slug, typed values by field name, base_url among them) -> PlanCredential; raises ServiceError.
CheckCredential = Callable[[str, Mapping[str, str]], PlanCredential]
# (provider's slug, base URL or "") -> the base URL that calls really go to: what the sealed secrets are bound to.
EffectiveURL = Callable[[str, str], str]
# (provider's slug, models) -> those of them that are retired.
FindRetired = Callable[[str, Collection[str]], list[RetiredModel]]


def _as_typed(provider: str, values: Mapping[str, str]) -> PlanCredential:
    secret = {name: value for name, value in values.items() if name != "base_url"}
    return PlanCredential(public={}, secret=secret, base_url=values.get("base_url", ""))


def _usual_fields(provider: str) -> Sequence[CredentialField]:
    return (CredentialField("api_key", _("API key"), secret=True), CredentialField("base_url", _("Base URL")))


@dataclass(slots=True)
class _Registered:
    check: CheckCredential = _as_typed
    effective_url: EffectiveURL = lambda provider, base_url: base_url
    retired: FindRetired = lambda provider, models: []
    fields: CredentialFields = _usual_fields
    price: FindPrice = lambda tenant_id, provider, model: None
    label: FindLabel = lambda provider: None


_registered = _Registered()


def register_catalog(*, price: FindPrice, label: FindLabel) -> None:
    """Called once, when the apps are ready."""
    _registered.price, _registered.label = price, label


def register(
    *, check: CheckCredential, effective_url: EffectiveURL, retired: FindRetired, fields: CredentialFields = _usual_fields
) -> None:
    """Called once, when the apps are ready."""
    _registered.check, _registered.effective_url, _registered.retired, _registered.fields = check, effective_url, retired, fields


def check_credential(provider: str, values: Mapping[str, str]) -> PlanCredential:
    """Check and split what was typed for `provider`. Raises ServiceError."""
    return _registered.check(provider, values)


def credential_fields(provider: str) -> Sequence[CredentialField]:
    """The inputs of the credential, for a form."""
    return _registered.fields(provider)


def effective_url(provider: str, base_url: str) -> str:
    return _registered.effective_url(provider, base_url)


def retired(provider: str, models: Collection[str]) -> list[RetiredModel]:
    return _registered.retired(provider, models)


def price(tenant_id: UUID, provider: str, model: str) -> ListPrice | None:
    return _registered.price(tenant_id, provider, model)


def provider_label(provider: str) -> Any:
    return _registered.label(provider)
