"""Where a call goes: a model's name becomes targets with their sources, in order; kept per tenant and version of its settings."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import quote
from uuid import UUID

from django.db import Error as DatabaseProblem
from django.db import close_old_connections
from django.utils import timezone

from gateway import addresses
from gateway.errors import DatabaseAway, Refusal
from models_catalog import queries as catalog
from models_catalog.catalog import Entry, Price
from models_catalog.models import TenantModel
from providers import queries as provider_queries
from providers import registry
from providers import services as provider_services
from providers.errors import Failure, ProviderError
from providers.models import CredentialState, ProviderCredential
from providers.spec import Access, ModelFacts, Operation, Provider
from quotas import plans as quota_plans
from quotas import queries as quota_queries
from quotas.queries import TrialView
from tenants.errors import ServiceError
from tenants.identity import Principal
from tenants.scope import tenant_scope

R = TypeVar("R")
ROUTES: Final = 4096  # kept per process
# Seconds a route is kept. The version tells of changes made through the product; this bounds what else may pass unseen.
ROUTE_SECONDS: Final = 10.0
SUCCESS_SECONDS: Final = 60.0  # a credential's last use is noted this often
ATTEMPTS: Final = 12  # of one call, over all targets and sources
# How long this process leaves a credential alone before it has seen the state that was written.
_REST: Final[Mapping[Failure, float]] = {Failure.RATE_LIMIT: 60.0, Failure.AUTH: 300.0, Failure.NO_FUNDS: 300.0}
_LONGEST_REST: Final = 3600.0
_NOTED: Final = frozenset({*_REST, Failure.UNREACHABLE, Failure.NOT_AN_API})


@dataclass(slots=True)
class Source:
    """Who pays for a call: one of the tenant's credentials, or a trial.

    label: as in the call record. pool_key: what connections belong to. opened: access and secret texts, once they were needed.
    """

    label: str
    pool_key: str
    load: Callable[[], tuple[Access, tuple[str, ...]]]
    credential_id: UUID | None = None
    pool_id: int | None = None
    credits: int = 0
    rests_until: float = 0.0  # time.monotonic()
    noted: float = 0.0  # time.monotonic() of the last noted success
    header: bytes = b""
    opened: tuple[Access, tuple[str, ...]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.header = quote(self.label, safe=" :/-_.,()@+").encode()

    @property
    def is_trial(self) -> bool:
        return self.pool_id is not None

    @property
    def needs_success(self) -> bool:
        return self.credential_id is not None and time.monotonic() - self.noted > SUCCESS_SECONDS

    async def open(self) -> tuple[Access, tuple[str, ...]]:
        """Open the sealed values. Raises CredentialUnreadable, DatabaseAway."""
        self.opened = await in_thread(self.load)
        return self.opened


@dataclass(slots=True)
class Target:
    """One model at one provider, with the sources to try in order. refusal: why there are none."""

    provider: Provider
    model: str
    facts: ModelFacts
    price: Price | None
    sources: tuple[Source, ...]
    refusal: Refusal | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.headers = [
            (b"x-modelkeep-provider", self.provider.slug.encode()),
            (b"x-modelkeep-model", quote(self.model, safe="/:@-_.+ ").encode()),
        ]


@dataclass(slots=True)
class Route:
    """All targets of a name, the one asked for first."""

    scenario: str
    targets: tuple[Target, ...]
    expires: float

    def attempts(self, now: float) -> Iterator[tuple[Target, Source]]:
        """What to try, in order. Sources that rest come last of their target: better a late answer than none."""
        number = 0
        for target in self.targets:
            for source in sorted(target.sources, key=lambda source: source.rests_until > now):
                number += 1
                if number > ATTEMPTS:
                    return
                yield target, source

    def problem(self) -> Refusal:
        """Why there is nothing to try: the reason of the target that was asked for."""
        refusal = self.targets[0].refusal
        assert refusal is not None, "a target has sources or a refusal"
        return Refusal(refusal.code, refusal.message, status=refusal.status, param=refusal.param)


class Routes:
    """Finds routes, and remembers them with a bound."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Route] = OrderedDict()
        self._lists: OrderedDict[tuple[Any, ...], tuple[float, tuple[Entry, ...]]] = OrderedDict()
        self._resting: dict[UUID, float] = {}
        self._noted: dict[UUID, float] = {}

    async def find(self, principal: Principal, name: str | None, operation: Operation) -> Route:
        """The route of a model, a scenario or (None) the operation's default, within the app key's limits.

        Raises Refusal, DatabaseAway.
        """
        if not principal.may_ask(operation.value):
            raise Refusal("key_scope", f"This app key may not use the endpoint {operation.path}.")
        key = (principal.tenant_id, principal.config_version, name, operation)
        route = self._kept.get(key)
        if route is None or route.expires < time.monotonic():
            route = await in_thread(lambda: self._load(principal, name, operation))
            self._kept[key] = route
            while len(self._kept) > ROUTES:
                self._kept.popitem(last=False)
        if principal.allowed_models or principal.allowed_providers:
            return _narrowed(route, principal)
        return route

    async def entries(self, principal: Principal) -> list[Entry]:
        """The models that this key may call: switched on, with a credential, trial or access of their own. Raises DatabaseAway."""
        key = (principal.tenant_id, principal.config_version)
        kept = self._lists.get(key)
        if kept is None or kept[0] < time.monotonic():
            kept = (time.monotonic() + ROUTE_SECONDS, await in_thread(lambda: _load_entries(principal.tenant_id)))
            self._lists[key] = kept
            while len(self._lists) > ROUTES // 16:
                self._lists.popitem(last=False)
        return [entry for entry in kept[1] if principal.may_use(entry.provider, entry.model)]

    def forget(self, tenant_id: UUID) -> None:
        """Drop what is kept of one tenant."""
        for key in [key for key in self._kept if key[0] == tenant_id]:
            del self._kept[key]

    def clear(self) -> None:
        """Drop what is kept of all tenants."""
        self._kept.clear()
        self._lists.clear()

    def drop_expired(self) -> None:
        """Let go of what is no longer used: a route's sources hold opened keys, which nobody should find in memory days later."""
        now = time.monotonic()
        for key in [key for key, route in self._kept.items() if route.expires < now]:
            del self._kept[key]
        for key in [key for key, (expires, _entries) in self._lists.items() if expires < now]:
            del self._lists[key]

    # -- what calls tell of credentials -------------------------------------------------------------------------------

    def note_failure(self, tenant_id: UUID, source: Source, error: ProviderError) -> Coroutine[Any, Any, None] | None:
        """Let a credential rest in this process, and what is to be awaited to write its state; None where nothing changes."""
        credential_id = source.credential_id
        now = time.monotonic()
        if credential_id is None or error.failure not in _NOTED or self._resting.get(credential_id, 0.0) > now:
            return None
        rest = rest_after(error)
        if rest:
            source.rests_until = self._resting[credential_id] = now + rest
        source.noted = 0.0
        self._noted.pop(credential_id, None)
        return in_thread(lambda: provider_services.note_failure(tenant_id=tenant_id, credential_id=credential_id, error=error))

    def note_success(self, tenant_id: UUID, source: Source) -> Coroutine[Any, Any, None]:
        """Note that a credential works, and its last use."""
        credential_id = source.credential_id
        assert credential_id is not None
        source.noted = self._noted[credential_id] = time.monotonic()
        source.rests_until = 0.0
        self._resting.pop(credential_id, None)
        if len(self._noted) > ROUTES:
            self._noted.clear()
        return in_thread(lambda: provider_services.note_success(tenant_id=tenant_id, credential_id=credential_id))

    # -- in a thread --------------------------------------------------------------------------------------------------

    def _load(self, principal: Principal, name: str | None, operation: Operation) -> Route:
        tenant_id = principal.tenant_id
        with tenant_scope(tenant_id):
            trials = _trials(tenant_id)
            try:
                found = catalog.resolve(tenant_id=tenant_id, name=name, operation=operation, trials=_models_of(trials))
            except ServiceError as error:
                raise Refusal(error.code, str(error.message), status=error.status, param="model") from None
            targets = tuple(self._target(principal, entry, trials.get(entry.provider)) for entry in found.entries)
        return Route(found.scenario or "", targets, time.monotonic() + ROUTE_SECONDS)

    def _target(self, principal: Principal, entry: Entry, trial: TrialView | None) -> Target:
        provider = registry.get(entry.provider)
        own = self._own_sources(principal.tenant_id, provider, entry)
        tried = [_trial_source(provider, trial, entry)] if trial is not None and entry.model in trial.models else []
        trial_first = bool(own and tried) and provider_queries.trial_first(tenant_id=principal.tenant_id, provider=provider.slug)
        sources = tuple([*tried, *own] if trial_first else [*own, *tried])
        refusal = None if sources else _without_source(principal, provider, entry, trial)
        return Target(provider, entry.model, entry.facts, entry.price, sources, refusal)

    def _own_sources(self, tenant_id: UUID, provider: Provider, entry: Entry) -> list[Source]:
        rows = provider_queries.routable_credentials(tenant_id=tenant_id, provider=provider.slug, now=timezone.now())
        model_row = None
        if entry.added or entry.brings_access or entry.values:
            model_row = catalog.row(tenant_id=tenant_id, provider=entry.provider, model=entry.model)
        sources = [self._credential_source(provider, row, model_row) for row in rows]
        if not sources and (provider.local or entry.brings_access):
            sources = [_keyless_source(tenant_id, provider, entry, model_row)]
        return sources

    def _credential_source(self, provider: Provider, row: ProviderCredential, model_row: TenantModel | None) -> Source:
        def load() -> tuple[Access, tuple[str, ...]]:
            with tenant_scope(row.tenant_id):
                access = provider_services.open_access(credential=row, purpose="call", model_row=model_row)
            return access, provider_services.secret_texts(provider, access)

        rests = 0.0
        if provider_queries.is_resting(row, timezone.now()):
            left = (row.resting_until - timezone.now()).total_seconds() if row.resting_until else ROUTE_SECONDS
            rests = time.monotonic() + max(left, 0.0)
        return Source(
            label=f"credential:{row.name}"[:100],
            pool_key=f"{row.tenant_id}:{row.pk}:{row.version}",
            load=load,
            credential_id=row.pk,
            rests_until=max(rests, self._resting.get(row.pk, 0.0)),
            noted=self._noted.get(row.pk, 0.0) if row.state == CredentialState.CONNECTED else 0.0,
        )


