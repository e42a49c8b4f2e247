"""The catalog of one tenant, and which model a request means. Reads only: looking never makes a
row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db.models import Q, QuerySet

from core.request_cache import known as known_rows
from core.request_cache import once
from models_catalog import scenarios
from models_catalog.facts import library, schema
from models_catalog.models import DefaultModel, TenantModel
from models_catalog.resolution.catalog import Entry, Facts, TenantLayer, merge
from models_catalog.scenarios import Scenario
from providers import ports
from providers import queries as provider_queries
from providers.declaration import registry
from providers.declaration.spec import ModelFacts, ModelType, Provider
from providers.models import ProviderCredential

BASE_MODEL = "base_model"  # the field of a hosted model that says what it runs
Trials = Mapping[str, Collection[str]]  # provider's slug -> the models of the tenant's trial there


@dataclass(frozen=True, slots=True)
class DefaultChoice:
    """A scenario with its default model. entry is None where nothing is set or the model is gone
    from the catalog.
    """

    scenario: Scenario
    model: str  # "provider/model", "" where nothing is set
    fallbacks: tuple[str, ...]
    entry: Entry | None

    @property
    def is_usable(self) -> bool:
        return self.entry is not None and self.entry.enabled


# -------------------------------------------------------------------------------------- the catalog


def entries(
    *,
    tenant_id: UUID,
    provider: str | None = None,
    type: ModelType | str | None = None,
    enabled: bool | None = None,
    search: str = "",
    retired: bool | None = None,
) -> list[Entry]:
    """The models of the providers that are set up (by a credential, a trial, or a model of their
    own), in a stable order.

    search: part of a name or label. retired: whether there is a day of shutdown, past or to come. A
    fixed number of queries, whatever the number of models.
    """
    by_provider: dict[str, dict[str, TenantModel]] = {}
    for one in keyless_providers(tenant_id, provider):
        by_provider.setdefault(one.provider, {})[one.model] = one
    missing = missing_requirements(tenant_id)
    ready = set_up(tenant_id=tenant_id)
    found: list[Entry] = []
    for offered in registry.offered():
        slug = offered.slug
        if provider in (None, slug):
            found += _of_provider(
                offered,
                by_provider.get(slug, {}),
                missing.get(slug, frozenset()),
                whole=slug in ready,
            )
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
    """One model of the catalog, or None. The provider need not be set up: its shipped models are
    known all the same.
    """
    if not model.isprintable():  # such as NUL, which PostgreSQL answers with an error
        return None
    return find_entry(tenant_id, [(provider, model)]).get((provider, model))


@dataclass(frozen=True, slots=True)
class Layers:
    """A model with what each source says of it; None where a source says nothing."""

    entry: Entry
    shipped: Facts | None
    synced: Facts | None
    own: Facts | None


def layers(*, tenant_id: UUID, provider: str, model: str) -> Layers | None:
    """A model of the catalog, taken apart into the shipped facts, the provider's list, and the
    workspace's own values.
    """
    if not model.isprintable():
        return None
    one = model_rows(tenant_id).filter(provider=provider, model=model).defer("sealed").first()
    offered = is_offered(provider)
    if offered is None or (one is None and model not in shipped_names(offered)):
        return None
    found = merged_facts(
        provider, model, one, missing_requirements(tenant_id).get(provider, frozenset())
    )
    layer = _layer(one) if one is not None else None
    own = layer.overrides if layer is not None and layer.stored_overrides else None
    return Layers(found, _shipped(provider, model, one), layer.synced if layer else None, own)


def row(*, tenant_id: UUID, provider: str, model: str) -> TenantModel | None:
    """The tenant's row of a model with its sealed key, for a call; None where there is none."""
    if not model.isprintable():
        return None
    return model_rows(tenant_id).filter(provider=provider, model=model).first()


def facts_of(row: TenantModel) -> ModelFacts:
    """What wires want to know of a model whose row may not be stored yet."""
    return merged_facts(row.provider, row.model, row, ()).facts


def set_up(*, tenant_id: UUID) -> frozenset[str]:
    """The providers whose whole catalog is shown: with a credential, or a trial that is on."""
    trials = ports.trials(tenant_id)
    return provider_queries.has_credential(tenant_id=tenant_id) | {
        slug for slug, trial in trials.items() if trial.is_on
    }


