"""The catalog of one tenant, and which model a request means. Reads only: looking never makes a row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from models_catalog import facts, scenarios
from models_catalog.catalog import Entry, Facts, TenantLayer, merge
from models_catalog.errors import (
    AmbiguousModel,
    ModelDisabled,
    ModelNotFound,
    NotConfigured,
    WrongType,
    default_unusable,
    provider_not_set_up,
)
from models_catalog.models import DefaultModel, TenantModel
from models_catalog.scenarios import Scenario
from providers import contributions, registry
from providers import queries as provider_queries
from providers.models import ProviderCredential
from providers.operations.table import OPERATIONS
from providers.reading import known as known_rows
from providers.reading import once
from providers.spec import ModelFacts, ModelType, Operation, Provider

__all__ = [
    "AmbiguousModel",
    "DefaultChoice",
    "Layers",
    "ModelDisabled",
    "ModelNotFound",
    "NotConfigured",
    "Resolution",
    "WrongType",
    "can_call",
    "chosen",
    "defaults",
    "entries",
    "entry",
    "facts_of",
    "layers",
    "matching",
    "resolve",
    "row",
    "suggestion",
]

BASE_MODEL = "base_model"  # the field of a hosted model that says what it runs
Trials = Mapping[str, Collection[str]]  # provider's slug -> the models of the tenant's trial there


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a request's `model` means. scenario: the scenario asked for, None where a model was named.

    entries[0] is the model asked for or the scenario's default; the rest are its fallbacks, in order.
    """

    scenario: str | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class DefaultChoice:
    """A scenario with its default model. entry is None where nothing is set or the model is gone from the catalog."""

    scenario: Scenario
    model: str  # "provider/model", "" where nothing is set
    fallbacks: tuple[str, ...]
    entry: Entry | None

    @property
    def is_usable(self) -> bool:
        return self.entry is not None and self.entry.enabled


# ------------------------------------------------------------------------------------------------ the catalog


def entries(
    *,
    tenant_id: UUID,
    provider: str | None = None,
    type: ModelType | str | None = None,
    enabled: bool | None = None,
    search: str = "",
    retired: bool | None = None,
) -> list[Entry]:
    """The models of the providers that are set up (by a credential, a trial, or a model of their own), in a stable order.

    search: part of a name or label. retired: whether there is a day of shutdown, past or to come. A fixed number of queries, whatever the number of models.
    """
    by_provider: dict[str, dict[str, TenantModel]] = {}
    for one in _without_keys(tenant_id, provider):
        by_provider.setdefault(one.provider, {})[one.model] = one
    missing = _missing(tenant_id)
    ready = set_up(tenant_id=tenant_id)
    found: list[Entry] = []
    for offered in registry.offered():
        slug = offered.slug
        if provider in (None, slug):
            found += _of_provider(offered, by_provider.get(slug, {}), missing.get(slug, frozenset()), whole=slug in ready)
    return matching(found, type=type, enabled=enabled, search=search, retired=retired)


def matching(
    found: Iterable[Entry],
    *,
    type: ModelType | str | None = None,
    enabled: bool | None = None,
    search: str = "",
    retired: bool | None = None,
) -> list[Entry]:
    """Those of some entries that `entries` would give for these filters."""
    known = (one for one in found if retired is None or (one.retired is not None) is retired)
    return [one for one in known if _fits(one, type, enabled, search.strip().lower())]


def entry(*, tenant_id: UUID, provider: str, model: str) -> Entry | None:
    """One model of the catalog, or None. The provider need not be set up: its shipped models are known all the same."""
    if not model.isprintable():  # such as NUL, which PostgreSQL answers with an error
        return None
    return _find(tenant_id, [(provider, model)]).get((provider, model))


@dataclass(frozen=True, slots=True)
class Layers:
    """A model with what each source says of it; None where a source says nothing."""

    entry: Entry
    shipped: Facts | None
    synced: Facts | None
    own: Facts | None


def layers(*, tenant_id: UUID, provider: str, model: str) -> Layers | None:
    """A model of the catalog, taken apart into the shipped facts, the provider's list, and the workspace's own values."""
    if not model.isprintable():
        return None
    one = _rows(tenant_id).filter(provider=provider, model=model).defer("sealed").first()
    offered = _offered(provider)
    if offered is None or (one is None and model not in _shipped_names(offered)):
        return None
    found = _merged(provider, model, one, _missing(tenant_id).get(provider, frozenset()))
    layer = _layer(one) if one is not None else None
    own = layer.overrides if layer is not None and layer.stored_overrides else None
    return Layers(found, _shipped(provider, model, one), layer.synced if layer else None, own)


