"""Read a tenant's catalog and default models; reading never creates rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db.models import Q, QuerySet

from core.request_cache import known as known_rows
from core.request_cache import once
from models_catalog import scenarios
from models_catalog.facts import library, price_versions, schema
from models_catalog.models import DefaultModel, TenantModel
from models_catalog.resolution.entries import Entry, Facts, TenantLayer, merge
from models_catalog.scenarios import Scenario
from providers import ports
from providers import queries as provider_queries
from providers.declaration import registry
from providers.declaration.spec import ModelFacts, ModelType, Provider
from providers.models import ProviderCredential

BASE_MODEL = "base_model"  # field of a hosted model that names the model it runs
Trials = Mapping[str, Collection[str]]  # provider slug -> models in the tenant's trial


@dataclass(frozen=True, slots=True)
class DefaultChoice:
    """A scenario with its default model; `entry` is None if unset or no longer in the catalog."""

    scenario: Scenario
    model: str  # "provider/model", or "" if unset
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
    """Return the models of all providers that are set up, in a stable order.

    A credential, a trial or a model added by hand sets a provider up. The number of queries is
    fixed.

    Args:
        search: Part of a name or label.
        retired: Whether the model has a shutdown date, past or future.
    """
    by_provider: dict[str, dict[str, TenantModel]] = {}
    for row in keyless_rows(tenant_id, provider):
        by_provider.setdefault(row.provider, {})[row.model] = row
    missing = missing_requirements(tenant_id)
    ready = set_up(tenant_id=tenant_id)
    result: list[Entry] = []
    for offered in registry.offered():
        slug = offered.slug
        if provider in (None, slug):
            result += _of_provider(
                offered,
                by_provider.get(slug, {}),
                missing.get(slug, frozenset()),
                whole=slug in ready,
            )
    return matching(result, type=type, enabled=enabled, search=search, retired=retired)


def matching(
    candidates: Iterable[Entry],
    *,
    type: ModelType | str | None = None,
    enabled: bool | None = None,
    search: str = "",
    retired: bool | None = None,
) -> list[Entry]:
    """Filter entries as `entries` does."""
    text = search.strip().lower()
    return [
        entry
        for entry in candidates
        if (retired is None or (entry.retired is not None) is retired)
        and _fits(entry, type, enabled, text)
    ]


def entry(*, tenant_id: UUID, provider: str, model: str) -> Entry | None:
    """Return one model of the catalog, or None; the provider need not be set up."""
    if not model.isprintable():  # PostgreSQL rejects NUL
        return None
    return find_entry(tenant_id, [(provider, model)]).get((provider, model))


@dataclass(frozen=True, slots=True)
class Layers:
    """A model with the facts of each source, or None for sources that have none."""

    entry: Entry
    shipped: Facts | None
    synced: Facts | None
    own: Facts | None


def layers(*, tenant_id: UUID, provider: str, model: str) -> Layers | None:
    """Return a model with its shipped facts, the provider's list and its overrides."""
    if not model.isprintable():
        return None
    row = model_rows(tenant_id).filter(provider=provider, model=model).defer("sealed").first()
    offered = is_offered(provider)
    if offered is None or (row is None and model not in shipped_names(offered)):
        return None
    entry = merged_facts(
        provider, model, row, missing_requirements(tenant_id).get(provider, frozenset())
    )
    layer = _layer(row) if row is not None else None
    own = layer.overrides if layer is not None and layer.stored_overrides else None
    return Layers(entry, _shipped(provider, model, row), layer.synced if layer else None, own)


def row(*, tenant_id: UUID, provider: str, model: str) -> TenantModel | None:
    """Return the tenant's row of a model with its sealed key, or None."""
    if not model.isprintable():
        return None
    return model_rows(tenant_id).filter(provider=provider, model=model).first()


def facts_of(row: TenantModel) -> ModelFacts:
    """Return the facts that wires need about a model whose row may be unsaved."""
    return merged_facts(row.provider, row.model, row, ()).facts


def set_up(*, tenant_id: UUID) -> frozenset[str]:
    """Return the providers with a credential or active trial: their whole catalog is shown."""
    trials = ports.trials(tenant_id)
    return provider_queries.has_credential(tenant_id=tenant_id) | {
        slug for slug, trial in trials.items() if trial.is_on
    }