async def in_thread(work: Callable[[], R]) -> R:
    """Run Django's side of the work in a thread. Raises what it raises; DatabaseAway for a database that is away."""
    try:
        return await asyncio.to_thread(_with_connection, work)
    except DatabaseProblem as problem:
        raise DatabaseAway(str(problem)) from problem


def _with_connection(work: Callable[[], R]) -> R:
    """Django's connections belong to threads: drop one that broke before, and after, as a request would."""
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()


def _load_entries(tenant_id: UUID) -> tuple[Entry, ...]:
    with tenant_scope(tenant_id):
        can_call = catalog.can_call(tenant_id=tenant_id, trials=_models_of(_trials(tenant_id)))
        return tuple(entry for entry in catalog.entries(tenant_id=tenant_id, enabled=True) if can_call(entry))


def _trials(tenant_id: UUID) -> dict[str, TrialView]:
    """The trials that are on, by provider."""
    return {trial.provider: trial for trial in quota_queries.trials(tenant_id=tenant_id) if trial.is_on}


def _models_of(trials: Mapping[str, TrialView]) -> dict[str, Mapping[str, int]]:
    return {slug: trial.models for slug, trial in trials.items()}


def _trial_source(provider: Provider, trial: TrialView, entry: Entry) -> Source:
    def load() -> tuple[Access, tuple[str, ...]]:
        plan = quota_plans.open_plan_credential(plan_id=trial.plan_id)
        access = Access(values=plan.values, base_url=plan.base_url)
        return access, provider_services.secret_texts(provider, access)

    return Source(
        label=f"trial:{trial.plan}",
        # Every tenant's calls go with the operator's one key, but their connections stay apart all the same.
        pool_key=f"trial:{trial.pool_id}",
        load=load,
        pool_id=trial.pool_id,
        credits=trial.models[entry.model],
    )


