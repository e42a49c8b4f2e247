"""Ports: what the apps above this one provide."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from core.ports import Port
from core.request_cache import once


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """A tenant's trial at a provider. Amounts are credits; `models` maps names to call prices."""

    plan: str
    limit: int
    settled: int
    held: int
    left: int
    models: Mapping[str, int] = field(default_factory=dict)
    is_on: bool = True


Model = tuple[str, str]  # provider's slug, model's name


@Port
def connected_trials(tenant_id: UUID) -> Mapping[str, TrialFacts]:
    """Return the trial of each provider that has one, by slug, including trials that are off."""
    return {}


@once
def trials(tenant_id: UUID) -> Mapping[str, TrialFacts]:
    """Return `connected_trials`, read once per page."""
    return connected_trials(tenant_id)


@Port
def model_counts(tenant_id: UUID) -> Mapping[str, int]:
    """Return how many models the catalog has of each provider, by slug."""
    return {}


@Port
def dependents(tenant_id: UUID, provider: str) -> tuple[str, ...]:
    """Return the labels of the default models that stop with the provider's last credential."""
    return ()


@Port
def latest_calls(tenant_id: UUID, models: Collection[Model]) -> Mapping[Model, datetime]:
    """Return when each model was last called, exact to the day; uncalled models are left out."""
    return {}
