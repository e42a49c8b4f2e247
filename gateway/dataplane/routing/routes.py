"""Find the route of a call, kept per workspace for as long as its configuration is the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from uuid import UUID

from django.utils import timezone

from core.errors import ServiceError
from gateway import page_urls
from gateway.dataplane.errors import Refusal
from gateway.dataplane.routing.cooldown import RECORDED_FAILURES, cooldown_seconds
from gateway.dataplane.routing.health import HealthStates
from gateway.dataplane.routing.kept import Asked, Kept
from gateway.dataplane.routing.plans import open_plan
from gateway.dataplane.routing.targets import Route, Source, Target
from gateway.dataplane.store.notes import Failure, Notes
from gateway.dataplane.threads import in_thread
from models_catalog import queries as catalog
from models_catalog.models import TenantModel
from models_catalog.resolution import lookup
from models_catalog.resolution.entries import Entry
from providers import queries as provider_queries
from providers.credentials import opening
from providers.declaration import registry
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Access, ModelType, Operation, Provider
from providers.models import ProviderCredential
from providers.operations.table import OPERATIONS
from quotas.trials import queries as quota_queries
from quotas.trials.queries import TrialView
from tenants.auth.principal import Principal
from tenants.scope import tenant_scope


class Routes:
    """Finds routes. Every call is authenticated first, which reads the version of its workspace's
    configuration: a route is used for as long as that stays the same.
    """

    def __init__(self, notes: Notes | None = None) -> None:
        self._notes = notes or Notes()
        self._kept = Kept()
        self._loading: dict[tuple[UUID, int, Asked], asyncio.Task[Route]] = {}
        self._health = HealthStates()

    async def find(self, principal: Principal, name: str | None, operation: Operation) -> Route:
        """Find the route for a call within the app key's limits.

        Args:
            name: A model or a scenario; None for the operation's default.

        Raises:
            Refusal: The call is not allowed or the name cannot be resolved.
            DatabaseUnavailable: The database is unavailable.
        """
        if not principal.may_ask(operation.value):
            raise Refusal("key_scope", f"This app key cannot use the endpoint {operation.path}.")
        asked = ((name or "").strip(), operation)
        kept = self._kept.get(principal.tenant_id, principal.config_version)
        route = kept.routes.get(asked) if kept is not None else None
        if route is None:
            route = await self._loaded(principal, asked)
        if principal.allowed_models or principal.allowed_providers:
            return _narrowed(route, principal)
        return route

    async def _loaded(self, principal: Principal, asked: Asked) -> Route:
        """Load a route, once for all calls that wait for it."""
        key = (principal.tenant_id, principal.config_version, asked)
        task, cleared = self._loading.get(key), self._kept.cleared
        if task is not None:
            await asyncio.wait((task,))
            if not task.cancelled() and task.exception() is None:
                return task.result()
        task = asyncio.ensure_future(in_thread(lambda: self._load(principal, *asked)))
        self._loading[key] = task
        task.add_done_callback(lambda task: self._keep(key, task, cleared))
        return await asyncio.shield(task)

    def _keep(self, key: tuple[UUID, int, Asked], task: asyncio.Task[Route], cleared: int) -> None:
        if self._loading.get(key) is task:
            del self._loading[key]
        if not task.cancelled() and task.exception() is None and cleared == self._kept.cleared:
            self._kept.put_route(*key, task.result())

    async def entries(self, principal: Principal) -> list[Entry]:
        """List the models this key may call.

        A model is listed if it is enabled and has a credential, a trial or its own access.

        Raises:
            DatabaseUnavailable: The database is unavailable.
        """
        tenant_id, version = principal.tenant_id, principal.config_version
        kept = self._kept.get(tenant_id, version)
        entries = kept.entries if kept is not None else None
        if entries is None:
            cleared = self._kept.cleared
            entries = await in_thread(lambda: _load_entries(tenant_id))
            if cleared == self._kept.cleared:
                self._kept.put_entries(tenant_id, version, entries)
        types = _types_for(principal)
        return [
            entry
            for entry in entries
            if principal.may_use(entry.provider, entry.model) and entry.type in types
        ]

    def forget(self, tenant_id: UUID) -> None:
        """Drop what is kept of one workspace."""
        self._kept.forget(tenant_id)

    def clear(self) -> None:
        """Drop what is kept of all workspaces."""
        self._kept.clear()

    def drop_expired(self) -> None:
        """Drop what is too old to be used, with the keys that were decrypted for it."""
        self._kept.drop_expired()

    # -- credential health ------------------------------------------------------------------------

    def note_failure(self, tenant_id: UUID, source: Source, error: ProviderError) -> None:
        """Start a credential's cooldown, in this process at once."""
        credential_id, health = source.credential_id, source.health
        if (
            credential_id is None
            or error.failure not in RECORDED_FAILURES
            or health.is_resting(time.monotonic())
        ):
            return
        health.fail(cooldown_seconds(error))
        self._notes.credential_failed(credential_id, Failure(tenant_id, error, health))

    def note_success(self, source: Source) -> None:
        """Note that a source works, if its credential's last use is due."""
        if source.credential_id is not None and source.health.needs_success:
            source.health.succeed()
            self._notes.credential_worked(source.credential_id, source.health.version)

    # -- in a thread -------------------------------------------------------------------------------

    def _load(self, principal: Principal, name: str, operation: Operation) -> Route:
        tenant_id = principal.tenant_id
        with tenant_scope(tenant_id):
            trials = _trials(tenant_id)
            try:
                resolution = lookup.resolve(
                    tenant_id=tenant_id, name=name, operation=operation, trials=_models_of(trials)
                )
            except ServiceError as error:
                raise Refusal(
                    error.code, str(error.message), status=error.status, param="model"
                ) from None
            targets = tuple(
                self._target(principal, entry, trials.get(entry.provider))
                for entry in resolution.entries
            )
        return Route(resolution.scenario or "", targets)

    def _target(self, principal: Principal, entry: Entry, trial: TrialView | None) -> Target:
        provider = registry.get(entry.provider)
        own = self._own_sources(principal.tenant_id, provider, entry)
        trial_sources = (
            [_trial_source(provider, trial, entry)]
            if trial is not None and entry.model in trial.models
            else []
        )
        trial_first = bool(own and trial_sources) and provider_queries.trial_first(
            tenant_id=principal.tenant_id, provider=provider.slug
        )
        sources = tuple([*trial_sources, *own] if trial_first else [*own, *trial_sources])
        refusal = None if sources else _without_source(principal, provider, entry, trial)
        return Target(provider, entry.model, entry.facts, entry.prices, sources, refusal)

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

        return Source(
            label=f"credential:{row.name}"[:100],
            pool_key=f"{row.tenant_id}:{row.pk}:{row.version}",
            load=load,
            credential_id=row.pk,
            health=self._health.of(row),
        )