def row(*, tenant_id: UUID, provider: str, model: str) -> TenantModel | None:
    """The tenant's row of a model with its sealed key, for a call; None where there is none."""
    if not model.isprintable():
        return None
    return _rows(tenant_id).filter(provider=provider, model=model).first()


def facts_of(row: TenantModel) -> ModelFacts:
    """What wires want to know of a model whose row may not be stored yet."""
    return _merged(row.provider, row.model, row, ()).facts


def set_up(*, tenant_id: UUID) -> frozenset[str]:
    """The providers whose whole catalog is shown: with a credential, or a trial that is on."""
    trials = contributions.trials(tenant_id)
    return provider_queries.has_credential(tenant_id=tenant_id) | {slug for slug, trial in trials.items() if trial.is_on}


def can_call(*, tenant_id: UUID, trials: Trials | None = None) -> Callable[[Entry], bool]:
    """A test of entries: whether anything serves calls of the model. That is a credential of its provider, a trial that has this
    very model, the model's own key or address, or nothing where the provider needs nothing.

    trials: as `resolve` takes them. Three queries at most, and none for each entry.
    """
    own = provider_queries.has_credential(tenant_id=tenant_id)
    tried = _registered_trials(tenant_id) if trials is None else trials

    def test(one: Entry) -> bool:
        if one.provider in own or one.brings_access or registry.get(one.provider).local:
            return True
        return one.model in tried.get(one.provider, ())

    return test


def counts(tenant_id: UUID) -> dict[str, int]:
    """The number of models by provider, in one query: what is shipped, and the rows beyond it."""
    known = {provider.slug: facts.own(provider) for provider in registry.all_providers()}
    found = {provider.slug: len(_shipped_names(provider)) for provider in registry.all_providers()}
    read = known_rows(_without_keys, tenant_id, None)
    names = (
        [(one.provider, one.model) for one in read] if read is not None else _rows(tenant_id).order_by().values_list("provider", "model")
    )
    for slug, model in names:
        if model not in known.get(slug, ()):
            found[slug] = found.get(slug, 0) + 1
    return found


def scenarios_of(tenant_id: UUID, provider: str) -> tuple[str, ...]:
    """The scenarios whose default model is this provider's, as a sentence names them."""
    chosen = DefaultModel.objects.filter(tenant_id=tenant_id, model__startswith=f"{provider}/").values_list("scenario", flat=True)
    return tuple(str(scenario.default_name) for slug in chosen if (scenario := scenarios.find(slug)))


# ------------------------------------------------------------------------------------------------ default models


def chosen(*, tenant_id: UUID) -> dict[str, DefaultModel]:
    """The names that are chosen, by the slug of their scenario, whether or not the catalog has them; one query."""
    return {one.scenario: one for one in DefaultModel.objects.filter(tenant_id=tenant_id)}


def defaults(*, tenant_id: UUID) -> dict[str, DefaultChoice]:
    """Every scenario with what is chosen for it, by slug, in the order of the page."""
    rows = chosen(tenant_id=tenant_id)
    found = _find(tenant_id, [split(one.model) for one in rows.values()])
    return {scenario.slug: _choice(scenario, rows.get(scenario.slug), found) for scenario in scenarios.SCENARIOS}


def suggestion(*, tenant_id: UUID, scenario: Scenario | str, among: Iterable[Entry] | None = None) -> Entry | None:
    """A fitting model to offer on the page, never used by itself: current, switched on, own key before trial.

    among: the tenant's enabled entries where the caller has them already.
    """
    wanted = scenarios.find(scenario) if isinstance(scenario, str) else scenario
    if wanted is None:
        return None
    own = provider_queries.has_credential(tenant_id=tenant_id)
    trials = {slug: trial.models for slug, trial in contributions.trials(tenant_id).items() if trial.is_on and trial.left > 0}

    def rank(one: Entry) -> tuple[bool, bool, bool, int]:
        named = list(facts.shipped(one.provider).suggestions.get(wanted.slug, ()))
        place = named.index(one.model) if one.model in named else len(named)
        return (one.is_retired, one.provider not in own, one.missing, place)

    usable = [
        one
        for one in (entries(tenant_id=tenant_id, type=wanted.type, enabled=True) if among is None else among)
        if one.type is wanted.type
        and (one.provider in own or one.added or one.model in trials.get(one.provider, ()))
        and not one.is_retired
    ]
    return min(usable, key=rank, default=None)


