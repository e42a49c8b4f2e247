"""Which account keeps a file: that of the models which its lines name, or of a named provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from uuid import UUID

from django.utils import timezone

from gateway import page_urls
from gateway.dataplane.doors.registry import ENDPOINTS
from gateway.dataplane.errors import Refusal, bad_request
from gateway.dataplane.routing.routes import Routes
from gateway.dataplane.routing.targets import Target
from gateway.dataplane.stored.creation.credits import require
from gateway.dataplane.stored.lines import Checked
from gateway.dataplane.stored.resources import BATCHES, FILES, MESSAGE_BATCHES
from gateway.dataplane.threads import in_thread
from models_catalog import queries as catalog
from providers import queries as provider_queries
from providers.declaration import registry
from providers.declaration.spec import Provider
from providers.declaration.storage import Storage
from providers.models import ProviderCredential
from providers.stored.owners import Owner
from providers.stored.services import Calls
from providers.wire.anthropic.batches import MESSAGES
from quotas.trials import queries as trial_queries
from quotas.trials.queries import TrialView
from tenants.auth.principal import Principal
from tenants.scope import tenant_scope


@dataclass(frozen=True, slots=True)
class Chosen:
    """An account, and how the lines of a batch's file are written for it.

    Attributes:
        url: How the provider names what they call.
        names: The provider's name of each model.
        calls: What they call; nothing for other files.
    """

    owner: Owner
    url: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    calls: Calls = field(default_factory=Calls)

    @property
    def on_trial(self) -> bool:
        return self.owner.plan_id is not None


@cache
def batch_paths() -> frozenset[str]:
    """Return the endpoints that batches may call at some provider."""
    storages = [provider.storage for provider in registry.all_providers() if provider.storage]
    return frozenset(path for storage in storages for path in storage.urls if path in ENDPOINTS)


class Choosing:
    """Chooses accounts.

    Args:
        routes: Resolve the names of models, within the limits of app keys.
    """

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    async def by_models(self, principal: Principal, checked: Checked) -> Chosen:
        """Choose the account of the models that a batch's file names.

        Raises:
            Refusal: A model cannot be used, they are not all of one account, or there is only a
                trial, which does not pay for so many lines.
        """
        operation = ENDPOINTS[checked.path].operation
        targets: dict[str, Target] = {}
        for name in checked.lines:
            route = await self._routes.find(principal, name, operation)
            targets[name] = route.targets[0]
        slugs = {target.provider.slug for target in targets.values()}
        if len(slugs) > 1:
            named = ", ".join(sorted(slugs))
            raise bad_request(
                f"All models of a file must be of one provider, but these are of {named}. Upload "
                "one file for each.",
                "body.model",
            )
        target = next(iter(targets.values()))
        url = _url_of(target.provider, checked.path)
        await in_thread(partial(_refuse_elsewhere, principal.tenant_id, list(targets.values())))
        names = {name: target.model for name, target in targets.items()}
        calls = Calls(checked.path, _counted(checked.lines, names))
        own, *_others = [_own_credential(target) for target in targets.values()]
        pools = {_trial_pool(target) for target in targets.values()}
        if own is None and len(pools) == 1 and (pool_id := pools.pop()) is not None:
            owner = await self._of_trial(principal, target.provider, pool_id, calls)
        else:
            owner = await _of_credential(principal, target.provider, own)
        return Chosen(owner, url, names, calls)

    async def _of_trial(
        self, principal: Principal, provider: Provider, pool_id: int, calls: Calls
    ) -> Owner:
        trial = await in_thread(partial(_trial, principal.tenant_id, pool_id))
        if trial is None:  # what is kept here of the workspace is too old
            self._routes.forget(principal.tenant_id)
            raise Refusal("not_configured", f"The {provider.label} trial has ended.")
        require(trial, calls.lines, principal)
        return Owner(principal.tenant_id, provider.slug, plan_id=trial.plan_id)

    async def by_name(self, principal: Principal, slug: str) -> Chosen:
        """Choose the account of a provider, which may be left out if there is only one.

        Raises:
            Refusal: The key may not use all of it, or it keeps no files.
        """
        can_keep = [
            provider.slug
            for provider in registry.offered()
            if provider.storage is not None
            and principal.may_change_provider(provider.slug)
            and not principal.allowed_operations
        ]
        if slug and slug not in can_keep:
            choices = ", ".join(can_keep) or "none"
            raise bad_request(
                f"provider must be one that keeps files and that this app key may use: {choices}.",
                "provider",
            )
        owned = await in_thread(partial(_owned, principal.tenant_id))
        slugs = [slug] if slug else [choice for choice in can_keep if choice in owned]
        if len(slugs) != 1:
            problem = f"Name one of {', '.join(slugs)}" if slugs else "Add a provider's key"
            raise bad_request(f"{problem}: this file names no model.", "provider")
        return Chosen(await _of_credential(principal, registry.get(slugs[0]), None))


def _url_of(provider: Provider, path: str) -> str:
    """Return how a provider names an endpoint in a batch. Raises Refusal (400)."""
    storage = _storage_of(provider, path)
    urls = storage.urls if storage is not None else {}
    if path in urls:
        return urls[path]
    other = provider.storage if path == MESSAGES else provider.message_batches
    if urls:
        problem = f"{provider.label} has batches of {', '.join(urls)} only."
    elif other is not None:
        where = f"{FILES} and {BATCHES}" if path == MESSAGES else MESSAGE_BATCHES
        problem = f"{provider.label} has batches in its own format: use {where}."
    else:
        having = ", ".join(one.slug for one in registry.all_providers() if _storage_of(one, path))
        problem = f"{provider.label} has no batches here. These providers have: {having}."
    raise bad_request(problem, "body.model")


def _storage_of(provider: Provider, path: str) -> Storage | None:
    return provider.message_batches if path == MESSAGES else provider.storage


def _counted(lines: Mapping[str, int], names: Mapping[str, str]) -> dict[str, int]:
    """Return how many lines call each model, by the provider's names."""
    counts: Counter[str] = Counter()
    for name, count in lines.items():
        counts[names[name]] += count
    return dict(counts)


