"""Ports to apps this one must not import: plan credentials, retired models, prices, providers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from core.ports import Port
from quotas.ledger import pricing


@dataclass(frozen=True, slots=True)
class PlanCredential:
    """A validated credential.

    Attributes:
        public: Values to store as they are.
        secret: Values to store encrypted.
        base_url: Normalised; "" for the provider's default URL.
    """

    public: Mapping[str, str]
    secret: Mapping[str, str] = field(repr=False)
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class RetiredModel:
    """A model that its provider has retired or is going to retire.

    Attributes:
        since: Date of retirement; None if unknown.
        successor: Model to use instead; "" if unknown.
    """

    model: str
    since: date | None = None
    successor: str = ""


@dataclass(frozen=True, slots=True)
class CredentialField:
    """A form field of a provider's credential; `label` and `help_text` are lazy strings."""

    name: str
    label: Any
    secret: bool = False
    help_text: Any = ""


class VersionedPrice(pricing.Price, Protocol):
    """A version of a price.

    Attributes:
        version: Its id; the same amounts since the same time have the same one for ever.
        since: When it came into force; None if it always was.
        as_of: Day on which the price was read from its source.
        is_own: Whether the workspace entered the price itself.
    """

    @property
    def currency(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def since(self) -> datetime | None: ...
    @property
    def as_of(self) -> date | None: ...
    @property
    def source(self) -> str: ...
    @property
    def is_own(self) -> bool: ...


@Port
def check_credential(provider: str, values: Mapping[str, str]) -> PlanCredential:
    """Check and split what an operator typed for a plan.

    Until an answer is connected, every field but `base_url` counts as a secret.

    Args:
        values: By field name, `base_url` among them.

    Raises:
        ServiceError: A value is invalid or missing.
    """
    secret = {name: value for name, value in values.items() if name != "base_url"}
    return PlanCredential(public={}, secret=secret, base_url=values.get("base_url", ""))


@Port
def credential_fields(provider: str) -> Sequence[CredentialField]:
    """Return the inputs of a provider's credential, `base_url` among them."""
    return (
        CredentialField("api_key", _("API key"), secret=True),
        CredentialField("base_url", _("Base URL")),
    )


@Port
def effective_url(provider: str, base_url: str) -> str:
    """Return the base URL that calls really go to, which is what sealed secrets are bound to."""
    return base_url


@Port
def retired(provider: str, models: Collection[str]) -> list[RetiredModel]:
    """Return those of the models that are retired or will be."""
    return []


class Prices(Protocol):
    """The versions of a model's price."""

    def at(self, time: datetime, /) -> VersionedPrice | None: ...
    def find(self, version: str, /) -> VersionedPrice | None: ...
    def versions(self) -> Sequence[VersionedPrice]: ...


@Port
def prices(tenant_id: UUID, provider: str, model: str) -> Prices | None:
    """Return the versions of a model's price in the catalog, or None if it has none."""
    return None


@Port
def prices_document(prices: Prices) -> Any:
    """Return the versions as JSON."""
    return None


@Port
def prices_of(document: Any) -> Prices | None:
    """Return the versions that `prices_document` made JSON of."""
    return None


@Port
def provider_label(provider: str) -> Any:
    """Return the provider's name for people, or None if the provider is unknown."""
    return None


@Port
def holds_of_open_batches() -> Collection[UUID]:
    """Return the holds that batches of all workspaces still need."""
    return ()