def rest_after(error: ProviderError) -> float:
    """Seconds to leave a credential alone; a provider's own word counts for rate limits only."""
    if error.failure is Failure.RATE_LIMIT and error.retry_after is not None:
        return min(max(error.retry_after, 1.0), _LONGEST_REST)
    return _REST.get(error.failure, 0.0)


def _keyless_source(tenant_id: UUID, provider: Provider, entry: Entry, model_row: TenantModel | None) -> Source:
    """For providers that need no credential, and hosted models that bring their own key or address."""

    def load() -> tuple[Access, tuple[str, ...]]:
        with tenant_scope(tenant_id):
            access = provider_services.open_access(credential=None, purpose="call", model_row=model_row)
        return access, provider_services.secret_texts(provider, access)

    return Source(label=f"credential:{entry.model if model_row else provider.slug}"[:100], pool_key=f"{tenant_id}:{entry.id}", load=load)


def _without_source(principal: Principal, provider: Provider, entry: Entry, trial: TrialView | None) -> Refusal:
    address = addresses.page("provider-credentials", workspace=principal.tenant_slug, provider=provider.slug)
    if trial is not None:
        names = ", ".join(trial.models)
        return Refusal(
            "model_not_in_trial",
            f"{entry.model} is not part of the {provider.label} trial, which offers {names}. Choose one of these, or add a key of your own "
            f"at {address}.",
            param="model",
        )
    return Refusal("not_configured", f"{provider.label} has no credential in this workspace. Add one at {address}.")


def _narrowed(route: Route, principal: Principal) -> Route:
    """The targets an app key may use. Raises Refusal where it may use none, or not the one that was asked for."""
    allowed = tuple(target for target in route.targets if principal.may_use(target.provider.slug, target.model))
    if not allowed:
        first = route.targets[0]
        raise Refusal("key_scope", f"This app key may not use {first.provider.slug}/{first.model}.", param="model")
    return route if len(allowed) == len(route.targets) else Route(route.scenario, allowed, route.expires)