def can_call(*, tenant_id: UUID, trials: Trials | None = None) -> Callable[[Entry], bool]:
    """Return a predicate: whether calls to an entry can be served.

    A provider's credential, a trial that includes the model, the model's own key or address, or a
    local provider can serve them. Costs at most three queries, none per entry.

    Args:
        trials: As `resolve` takes them.
    """
    own = provider_queries.has_credential(tenant_id=tenant_id)
    trial_models = registered_trials(tenant_id) if trials is None else trials

    def test(entry: Entry) -> bool:
        if entry.provider in own or entry.brings_access or registry.get(entry.provider).local:
            return True
        return entry.model in trial_models.get(entry.provider, ())

    return test


def counts(tenant_id: UUID) -> dict[str, int]:
    """Count the models of each provider, shipped or in rows, in one query."""
    shipped = {provider.slug: library.own(provider) for provider in registry.all_providers()}
    numbers = {provider.slug: len(shipped_names(provider)) for provider in registry.all_providers()}
    cached = known_rows(keyless_rows, tenant_id, None)
    names = (
        [(row.provider, row.model) for row in cached]
        if cached is not None
        else model_rows(tenant_id).order_by().values_list("provider", "model")
    )
    for slug, model in names:
        if model not in shipped.get(slug, ()):
            numbers[slug] = numbers.get(slug, 0) + 1
    return numbers


def scenarios_of(tenant_id: UUID, provider: str) -> tuple[str, ...]:
    """Return names, for use in a sentence, of the scenarios that default to this provider."""
    chosen = DefaultModel.objects.filter(
        tenant_id=tenant_id, model__startswith=f"{provider}/"
    ).values_list("scenario", flat=True)
    return tuple(
        str(scenario.default_name) for slug in chosen if (scenario := scenarios.find(slug))
    )


# ----------------------------------------------------------------------------------- default models


def chosen(*, tenant_id: UUID) -> dict[str, DefaultModel]:
    """Return the stored defaults by scenario slug, even if the catalog lacks the models."""
    return {row.scenario: row for row in DefaultModel.objects.filter(tenant_id=tenant_id)}


def defaults(*, tenant_id: UUID) -> dict[str, DefaultChoice]:
    """Return every scenario's default by slug, in page order."""
    rows = chosen(tenant_id=tenant_id)
    entries = find_entry(tenant_id, [split(row.model) for row in rows.values()])
    return {
        scenario.slug: _choice(scenario, rows.get(scenario.slug), entries)
        for scenario in scenarios.SCENARIOS
    }


def suggestion(
    *, tenant_id: UUID, scenario: Scenario | str, among: Iterable[Entry] | None = None
) -> Entry | None:
    """Return a suitable model to suggest, preferring own keys over trials; never used unasked.

    Args:
        among: The tenant's enabled entries, if the caller has them already.
    """
    target = scenarios.find(scenario) if isinstance(scenario, str) else scenario
    if target is None:
        return None
    own = provider_queries.has_credential(tenant_id=tenant_id)
    trials = {
        slug: trial.models
        for slug, trial in ports.trials(tenant_id).items()
        if trial.is_on and trial.left > 0
    }

    def rank(entry: Entry) -> tuple[bool, bool, int]:
        suggested = list(library.shipped(entry.provider).suggestions.get(target.slug, ()))
        place = suggested.index(entry.model) if entry.model in suggested else len(suggested)
        return (entry.provider not in own, entry.missing, place)

    if among is None:
        among = entries(tenant_id=tenant_id, type=target.type, enabled=True)
    usable = [
        entry
        for entry in among
        if entry.type is target.type
        and (entry.provider in own or entry.added or entry.model in trials.get(entry.provider, ()))
        and not entry.is_retired
    ]
    return min(usable, key=rank, default=None)


# ------------------------------------------------------------------------------------------ helpers


def split(name: str) -> tuple[str, str]:
    """Split "provider/model"; the provider is empty if there is no slash."""
    slug, slash, model = name.partition("/")
    return (slug, model) if slash else ("", name)


def registered_trials(tenant_id: UUID) -> Trials:
    return {slug: trial.models for slug, trial in ports.trials(tenant_id).items() if trial.is_on}


