"""Import a provider's list of models; only what it adds to the shipped facts is stored."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from models_catalog.facts import library, schema
from models_catalog.models import TenantModel
from models_catalog.resolution.entries import Facts
from providers import queries as provider_queries
from providers.credentials import checking, opening
from providers.credentials.health import NO_FAILURE
from providers.declaration import registry
from providers.declaration.spec import ListedModel, ModelType, Provider
from providers.failures.detail import FailureDetail
from providers.failures.reasons import Reason
from providers.models import ProviderChoice, ProviderCredential
from tenants.config_version import bump_version
from tenants.crypto.keys import CredentialUnreadable
from tenants.models import Tenant

logger = logging.getLogger(__name__)

MOST_LISTED = 5000  # models stored from one list
BATCH = 500


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The outcome of an import; on `failure`, the previous list is kept."""

    listed: int = 0
    new: int = 0
    missing: int = 0
    failure: FailureDetail = NO_FAILURE


def import_list(tenant: Tenant, slug: str) -> ImportResult:
    """Fetch the provider's list with the active credential and store what it adds.

    Providers without a list or credential import nothing. A failure is returned, not raised.
    """
    provider = registry.get(slug)
    credential = provider_queries.routable_credentials(
        tenant_id=tenant.pk, provider=slug, now=timezone.now()
    )[:1]
    if provider.list_models is None or not credential:
        return ImportResult()
    try:
        models = _fetch(provider, credential[0])
    except CredentialUnreadable:
        return _failed(tenant, slug, FailureDetail(reason=Reason("credential_unreadable")))
    except checking.CheckFailed as failed:
        logger.info("Could not list the models of %s: %s", slug, failed.error.failure)
        return _failed(tenant, slug, FailureDetail.of(failed.error))
    if not models:
        return _failed(tenant, slug, FailureDetail(reason=Reason("empty_list")))
    return store(tenant, provider, models)


def _fetch(provider: Provider, credential: ProviderCredential) -> list[ListedModel]:
    access = opening.open_access(credential=credential, purpose="import")
    ask = provider.list_models
    assert ask is not None, "checked by the caller"
    return checking.run(
        provider,
        lambda: ask(provider, access),
        access,
        str(credential.pk),
        deadline=checking.LIST_DEADLINE,
    )


def _failed(tenant: Tenant, slug: str, failure: FailureDetail) -> ImportResult:
    ProviderChoice.objects.update_or_create(
        tenant=tenant, provider=slug, defaults={"models_failure": failure.to_json()}
    )
    return ImportResult(failure=failure)


def store(tenant: Tenant, provider: Provider, models: Iterable[ListedModel]) -> ImportResult:
    """Store what the list adds to the shipped facts, and flag rows it no longer has.

    Overrides are left alone.
    """
    now = timezone.now()
    listed = {model.name: model for model in models if _is_name(model.name)}
    shipped = library.own(provider)
    with transaction.atomic():
        bump_version(tenant.pk)  # locks the tenant's row, so that imports run one after another
        rows: dict[str, TenantModel] = {
            row.model: row
            for row in TenantModel.objects.filter(
                tenant_id=tenant.pk, provider=provider.slug
            ).defer("sealed")
        }
        changed = _rows_to_write(
            tenant, provider, dict(list(listed.items())[:MOST_LISTED]), shipped, rows, now
        )
        _write(changed)
        gone = _flag_missing(tenant, provider.slug, listed, rows, now)
        unlisted = sorted(
            name
            for name, facts in shipped.items()
            if name not in listed and name not in rows and not _is_retired(facts, now)
        )
        ProviderChoice.objects.update_or_create(
            tenant=tenant,
            provider=provider.slug,
            defaults={"models_fetched": now, "models_failure": {}, "models_missing": unlisted},
        )
    new = sum(1 for row in changed if row.model not in rows)
    return ImportResult(listed=len(listed), new=new, missing=gone + len(unlisted))


def _is_name(name: Any) -> bool:
    return (
        isinstance(name, str)
        and 0 < len(name) <= 200
        and name.isprintable()
        and name == name.strip()
    )


def _rows_to_write(
    tenant: Tenant,
    provider: Provider,
    listed: Mapping[str, ListedModel],
    shipped: Mapping[str, Facts],
    rows: Mapping[str, TenantModel],
    now: datetime,
) -> list[TenantModel]:
    changed: list[TenantModel] = []
    for name, model in listed.items():
        stated = schema.of_listed(model)
        if name in shipped:
            stated = _beyond(stated, shipped[name])
            if not stated and name not in rows:
                continue  # the shipped facts already say all of it
        elif "type" not in stated:
            guess = _guess(provider, name)
            if guess is None:
                continue  # a type we don't serve, such as images or video
            stated["type"] = guess.value
        row = rows.get(name) or TenantModel(
            tenant=tenant, provider=provider.slug, model=name, type=stated.get("type", "")
        )
        if row.model not in rows:
            row.origin = (
                TenantModel.Origin.SHIPPED if name in shipped else TenantModel.Origin.SYNCED
            )
        row.facts, row.synced, row.missing_since = stated, now, None
        changed.append(row)
    return changed


def _beyond(stated: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """Return what the list adds to the shipped facts, without the type, which is often a guess."""
    shipped = schema.dump({name: getattr(facts, name) for name in schema.FIELDS})
    return {
        name: value
        for name, value in stated.items()
        if name != "type" and shipped.get(name) != value
    }


def _guess(provider: Provider, name: str) -> ModelType | None:
    facts = library.shipped(provider.slug).models.get(name)  # includes a hosting provider's
    if facts is not None:
        return facts.type if facts.type in provider.model_types else None
    if provider.guess_type is not None:
        return provider.guess_type(name)
    return provider.model_types[0] if len(provider.model_types) == 1 else None


def _write(rows: list[TenantModel]) -> None:
    """Insert rows, or update only the synced layer of existing ones."""
    TenantModel.objects.bulk_create(
        rows,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["tenant", "provider", "model"],
        update_fields=["facts", "synced", "missing_since"],
    )


def _flag_missing(
    tenant: Tenant,
    slug: str,
    listed: Mapping[str, ListedModel],
    rows: Mapping[str, TenantModel],
    now: datetime,
) -> int:
    """Flag rows missing from the provider's list, except models added by hand."""
    gone = [
        row.pk
        for name, row in rows.items()
        if name not in listed and row.origin != TenantModel.Origin.ADDED
    ]
    TenantModel.objects.filter(tenant_id=tenant.pk, pk__in=gone, missing_since=None).update(
        missing_since=now
    )
    return len(gone)


def _is_retired(facts: Facts, now: datetime) -> bool:
    return facts.retired is not None and facts.retired <= now.date()