# ------------------------------------------------------------------------------------------------ resolution


def resolve(*, tenant_id: UUID, name: str | None, operation: Operation, trials: Trials | None = None) -> Resolution:
    """What `model` of a request means: "provider/model", a bare name that is unique, a scenario, "default", or absent.

    trials: the models of the tenant's trials by provider; without it the trials that are registered are asked.
    Raises ModelNotFound, ModelDisabled, AmbiguousModel, WrongType, NotConfigured. Retired models are found and flagged.
    """
    wanted = (name or "").strip()
    if trials is None:
        trials = _registered_trials(tenant_id)
    scenario = scenarios.of_operation(operation) if wanted in ("", scenarios.ANY_DEFAULT) else scenarios.find(wanted)
    if scenario is not None:
        return Resolution(scenario.slug, _by_scenario(tenant_id, scenario, operation))
    return Resolution(None, (_by_name(tenant_id, wanted, operation, trials),))


def _by_scenario(tenant_id: UUID, scenario: Scenario, operation: Operation) -> tuple[Entry, ...]:
    if scenario.type is not OPERATIONS[operation].model_type:
        raise WrongType(_("This scenario does not fit the endpoint. Name a scenario or model of the endpoint's own type."))
    chosen = DefaultModel.objects.filter(tenant_id=tenant_id, scenario=scenario.slug).first()
    if chosen is None:
        raise NotConfigured(scenario)
    found = _find(tenant_id, [split(name) for name in (chosen.model, *chosen.fallbacks)])
    first = found.get(split(chosen.model))
    if first is None or not first.enabled:
        # The tenant's own word is needed here; taking a fallback would hide that the default is gone.
        raise default_unusable(scenario, chosen.model)
    rest = (found.get(split(name)) for name in chosen.fallbacks)
    return (first, *(one for one in rest if one is not None and one.enabled))


def _by_name(tenant_id: UUID, wanted: str, operation: Operation, trials: Trials) -> Entry:
    slug, _slash, model = wanted.partition("/")
    if model and _offered(slug):
        found = entry(tenant_id=tenant_id, provider=slug, model=model)
        if found is not None:
            return _usable(tenant_id, found, operation, trials)
    return _usable(tenant_id, _by_bare_name(tenant_id, wanted, operation, trials), operation, trials)


def _by_bare_name(tenant_id: UUID, wanted: str, operation: Operation, trials: Trials) -> Entry:
    """The one model of this name. What can be called counts before what cannot: a trial has few of a provider's models."""
    pairs = [(provider.slug, wanted) for provider in registry.offered()]
    found = list(_find(tenant_id, pairs).values())
    if not found:
        raise ModelNotFound(wanted)
    own = provider_queries.has_credential(tenant_id=tenant_id)
    ready = [one for one in found if one.added or one.provider in own or one.provider in trials]
    callable_ = [one for one in ready if one.added or one.provider in own or wanted in trials.get(one.provider, ())]
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
    ready = found.added or found.provider in trials or _has_credential(tenant_id, found.provider)
    if not ready:
        raise provider_not_set_up(found.provider, provider.label)
    if found.type not in (None, OPERATIONS[operation].model_type):
        raise WrongType(_wrong_type(found, operation))
    return found


def _wrong_type(found: Entry, operation: Operation) -> str:
    text = gettext("%(model)s is a model of type %(type)s; %(operation)s needs one of type %(needed)s.")
    return text % {"model": found.id, "type": found.type, "operation": operation.value, "needed": OPERATIONS[operation].model_type.value}


# ------------------------------------------------------------------------------------------------ helpers


def split(name: str) -> tuple[str, str]:
    """Provider and model of "provider/model"; a name without a slash has no provider."""
    slug, slash, model = name.partition("/")
    return (slug, model) if slash else ("", name)


def _registered_trials(tenant_id: UUID) -> Trials:
    return {slug: trial.models for slug, trial in contributions.trials(tenant_id).items() if trial.is_on}


def _rows(tenant_id: UUID) -> QuerySet[TenantModel]:
    rows: QuerySet[TenantModel] = TenantModel.objects.filter(tenant_id=tenant_id)
    return rows


@once
def _without_keys(tenant_id: UUID, provider: str | None) -> list[TenantModel]:
    rows = _rows(tenant_id)
    return list((rows if provider is None else rows.filter(provider=provider)).defer("sealed"))