def model_rows(tenant_id: UUID) -> QuerySet[TenantModel]:
    rows: QuerySet[TenantModel] = TenantModel.objects.filter(tenant_id=tenant_id)
    return rows


@once
def keyless_rows(tenant_id: UUID, provider: str | None) -> list[TenantModel]:
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
    """Return a provider's entries: shipped ones first, others by name, retired ones last."""
    shipped = library.own(provider)
    names = (
        [*shipped_names(provider), *sorted(name for name in rows if name not in shipped)]
        if whole
        else _added(rows)
    )
    merged = [merged_facts(provider.slug, name, rows.get(name), missing) for name in names]
    return sorted(merged, key=lambda entry: entry.is_retired)


def shipped_names(provider: Provider) -> list[str]:
    """Return the shipped models whose type the adapter serves."""
    return [
        name for name, facts in library.own(provider).items() if facts.type in provider.model_types
    ]


def _added(rows: Mapping[str, TenantModel]) -> list[str]:
    return sorted(name for name, row in rows.items() if row.origin == TenantModel.Origin.ADDED)


def merged_facts(slug: str, name: str, row: TenantModel | None, missing: Collection[str]) -> Entry:
    layer = _layer(row) if row is not None else None
    if name in missing:
        layer = replace(layer or TenantLayer(origin=TenantModel.Origin.SHIPPED.value), missing=True)
    return merge(slug, name, shipped=_shipped(slug, name, row), tenant=layer)


def _shipped(slug: str, name: str, row: TenantModel | None) -> Facts | None:
    if row is None:
        return library.of_row(slug, name)
    facts = library.of_row(slug, name, row.values.get(BASE_MODEL, ""))
    # List prices apply only at the provider's own address.
    elsewhere = bool(row.base_url and registry.get(slug).default_base_url)
    return (
        replace(facts, price=None, earlier_prices=None)
        if facts is not None and elsewhere
        else facts
    )


def _layer(row: TenantModel) -> TenantLayer:
    synced = None
    if row.facts:
        synced = schema.stored(
            row.facts,
            source=f"{row.provider}: list of models",
            as_of=row.synced.date() if row.synced else None,
        )
    overrides = dict(row.overrides)
    if row.origin == TenantModel.Origin.ADDED and row.type:
        overrides.setdefault("type", row.type)
    return TenantLayer(
        origin=row.origin,
        enabled=row.enabled,
        synced=synced,
        overrides=schema.stored(overrides),
        missing=row.missing_since is not None,
        values=row.values,
        base_url=row.base_url,
        mask=row.mask,
        stored_overrides=row.overrides,
        prices=price_versions.own(row.prices),
        created=row.created.date(),
    )


def find_entry(tenant_id: UUID, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Entry]:
    """Return the entries of these (provider, model) pairs in two queries."""
    if not pairs:
        return {}
    condition = Q()
    for model in {model for _slug, model in pairs}:
        condition |= Q(model=model, provider__in=[slug for slug, other in pairs if other == model])
    stored: Iterable[TenantModel] | None = known_rows(keyless_rows, tenant_id, None)
    if stored is None:
        stored = model_rows(tenant_id).filter(condition).defer("sealed")
    rows = {(row.provider, row.model): row for row in stored}
    missing = missing_requirements(tenant_id)
    entries: dict[tuple[str, str], Entry] = {}
    for slug, model in dict.fromkeys(pairs):
        row = rows.get((slug, model))
        provider = is_offered(slug)
        if provider is not None and (row is not None or model in shipped_names(provider)):
            entries[slug, model] = merged_facts(slug, model, row, missing.get(slug, frozenset()))
    return entries


def _fits(entry: Entry, type: ModelType | str | None, enabled: bool | None, search: str) -> bool:
    if type is not None and entry.type != type:
        return False
    if enabled is not None and entry.enabled is not enabled:
        return False
    return not search or search in entry.model.lower() or search in entry.label.lower()


def _choice(
    scenario: Scenario, row: DefaultModel | None, entries: Mapping[tuple[str, str], Entry]
) -> DefaultChoice:
    if row is None:
        return DefaultChoice(scenario, "", (), None)
    return DefaultChoice(scenario, row.model, tuple(row.fallbacks), entries.get(split(row.model)))