def _own_credential(target: Target) -> UUID | None:
    """Return the credential that the target's calls use. Raises Refusal."""
    if not target.sources and target.refusal is not None:
        refusal = target.refusal
        raise Refusal(refusal.code, refusal.message, status=refusal.status, param=refusal.param)
    ids = (source.credential_id for source in target.sources)
    return next((credential_id for credential_id in ids if credential_id is not None), None)


def _trial_pool(target: Target) -> int | None:
    """Return the credit pool of a target that only a trial pays for."""
    ids = (source.pool_id for source in target.sources)
    return next((pool_id for pool_id in ids if pool_id is not None), None)


def _trial(tenant_id: UUID, pool_id: int) -> TrialView | None:
    with tenant_scope(tenant_id):
        trials = trial_queries.trials(tenant_id=tenant_id)
    return next((trial for trial in trials if trial.pool_id == pool_id), None)


async def _of_credential(
    principal: Principal, provider: Provider, credential_id: UUID | None
) -> Owner:
    """Return the account of this credential, or of the first that is not resting."""
    rows = await in_thread(partial(_routable, principal.tenant_id, provider.slug))
    chosen = next((row for row in rows if credential_id in (None, row.pk)), None)
    if chosen is None:
        address = page_urls.page(
            "provider-credentials", workspace=principal.tenant_slug, provider=provider.slug
        )
        raise Refusal(
            "not_configured",
            f"This file needs a {provider.label} key of this workspace. Add one at {address}.",
        )
    return Owner(principal.tenant_id, provider.slug, chosen)


def _routable(tenant_id: UUID, provider: str) -> list[ProviderCredential]:
    with tenant_scope(tenant_id):
        return provider_queries.routable_credentials(
            tenant_id=tenant_id, provider=provider, now=timezone.now()
        )


def _owned(tenant_id: UUID) -> frozenset[str]:
    with tenant_scope(tenant_id):
        rows = provider_queries.credentials(tenant_id=tenant_id)
        return frozenset(rows.values_list("provider", flat=True))


def _refuse_elsewhere(tenant_id: UUID, targets: list[Target]) -> None:
    """Refuse models with an address or a key of their own: their account is another one."""
    with tenant_scope(tenant_id):
        for target in targets:
            row = catalog.row(
                tenant_id=tenant_id, provider=target.provider.slug, model=target.model
            )
            if row is not None and (row.base_url or row.sealed):
                raise bad_request(
                    f"{target.model} has an address or a key of its own, which batches cannot "
                    "use. Add it to a provider's credential instead.",
                    "body.model",
                )