def _offered(slug: str) -> Provider | None:
    return next((provider for provider in registry.offered() if provider.slug == slug), None)


def _has_credential(tenant_id: UUID, provider: str) -> bool:
    return ProviderCredential.objects.filter(tenant_id=tenant_id, provider=provider).exists()


def _missing(tenant_id: UUID) -> dict[str, frozenset[str]]:
    return {slug: frozenset(choice.models_missing) for slug, choice in provider_queries.choices(tenant_id=tenant_id).items()}


def _of_provider(provider: Provider, rows: Mapping[str, TenantModel], missing: Collection[str], *, whole: bool) -> list[Entry]:
    """A provider's entries: the shipped ones in their order, then the others by name; the retired ones last."""
    known = facts.own(provider)
    names = [*_shipped_names(provider), *sorted(name for name in rows if name not in known)] if whole else _added(rows)
    merged = [_merged(provider.slug, name, rows.get(name), missing) for name in names]
    return sorted(merged, key=lambda one: one.is_retired)


def _shipped_names(provider: Provider) -> list[str]:
    """The shipped models that can be called: a type that the adapter does not serve yet is not shown."""
    return [name for name, known in facts.own(provider).items() if known.type in provider.model_types]


def _added(rows: Mapping[str, TenantModel]) -> list[str]:
    return sorted(name for name, one in rows.items() if one.origin == TenantModel.Origin.ADDED)


def _merged(slug: str, name: str, one: TenantModel | None, missing: Collection[str]) -> Entry:
    layer = _layer(one) if one is not None else None
    if name in missing:
        layer = replace(layer or TenantLayer(origin=TenantModel.Origin.SHIPPED.value), missing=True)
    return merge(slug, name, shipped=_shipped(slug, name, one), tenant=layer)


def _shipped(slug: str, name: str, one: TenantModel | None) -> Facts | None:
    """What is shipped of a model. List prices are those of the provider's own address: a server of one's own is paid otherwise."""
    if one is None:
        return facts.of_row(slug, name)
    known = facts.of_row(slug, name, one.values.get(BASE_MODEL, ""))
    elsewhere = bool(one.base_url and registry.get(slug).default_base_url)
    return replace(known, price=None) if known is not None and elsewhere else known


def _layer(one: TenantModel) -> TenantLayer:
    synced = None
    if one.facts:
        synced = facts.stored(one.facts, source=f"{one.provider}: list of models", as_of=one.synced.date() if one.synced else None)
    overrides = dict(one.overrides)
    if one.origin == TenantModel.Origin.ADDED and one.type:
        overrides.setdefault("type", one.type)
    return TenantLayer(
        origin=one.origin,
        enabled=one.enabled,
        synced=synced,
        overrides=facts.stored(overrides),
        missing=one.missing_since is not None,
        values=one.values,
        base_url=one.base_url,
        mask=one.mask,
        stored_overrides=one.overrides,
    )


def _find(tenant_id: UUID, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Entry]:
    """The entries of these (provider, model), in one query for their rows and one for what lists lack."""
    if not pairs:
        return {}
    wanted = Q()
    for model in {model for _slug, model in pairs}:
        wanted |= Q(model=model, provider__in=[slug for slug, other in pairs if other == model])
    read = known_rows(_without_keys, tenant_id, None)
    rows = {(one.provider, one.model): one for one in (_rows(tenant_id).filter(wanted).defer("sealed") if read is None else read)}
    missing = _missing(tenant_id)
    found: dict[tuple[str, str], Entry] = {}
    for slug, model in dict.fromkeys(pairs):
        one = rows.get((slug, model))
        provider = _offered(slug)
        if provider is not None and (one is not None or model in _shipped_names(provider)):
            found[slug, model] = _merged(slug, model, one, missing.get(slug, frozenset()))
    return found


def _fits(one: Entry, type: ModelType | str | None, enabled: bool | None, search: str) -> bool:
    if type is not None and one.type != type:
        return False
    if enabled is not None and one.enabled is not enabled:
        return False
    return not search or search in one.model.lower() or search in one.label.lower()


def _choice(scenario: Scenario, one: DefaultModel | None, found: Mapping[tuple[str, str], Entry]) -> DefaultChoice:
    if one is None:
        return DefaultChoice(scenario, "", (), None)
    return DefaultChoice(scenario, one.model, tuple(one.fallbacks), found.get(split(one.model)))
