"""What the page of all models shows: each model with its provider, and what keeps it from being
called now.
"""

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
from models_catalog.resolution.catalog import Entry
from providers import ports
from providers import queries as provider_queries
from providers.cards import Card
from providers.declaration import registry


@dataclass(frozen=True, slots=True)
class ListedModel:
    """obstacle: why nothing of its provider serves a call now, in a few words; "" where something
    does.
    """

    entry: Entry
    card: Card
    obstacle: str | Promise

    @property
    def can_be_called(self) -> bool:
        return not self.obstacle and self.entry.enabled and not self.entry.is_retired


def listed(*, tenant_id: UUID) -> list[ListedModel]:
    """All models of the providers that are set up, in the catalog's order; a fixed number of
    queries.
    """
    statuses = provider_queries.statuses(tenant_id=tenant_id, with_counts=False)
    cards = {slug: Card(status) for slug, status in statuses.items()}
    found = queries.entries(tenant_id=tenant_id)
    return [
        ListedModel(one, cards[one.provider], obstacle(one, cards[one.provider])) for one in found
    ]


def obstacle(one: Entry, card: Card) -> str | Promise:
    """What is in the way of a call, as calls are served: by the model's own access, a credential of
    the provider, or a trial.
    """
    if one.brings_access or registry.get(one.provider).local or card.status.has_working:
        return ""
    trial = card.status.trial if card.status.trial is not None and card.status.trial.is_on else None
    if trial is not None and one.model in trial.models:
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
    """Those that fit. callable_now: whether a call can be answered now. filters: as
    queries.matching takes them.
    """
    narrowed = [one for one in models if not provider or one.entry.provider == provider]
    if callable_now is not None:
        narrowed = [one for one in narrowed if one.can_be_called is callable_now]
    fitting = {one.id for one in queries.matching([one.entry for one in narrowed], **filters)}
    return [one for one in narrowed if one.entry.id in fitting]


def latest_calls(*, tenant_id: UUID, entries: Iterable[Entry]) -> dict[str, datetime]:
    """When each model was called last, by its id "provider/model"; those that never were are left
    out. One query.
    """
    found = ports.latest_calls(tenant_id, [(one.provider, one.model) for one in entries])
    return {f"{provider}/{model}": moment for (provider, model), moment in found.items()}


def providers_of(models: Iterable[ListedModel]) -> Mapping[str, Any]:
    """The labels of the models' providers by slug, in the catalog's order."""
    return {one.entry.provider: one.card.label for one in models}