def can_call(*, tenant_id: UUID, trials: Trials | None = None) -> Callable[[Entry], bool]:
    """A test of entries: whether anything serves calls of the model. That is a credential of its
    provider, a trial that has this very model, the model's own key or address, or nothing where the
    provider needs nothing.

    trials: as `resolve` takes them. Three queries at most, and none for each entry.
    """
    own = provider_queries.has_credential(tenant_id=tenant_id)
    tried = registered_trials(tenant_id) if trials is None else trials

    def test(one: Entry) -> bool:
        if one.provider in own or one.brings_access or registry.get(one.provider).local:
            return True
        return one.model in tried.get(one.provider, ())

    return test


def counts(tenant_id: UUID) -> dict[str, int]:
    """The number of models by provider, in one query: what is shipped, and the rows beyond it."""
    known = {provider.slug: library.own(provider) for provider in registry.all_providers()}
    found = {provider.slug: len(shipped_names(provider)) for provider in registry.all_providers()}
    read = known_rows(keyless_providers, tenant_id, None)
    names = (
        [(one.provider, one.model) for one in read]
        if read is not None
        else model_rows(tenant_id).order_by().values_list("provider", "model")
    )
    for slug, model in names:
        if model not in known.get(slug, ()):
            found[slug] = found.get(slug, 0) + 1
    return found


def scenarios_of(tenant_id: UUID, provider: str) -> tuple[str, ...]:
    """The scenarios whose default model is this provider's, as a sentence names them."""
    chosen = DefaultModel.objects.filter(
        tenant_id=tenant_id, model__startswith=f"{provider}/"
    ).values_list("scenario", flat=True)
    return tuple(
        str(scenario.default_name) for slug in chosen if (scenario := scenarios.find(slug))
    )


# ----------------------------------------------------------------------------------- default models


def chosen(*, tenant_id: UUID) -> dict[str, DefaultModel]:
    """The names that are chosen, by the slug of their scenario, whether or not the catalog has
    them; one query.
    """
    return {one.scenario: one for one in DefaultModel.objects.filter(tenant_id=tenant_id)}


def defaults(*, tenant_id: UUID) -> dict[str, DefaultChoice]:
    """Every scenario with what is chosen for it, by slug, in the order of the page."""
    rows = chosen(tenant_id=tenant_id)
    found = find_entry(tenant_id, [split(one.model) for one in rows.values()])
    return {
        scenario.slug: _choice(scenario, rows.get(scenario.slug), found)
        for scenario in scenarios.SCENARIOS
    }


def suggestion(
    *, tenant_id: UUID, scenario: Scenario | str, among: Iterable[Entry] | None = None
) -> Entry | None:
    """A fitting model to offer on the page, never used by itself: current, switched on, own key
    before trial.

    among: the tenant's enabled entries where the caller has them already.
    """
    wanted = scenarios.find(scenario) if isinstance(scenario, str) else scenario
    if wanted is None:
        return None
    own = provider_queries.has_credential(tenant_id=tenant_id)
    trials = {
        slug: trial.models
        for slug, trial in ports.trials(tenant_id).items()
        if trial.is_on and trial.left > 0
    }

    def rank(one: Entry) -> tuple[bool, bool, bool, int]:
        named = list(library.shipped(one.provider).suggestions.get(wanted.slug, ()))
        place = named.index(one.model) if one.model in named else len(named)
        return (one.is_retired, one.provider not in own, one.missing, place)

    usable = [
        one
        for one in (
            entries(tenant_id=tenant_id, type=wanted.type, enabled=True) if among is None else among
        )
        if one.type is wanted.type
        and (one.provider in own or one.added or one.model in trials.get(one.provider, ()))
        and not one.is_retired
    ]
    return min(usable, key=rank, default=None)


# ------------------------------------------------------------------------------------------ helpers


def split(name: str) -> tuple[str, str]:
    """Provider and model of "provider/model"; a name without a slash has no provider."""
    slug, slash, model = name.partition("/")
    return (slug, model) if slash else ("", name)


def registered_trials(tenant_id: UUID) -> Trials:
    return {slug: trial.models for slug, trial in ports.trials(tenant_id).items() if trial.is_on}


def model_rows(tenant_id: UUID) -> QuerySet[TenantModel]:
    rows: QuerySet[TenantModel] = TenantModel.objects.filter(tenant_id=tenant_id)
    return rows


@once
def keyless_providers(tenant_id: UUID, provider: str | None) -> list[TenantModel]:
    rows = model_rows(tenant_id)
    return list((rows if provider is None else rows.filter(provider=provider)).defer("sealed"))


def is_offered(slug: str) -> Provider | None:
    return next((provider for provider in registry.offered() if provider.slug == slug), None)


