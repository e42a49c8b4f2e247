"""What apps above this one know of a provider: they register a function, the queries here ask it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from core.request_cache import once


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """One tenant's trial at one provider, in credits; `models` maps a model's name to its credits per call."""

    plan: str
    limit: int
    settled: int
    held: int
    left: int
    models: Mapping[str, int] = field(default_factory=dict)
    is_on: bool = True


Trials = Callable[[UUID], Mapping[str, TrialFacts]]
ModelCounts = Callable[[UUID], Mapping[str, int]]
Dependents = Callable[[UUID, str], tuple[str, ...]]
Model = tuple[str, str]  # provider's slug, model's name
T = TypeVar("T")
LatestCalls = Callable[[UUID, Collection[Model]], Mapping[Model, datetime]]

_trials: list[Trials] = []
_model_counts: list[ModelCounts] = []
_dependents: list[Dependents] = []
_latest_calls: list[LatestCalls] = []


def register_trials(function: Trials) -> None:
    """`function(tenant_id)` gives the trial of each provider (slug -> facts) that has one, in one or two queries."""
    _add(_trials, function)


def register_model_counts(function: ModelCounts) -> None:
    """`function(tenant_id)` gives the number of models of each provider (slug -> count), in one query."""
    _add(_model_counts, function)


def register_dependents(function: Dependents) -> None:
    """`function(tenant_id, provider)` names the scenarios whose default model is the provider's."""
    _add(_dependents, function)


def register_latest_calls(function: LatestCalls) -> None:
    """`function(tenant_id, models)` gives when each of the models was called last, exact to the day, in one query or two."""
    _add(_latest_calls, function)


@once
def trials(tenant_id: UUID) -> dict[str, TrialFacts]:
    """The trials of a tenant by provider; those switched off are included and say so."""
    found: dict[str, TrialFacts] = {}
    for function in _trials:
        found.update(function(tenant_id))
    return found


def model_counts(tenant_id: UUID) -> dict[str, int]:
    """How many models the catalog knows of each provider."""
    counts: dict[str, int] = {}
    for function in _model_counts:
        counts.update(function(tenant_id))
    return counts


def dependents(tenant_id: UUID, provider: str) -> tuple[str, ...]:
    """The labels of what stops working when the provider's last credential goes, besides its models."""
    return tuple(label for function in _dependents for label in function(tenant_id, provider))


def latest_calls(tenant_id: UUID, models: Collection[Model]) -> dict[Model, datetime]:
    """When each of the models was called last, exact to the day; those that never were are left out."""
    found: dict[Model, datetime] = {}
    for function in _latest_calls:
        found.update(function(tenant_id, models))
    return found


def _add(registered: list[T], function: T) -> None:
    if function not in registered:  # ready() may run twice in one process
        registered.append(function)