def _load_entries(tenant_id: UUID) -> tuple[Entry, ...]:
    with tenant_scope(tenant_id):
        can_call = catalog.can_call(tenant_id=tenant_id, trials=_models_of(_trials(tenant_id)))
        return tuple(
            entry for entry in catalog.entries(tenant_id=tenant_id, enabled=True) if can_call(entry)
        )


def _trials(tenant_id: UUID) -> dict[str, TrialView]:
    """Return the active trials by provider."""
    return {
        trial.provider: trial for trial in quota_queries.trials(tenant_id=tenant_id) if trial.is_on
    }


def _models_of(trials: Mapping[str, TrialView]) -> dict[str, Mapping[str, int]]:
    return {slug: trial.models for slug, trial in trials.items()}


def _trial_source(provider: Provider, trial: TrialView, entry: Entry) -> Source:
    def load() -> tuple[Access, tuple[str, ...]]:
        return open_plan(provider, trial.plan_id)

    return Source(
        label=f"trial:{trial.plan}",
        # All tenants share the operator's key; the tenant's own pool id keeps connections apart.
        pool_key=f"trial:{trial.pool_id}",
        load=load,
        pool_id=trial.pool_id,
        credits=trial.models[entry.model],
    )


def _keyless_source(
    tenant_id: UUID, provider: Provider, entry: Entry, model_row: TenantModel | None
) -> Source:
    """Build the source for a keyless provider or a model with its own key or base URL."""

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
            f"Choose one of these, or add your own key "
            f"at {address}.",
            param="model",
        )
    return Refusal(
        "not_configured",
        f"{provider.label} has no credential in this workspace. Add one at {address}.",
    )


def _types_for(principal: Principal) -> set[ModelType | None]:
    """Return the types of models that the key's endpoints take; any endpoint takes unknown ones."""
    rows = OPERATIONS.values()
    return {None, *(row.model_type for row in rows if principal.may_ask(row.operation.value))}


def _narrowed(route: Route, principal: Principal) -> Route:
    """Limit a route to the targets an app key may use.

    Raises:
        Refusal: The app key may use none of the targets.
    """
    allowed = tuple(
        target for target in route.targets if principal.may_use(target.provider.slug, target.model)
    )
    if not allowed:
        first = route.targets[0]
        raise Refusal(
            "key_scope",
            f"This app key cannot use {first.provider.slug}/{first.model}.",
            param="model",
        )
    return route if len(allowed) == len(route.targets) else Route(route.scenario, allowed)