def has_credential(tenant_id: UUID, provider: str) -> bool:
    return ProviderCredential.objects.filter(tenant_id=tenant_id, provider=provider).exists()


def missing_requirements(tenant_id: UUID) -> dict[str, frozenset[str]]:
    return {
        slug: frozenset(choice.models_missing)
        for slug, choice in provider_queries.choices(tenant_id=tenant_id).items()
    }


def _of_provider(
    provider: Provider, rows: Mapping[str, TenantModel], missing: Collection[str], *, whole: bool
) -> list[Entry]:
    """A provider's entries: the shipped ones in their order, then the others by name; the retired
    ones last.
    """
    known = library.own(provider)
    names = (
        [*shipped_names(provider), *sorted(name for name in rows if name not in known)]
        if whole
        else _added(rows)
    )
    merged = [merged_facts(provider.slug, name, rows.get(name), missing) for name in names]
    return sorted(merged, key=lambda one: one.is_retired)


def shipped_names(provider: Provider) -> list[str]:
    """The shipped models that can be called: a type that the adapter does not serve yet is not
    shown.
    """
    return [
        name for name, known in library.own(provider).items() if known.type in provider.model_types
    ]


def _added(rows: Mapping[str, TenantModel]) -> list[str]:
    return sorted(name for name, one in rows.items() if one.origin == TenantModel.Origin.ADDED)


def merged_facts(slug: str, name: str, one: TenantModel | None, missing: Collection[str]) -> Entry:
    layer = _layer(one) if one is not None else None
    if name in missing:
        layer = replace(layer or TenantLayer(origin=TenantModel.Origin.SHIPPED.value), missing=True)
    return merge(slug, name, shipped=_shipped(slug, name, one), tenant=layer)


def _shipped(slug: str, name: str, one: TenantModel | None) -> Facts | None:
    """What is shipped of a model. List prices are those of the provider's own address: a server of
    one's own is paid otherwise.
    """
    if one is None:
        return library.of_row(slug, name)
    known = library.of_row(slug, name, one.values.get(BASE_MODEL, ""))
    elsewhere = bool(one.base_url and registry.get(slug).default_base_url)
    return replace(known, price=None) if known is not None and elsewhere else known


def _layer(one: TenantModel) -> TenantLayer:
    synced = None
    if one.facts:
        synced = schema.stored(
            one.facts,
            source=f"{one.provider}: list of models",
            as_of=one.synced.date() if one.synced else None,
        )
    overrides = dict(one.overrides)
    if one.origin == TenantModel.Origin.ADDED and one.type:
        overrides.setdefault("type", one.type)
    return TenantLayer(
        origin=one.origin,
        enabled=one.enabled,
        synced=synced,
        overrides=schema.stored(overrides),
        missing=one.missing_since is not None,
        values=one.values,
        base_url=one.base_url,
        mask=one.mask,
        stored_overrides=one.overrides,
    )


def find_entry(tenant_id: UUID, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Entry]:
    """The entries of these (provider, model), in one query for their rows and one for what lists
    lack.
    """
    if not pairs:
        return {}
    wanted = Q()
    for model in {model for _slug, model in pairs}:
        wanted |= Q(model=model, provider__in=[slug for slug, other in pairs if other == model])
    read = known_rows(keyless_providers, tenant_id, None)
    rows = {
        (one.provider, one.model): one
        for one in (model_rows(tenant_id).filter(wanted).defer("sealed") if read is None else read)
    }
    missing = missing_requirements(tenant_id)
    found: dict[tuple[str, str], Entry] = {}
    for slug, model in dict.fromkeys(pairs):
        one = rows.get((slug, model))
        provider = is_offered(slug)
        if provider is not None and (one is not None or model in shipped_names(provider)):
            found[slug, model] = merged_facts(slug, model, one, missing.get(slug, frozenset()))
    return found


def _fits(one: Entry, type: ModelType | str | None, enabled: bool | None, search: str) -> bool:
    if type is not None and one.type != type:
        return False
    if enabled is not None and one.enabled is not enabled:
        return False
    return not search or search in one.model.lower() or search in one.label.lower()


def _choice(
    scenario: Scenario, one: DefaultModel | None, found: Mapping[tuple[str, str], Entry]
) -> DefaultChoice:
    if one is None:
        return DefaultChoice(scenario, "", (), None)
    return DefaultChoice(scenario, one.model, tuple(one.fallbacks), found.get(split(one.model)))
