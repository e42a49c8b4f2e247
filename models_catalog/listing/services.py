"""Rows of the page of all models: each model with its provider and whether it can be called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from models_catalog import queries
from models_catalog.resolution.entries import Entry
from providers import ports
from providers import queries as provider_queries
from providers.cards import Card
from providers.declaration import registry


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model with its provider's card; `obstacle` says why calls can't be served, or is empty."""

    entry: Entry
    card: Card
    obstacle: str | Promise

    @property
    def can_be_called(self) -> bool:
        return not self.obstacle and self.entry.enabled and not self.entry.is_retired


def listed(*, tenant_id: UUID) -> list[ListedModel]:
    """Return all models of the providers that are set up, in a fixed number of queries."""
    statuses = provider_queries.statuses(tenant_id=tenant_id, with_counts=False)
    cards = {slug: Card(status) for slug, status in statuses.items()}
    return [
        ListedModel(entry, cards[entry.provider], obstacle(entry, cards[entry.provider]))
        for entry in queries.entries(tenant_id=tenant_id)
    ]


def obstacle(entry: Entry, card: Card) -> str | Promise:
    """Say why calls to a model can't be served now, or return "" if they can."""
    if entry.brings_access or registry.get(entry.provider).local or card.status.has_working:
        return ""
    trial = card.status.trial if card.status.trial is not None and card.status.trial.is_on else None
    if trial is not None and entry.model in trial.models:
        return "" if trial.left > 0 else _("Trial used up")
    if card.status.credentials:
        return str(card.state_label)
    return _("Not in the trial") if trial is not None else pgettext_lazy("model", "Needs a key")


def matching(
    models: Iterable[ListedModel],
    *,
    provider: str = "",
    callable_now: bool | None = None,
    **filters: Any,
) -> list[ListedModel]:
    """Filter models.

    Args:
        callable_now: Whether calls can be served now.
        filters: As `queries.matching` takes them.
    """
    rows = [row for row in models if not provider or row.entry.provider == provider]
    if callable_now is not None:
        rows = [row for row in rows if row.can_be_called is callable_now]
    matches = {entry.id for entry in queries.matching([row.entry for row in rows], **filters)}
    return [row for row in rows if row.entry.id in matches]


def latest_calls(*, tenant_id: UUID, entries: Iterable[Entry]) -> dict[str, datetime]:
    """Return when each model was last called, by "provider/model", in one query.

    Models that were never called are left out.
    """
    pairs = [(entry.provider, entry.model) for entry in entries]
    latest = ports.latest_calls(tenant_id, pairs)
    return {f"{provider}/{model}": moment for (provider, model), moment in latest.items()}


def providers_of(models: Iterable[ListedModel]) -> Mapping[str, Any]:
    """Return the labels of the models' providers by slug, in catalog order."""
    return {row.entry.provider: row.card.label for row in models}
