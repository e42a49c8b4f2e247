"""Resolve a request's model name."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from models_catalog import scenarios
from models_catalog.errors import (
    AmbiguousModel,
    ModelDisabled,
    ModelNotFound,
    NotConfigured,
    WrongType,
    default_unusable,
    provider_not_set_up,
)
from models_catalog.models import DefaultModel
from models_catalog.queries import (
    Trials,
    entry,
    find_entry,
    has_credential,
    is_offered,
    registered_trials,
    split,
)
from models_catalog.resolution.entries import Entry
from models_catalog.scenarios import Scenario
from providers import queries as provider_queries
from providers.declaration import registry
from providers.declaration.spec import Operation
from providers.operations.table import OPERATIONS


@dataclass(frozen=True, slots=True)
class Resolution:
    """The models for a request: the requested or default one first, then its fallbacks in order.

    `scenario` is None if the request named a model.
    """

    scenario: str | None
    entries: tuple[Entry, ...]


def resolve(
    *, tenant_id: UUID, name: str | None, operation: Operation, trials: Trials | None = None
) -> Resolution:
    """Resolve "provider/model", a unique bare name, a scenario, "default" or no name at all.

    Retired models are resolved too; their entries say so.

    Args:
        trials: The tenant's trial models by provider; read from the trials port if omitted.

    Raises:
        ModelNotFound, ModelDisabled, AmbiguousModel, WrongType, NotConfigured: The name resolves to
            no usable model.
    """
    model_name = (name or "").strip()
    if trials is None:
        trials = registered_trials(tenant_id)
    scenario = (
        scenarios.of_operation(operation)
        if model_name in ("", scenarios.ANY_DEFAULT)
        else scenarios.find(model_name)
    )
    if scenario is not None:
        return Resolution(scenario.slug, _by_scenario(tenant_id, scenario, operation))
    return Resolution(None, (_by_name(tenant_id, model_name, operation, trials),))


def _by_scenario(tenant_id: UUID, scenario: Scenario, operation: Operation) -> tuple[Entry, ...]:
    if scenario.type is not OPERATIONS[operation].model_type:
        raise WrongType(
            _(
                "This scenario does not fit the endpoint. Name a scenario or model of the "
                "endpoint's own type."
            )
        )
    chosen = DefaultModel.objects.filter(tenant_id=tenant_id, scenario=scenario.slug).first()
    if chosen is None:
        raise NotConfigured(scenario)
    entries = find_entry(tenant_id, [split(name) for name in (chosen.model, *chosen.fallbacks)])
    first = entries.get(split(chosen.model))
    if first is None or not first.enabled:
        # Using a fallback would hide that the default is gone.
        raise default_unusable(scenario, chosen.model)
    rest = (entries.get(split(name)) for name in chosen.fallbacks)
    return (first, *(entry for entry in rest if entry is not None and entry.enabled))


def _by_name(tenant_id: UUID, name: str, operation: Operation, trials: Trials) -> Entry:
    slug, _slash, model = name.partition("/")
    if model and is_offered(slug):
        match = entry(tenant_id=tenant_id, provider=slug, model=model)
        if match is not None:
            return _usable(tenant_id, match, operation, trials)
    return _usable(tenant_id, _by_bare_name(tenant_id, name, operation, trials), operation, trials)


def _by_bare_name(tenant_id: UUID, name: str, operation: Operation, trials: Trials) -> Entry:
    """Return the only model of this name, preferring callable ones.

    A trial includes only some of a provider's models.
    """
    pairs = [(provider.slug, name) for provider in registry.offered()]
    matches = list(find_entry(tenant_id, pairs).values())
    if not matches:
        raise ModelNotFound(name)
    own = provider_queries.has_credential(tenant_id=tenant_id)
    ready = [
        match
        for match in matches
        if match.added or match.provider in own or match.provider in trials
    ]
    callable_ = [
        match
        for match in ready
        if match.added or match.provider in own or name in trials.get(match.provider, ())
    ]
    fitting = [
        match for match in callable_ if match.type in (None, OPERATIONS[operation].model_type)
    ]
    for group in (
        [match for match in fitting if match.enabled],
        fitting,
        callable_,
        ready,
        matches,
    ):
        if len(group) == 1:
            return group[0]
        if group:
            raise AmbiguousModel(name, tuple(match.id for match in group))
    raise ModelNotFound(name)


def _usable(tenant_id: UUID, entry: Entry, operation: Operation, trials: Trials) -> Entry:
    if not entry.enabled:
        raise ModelDisabled(entry.id)
    provider = registry.get(entry.provider)
    ready = entry.added or entry.provider in trials or has_credential(tenant_id, entry.provider)
    if not ready:
        raise provider_not_set_up(entry.provider, provider.label)
    if entry.type not in (None, OPERATIONS[operation].model_type):
        raise WrongType(_wrong_type(entry, operation))
    return entry


def _wrong_type(entry: Entry, operation: Operation) -> str:
    text = gettext(
        "%(model)s is a model of type %(type)s; %(operation)s needs one of type %(needed)s."
    )
    return text % {
        "model": entry.id,
        "type": entry.type,
        "operation": operation.value,
        "needed": OPERATIONS[operation].model_type.value,
    }
