"""Find the route of a call, cached per tenant and configuration version."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Coroutine, Mapping
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from core.errors import ServiceError
from gateway import page_urls
from gateway.dataplane.errors import Refusal
from gateway.dataplane.routing.cooldown import NOTED_FAILURES, rest_after
from gateway.dataplane.routing.targets import Route, Source, Target
from gateway.dataplane.threads import in_thread
from models_catalog import queries as catalog
from models_catalog.models import TenantModel
from models_catalog.resolution import lookup
from models_catalog.resolution.catalog import Entry
from providers import queries as provider_queries
from providers.credentials import health, opening
from providers.declaration import registry
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Access, Operation, Provider
from providers.models import CredentialState, ProviderCredential
from quotas.trials import plans as quota_plans
from quotas.trials import queries as quota_queries
from quotas.trials.queries import TrialView
from tenants.auth.principal import Principal
from tenants.scope import tenant_scope

ROUTES: Final = 4096  # kept per process
# Seconds a route is kept. The version tells of changes made through the product; this bounds what
# else may pass unseen.
ROUTE_SECONDS: Final = 10.0


class Routes:
    """Finds routes, and remembers them with a bound."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Route] = OrderedDict()
        self._lists: OrderedDict[tuple[Any, ...], tuple[float, tuple[Entry, ...]]] = OrderedDict()
        self._resting: dict[UUID, float] = {}
        self._noted: dict[UUID, float] = {}

    async def find(self, principal: Principal, name: str | None, operation: Operation) -> Route:
        """The route of a model, a scenario or (None) the operation's default, within the app key's
        limits.

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
        """The models that this key may call: switched on, with a credential, trial or access of
        their own. Raises DatabaseAway.
        """
        key = (principal.tenant_id, principal.config_version)
        kept = self._lists.get(key)
        if kept is None or kept[0] < time.monotonic():
            kept = (
                time.monotonic() + ROUTE_SECONDS,
                await in_thread(lambda: _load_entries(principal.tenant_id)),
            )
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
        """Let go of what is no longer used: a route's sources hold opened keys, which nobody should
        find in memory days later.
        """
        now = time.monotonic()
        for key in [key for key, route in self._kept.items() if route.expires < now]:
            del self._kept[key]
        for key in [key for key, (expires, _entries) in self._lists.items() if expires < now]:
            del self._lists[key]

    # -- what calls tell of credentials ------------------------------------------------------------

    def note_failure(
        self, tenant_id: UUID, source: Source, error: ProviderError
    ) -> Coroutine[Any, Any, None] | None:
        """Let a credential rest in this process, and what is to be awaited to write its state; None
        where nothing changes.
        """
        credential_id = source.credential_id
        now = time.monotonic()
        if (
            credential_id is None
            or error.failure not in NOTED_FAILURES
            or self._resting.get(credential_id, 0.0) > now
        ):
            return None
        rest = rest_after(error)
        if rest:
            source.rests_until = self._resting[credential_id] = now + rest
        source.noted = 0.0
        self._noted.pop(credential_id, None)
        return in_thread(
            lambda: health.note_failure(
                tenant_id=tenant_id, credential_id=credential_id, error=error
            )
        )

    def note_success(self, tenant_id: UUID, source: Source) -> Coroutine[Any, Any, None]:
        """Note that a credential works, and its last use."""
        credential_id = source.credential_id
        assert credential_id is not None
        source.noted = self._noted[credential_id] = time.monotonic()
        source.rests_until = 0.0
        self._resting.pop(credential_id, None)
        if len(self._noted) > ROUTES:
            self._noted.clear()
        return in_thread(
            lambda: health.note_success(tenant_id=tenant_id, credential_id=credential_id)
        )

    # -- in a thread -------------------------------------------------------------------------------

    def _load(self, principal: Principal, name: str | None, operation: Operation) -> Route:
        tenant_id = principal.tenant_id
        with tenant_scope(tenant_id):
            trials = _trials(tenant_id)
            try:
                found = lookup.resolve(
                    tenant_id=tenant_id, name=name, operation=operation, trials=_models_of(trials)
                )
            except ServiceError as error:
                raise Refusal(
                    error.code, str(error.message), status=error.status, param="model"
                ) from None
            targets = tuple(
                self._target(principal, entry, trials.get(entry.provider))
                for entry in found.entries
            )
        return Route(found.scenario or "", targets, time.monotonic() + ROUTE_SECONDS)

    def _target(self, principal: Principal, entry: Entry, trial: TrialView | None) -> Target:
        provider = registry.get(entry.provider)
        own = self._own_sources(principal.tenant_id, provider, entry)
        tried = (
            [_trial_source(provider, trial, entry)]
            if trial is not None and entry.model in trial.models
            else []
        )
        trial_first = bool(own and tried) and provider_queries.trial_first(
            tenant_id=principal.tenant_id, provider=provider.slug
        )
        sources = tuple([*tried, *own] if trial_first else [*own, *tried])
        refusal = None if sources else _without_source(principal, provider, entry, trial)
        return Target(provider, entry.model, entry.facts, entry.price, sources, refusal)

    def _own_sources(self, tenant_id: UUID, provider: Provider, entry: Entry) -> list[Source]:
        rows = provider_queries.routable_credentials(
            tenant_id=tenant_id, provider=provider.slug, now=timezone.now()
        )
        model_row = None
        if entry.added or entry.brings_access or entry.values:
            model_row = catalog.row(tenant_id=tenant_id, provider=entry.provider, model=entry.model)
        sources = [self._credential_source(provider, row, model_row) for row in rows]
        if not sources and (provider.local or entry.brings_access):
            sources = [_keyless_source(tenant_id, provider, entry, model_row)]
        return sources

    def _credential_source(
        self, provider: Provider, row: ProviderCredential, model_row: TenantModel | None
    ) -> Source:
        def load() -> tuple[Access, tuple[str, ...]]:
            with tenant_scope(row.tenant_id):
                access = opening.open_access(credential=row, purpose="call", model_row=model_row)
            return access, opening.secret_texts(provider, access)

        rests = 0.0
        if provider_queries.is_resting(row, timezone.now()):
            left = (
                (row.resting_until - timezone.now()).total_seconds()
                if row.resting_until
                else ROUTE_SECONDS
            )
            rests = time.monotonic() + max(left, 0.0)
        return Source(
            label=f"credential:{row.name}"[:100],
            pool_key=f"{row.tenant_id}:{row.pk}:{row.version}",
            load=load,
            credential_id=row.pk,
            rests_until=max(rests, self._resting.get(row.pk, 0.0)),
            noted=self._noted.get(row.pk, 0.0) if row.state == CredentialState.CONNECTED else 0.0,
        )


def _load_entries(tenant_id: UUID) -> tuple[Entry, ...]:
    with tenant_scope(tenant_id):
        can_call = catalog.can_call(tenant_id=tenant_id, trials=_models_of(_trials(tenant_id)))
        return tuple(
            entry for entry in catalog.entries(tenant_id=tenant_id, enabled=True) if can_call(entry)
        )


def _trials(tenant_id: UUID) -> dict[str, TrialView]:
    """The trials that are on, by provider."""
    return {
        trial.provider: trial for trial in quota_queries.trials(tenant_id=tenant_id) if trial.is_on
    }


def _models_of(trials: Mapping[str, TrialView]) -> dict[str, Mapping[str, int]]:
    return {slug: trial.models for slug, trial in trials.items()}


def _trial_source(provider: Provider, trial: TrialView, entry: Entry) -> Source:
    def load() -> tuple[Access, tuple[str, ...]]:
        plan = quota_plans.open_plan_credential(plan_id=trial.plan_id)
        access = Access(values=plan.values, base_url=plan.base_url)
        return access, opening.secret_texts(provider, access)

    return Source(
        label=f"trial:{trial.plan}",
        # Every tenant's calls go with the operator's one key, but their connections stay apart all
        # the same.
        pool_key=f"trial:{trial.pool_id}",
        load=load,
        pool_id=trial.pool_id,
        credits=trial.models[entry.model],
    )


def _keyless_source(
    tenant_id: UUID, provider: Provider, entry: Entry, model_row: TenantModel | None
) -> Source:
    """For providers that need no credential, and hosted models that bring their own key or
    address.
    """

    def load() -> tuple[Access, tuple[str, ...]]:
        with tenant_scope(tenant_id):
            access = opening.open_access(credential=None, purpose="call", model_row=model_row)
        return access, opening.secret_texts(provider, access)

    return Source(
        label=f"credential:{entry.model if model_row else provider.slug}"[:100],
        pool_key=f"{tenant_id}:{entry.id}",
        load=load,
    )


def _without_source(
    principal: Principal, provider: Provider, entry: Entry, trial: TrialView | None
) -> Refusal:
    address = page_urls.page(
        "provider-credentials", workspace=principal.tenant_slug, provider=provider.slug
    )
    if trial is not None:
        names = ", ".join(trial.models)
        return Refusal(
            "model_not_in_trial",
            f"{entry.model} is not part of the {provider.label} trial, which offers {names}. "
            f"Choose one of these, or add a key of your own "
            f"at {address}.",
            param="model",
        )
    return Refusal(
        "not_configured",
        f"{provider.label} has no credential in this workspace. Add one at {address}.",
    )


def _narrowed(route: Route, principal: Principal) -> Route:
    """The targets an app key may use. Raises Refusal where it may use none, or not the one that was
    asked for.
    """
    allowed = tuple(
        target for target in route.targets if principal.may_use(target.provider.slug, target.model)
    )
    if not allowed:
        first = route.targets[0]
        raise Refusal(
            "key_scope",
            f"This app key may not use {first.provider.slug}/{first.model}.",
            param="model",
        )
    return (
        route
        if len(allowed) == len(route.targets)
        else Route(route.scenario, allowed, route.expires)
    )
