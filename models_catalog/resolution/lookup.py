"""Find the model that a request's name means."""

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
from models_catalog.resolution.catalog import Entry
from models_catalog.scenarios import Scenario
from providers import queries as provider_queries
from providers.declaration import registry
from providers.declaration.spec import Operation
from providers.operations.table import OPERATIONS


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a request's `model` means. scenario: the scenario asked for, None where a model was
    named.

    entries[0] is the model asked for or the scenario's default; the rest are its fallbacks, in
    order.
    """

    scenario: str | None
    entries: tuple[Entry, ...]


# --------------------------------------------------------------------------------------- resolution


def resolve(
    *, tenant_id: UUID, name: str | None, operation: Operation, trials: Trials | None = None
) -> Resolution:
    """What `model` of a request means: "provider/model", a bare name that is unique, a scenario,
    "default", or absent.

    trials: the models of the tenant's trials by provider; without it the trials that are registered
    are asked. Raises ModelNotFound, ModelDisabled, AmbiguousModel, WrongType, NotConfigured.
    Retired models are found and flagged.
    """
    wanted = (name or "").strip()
    if trials is None:
        trials = registered_trials(tenant_id)
    scenario = (
        scenarios.of_operation(operation)
        if wanted in ("", scenarios.ANY_DEFAULT)
        else scenarios.find(wanted)
    )
    if scenario is not None:
        return Resolution(scenario.slug, _by_scenario(tenant_id, scenario, operation))
    return Resolution(None, (_by_name(tenant_id, wanted, operation, trials),))


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
    found = find_entry(tenant_id, [split(name) for name in (chosen.model, *chosen.fallbacks)])
    first = found.get(split(chosen.model))
    if first is None or not first.enabled:
        # The tenant's own word is needed here; taking a fallback would hide that the default is
        # gone.
        raise default_unusable(scenario, chosen.model)
    rest = (found.get(split(name)) for name in chosen.fallbacks)
    return (first, *(one for one in rest if one is not None and one.enabled))


def _by_name(tenant_id: UUID, wanted: str, operation: Operation, trials: Trials) -> Entry:
    slug, _slash, model = wanted.partition("/")
    if model and is_offered(slug):
        found = entry(tenant_id=tenant_id, provider=slug, model=model)
        if found is not None:
            return _usable(tenant_id, found, operation, trials)
    return _usable(
        tenant_id, _by_bare_name(tenant_id, wanted, operation, trials), operation, trials
    )


def _by_bare_name(tenant_id: UUID, wanted: str, operation: Operation, trials: Trials) -> Entry:
    """The one model of this name. What can be called counts before what cannot: a trial has few of
    a provider's models.
    """
    pairs = [(provider.slug, wanted) for provider in registry.offered()]
    found = list(find_entry(tenant_id, pairs).values())
    if not found:
        raise ModelNotFound(wanted)
    own = provider_queries.has_credential(tenant_id=tenant_id)
    ready = [one for one in found if one.added or one.provider in own or one.provider in trials]
    callable_ = [
        one
        for one in ready
        if one.added or one.provider in own or wanted in trials.get(one.provider, ())
    ]
    fitting = [one for one in callable_ if one.type in (None, OPERATIONS[operation].model_type)]
    for group in ([one for one in fitting if one.enabled], fitting, callable_, ready, found):
        if len(group) == 1:
            return group[0]
        if group:
            raise AmbiguousModel(wanted, tuple(one.id for one in group))
    raise ModelNotFound(wanted)


def _usable(tenant_id: UUID, found: Entry, operation: Operation, trials: Trials) -> Entry:
    if not found.enabled:
        raise ModelDisabled(found.id)
    provider = registry.get(found.provider)
    ready = found.added or found.provider in trials or has_credential(tenant_id, found.provider)
    if not ready:
        raise provider_not_set_up(found.provider, provider.label)
    if found.type not in (None, OPERATIONS[operation].model_type):
        raise WrongType(_wrong_type(found, operation))
    return found


def _wrong_type(found: Entry, operation: Operation) -> str:
    text = gettext(
        "%(model)s is a model of type %(type)s; %(operation)s needs one of type %(needed)s."
    )
    return text % {
        "model": found.id,
        "type": found.type,
        "operation": operation.value,
        "needed": OPERATIONS[operation].model_type.value,
    }
