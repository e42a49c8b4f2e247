"""Fetches a provider's own list of models and keeps what it adds to the shipped facts."""

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
from models_catalog.resolution.catalog import Facts
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

MOST = 5000  # models of one list
BATCH = 500


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import found. failure: why there was no list, or an empty one; the older list is kept
    then.
    """

    listed: int = 0
    new: int = 0
    missing: int = 0
    failure: FailureDetail = NO_FAILURE


def import_list(tenant: Tenant, slug: str) -> ImportResult:
    """Ask the provider for its models with the active credential, and store the difference to what
    is shipped.

    Hosting providers and those without a list or credential have nothing to import. Failing is an
    answer, not an error.
    """
    provider = registry.get(slug)
    credential = provider_queries.routable_credentials(
        tenant_id=tenant.pk, provider=slug, now=timezone.now()
    )[:1]
    if provider.list_models is None or not credential:
        return ImportResult()
    try:
        found = _fetch(provider, credential[0])
    except CredentialUnreadable:
        return _failed(tenant, slug, FailureDetail(reason=Reason("credential_unreadable")))
    except checking.CheckFailed as failed:
        logger.info("no list of models from %s: %s", slug, failed.error.failure)
        return _failed(tenant, slug, FailureDetail.of(failed.error))
    if not found:
        return _failed(tenant, slug, FailureDetail(reason=Reason("empty_list")))
    return store(tenant, provider, found)


def _fetch(provider: Provider, credential: ProviderCredential) -> list[ListedModel]:
    access = opening.open_access(credential=credential, purpose="import")
    ask = provider.list_models
    assert ask is not None, "the caller looked"
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


def store(tenant: Tenant, provider: Provider, found: Iterable[ListedModel]) -> ImportResult:
    """Write what the list says beyond the shipped facts; rows that it no longer has are flagged.
    Overrides stay as they are.
    """
    now = timezone.now()
    listed = {one.name: one for one in found if _is_name(one.name)}
    shipped = library.own(provider)
    with transaction.atomic():
        bump_version(tenant.pk)  # locks the tenant's row: two imports take turns
        rows: dict[str, TenantModel] = {
            row.model: row
            for row in TenantModel.objects.filter(
                tenant_id=tenant.pk, provider=provider.slug
            ).defer("sealed")
        }
        wanted = _rows_to_write(
            tenant, provider, dict(list(listed.items())[:MOST]), shipped, rows, now
        )
        _write(wanted)
        gone = _flag_missing(tenant, provider.slug, listed, rows, now)
        unlisted = sorted(
            name
            for name, known in shipped.items()
            if name not in listed and name not in rows and not _is_over(known, now)
        )
        ProviderChoice.objects.update_or_create(
            tenant=tenant,
            provider=provider.slug,
            defaults={"models_fetched": now, "models_failure": {}, "models_missing": unlisted},
        )
    new = sum(1 for row in wanted if row.model not in rows)
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
    wanted: list[TenantModel] = []
    for name, one in listed.items():
        said = schema.of_listed(one)
        if name in shipped:
            said = _beyond(said, shipped[name])
            if not said and name not in rows:
                continue  # the shipped facts say it all: no row
        elif "type" not in said:
            guess = _guess(provider, name)
            if guess is None:
                continue  # none of the types we serve, such as images or video
            said["type"] = guess.value
        row = rows.get(name) or TenantModel(
            tenant=tenant, provider=provider.slug, model=name, type=said.get("type", "")
        )
        if row.model not in rows:
            row.origin = (
                TenantModel.Origin.SHIPPED if name in shipped else TenantModel.Origin.SYNCED
            )
        row.facts, row.synced, row.missing_since = said, now, None
        wanted.append(row)
    return wanted


def _beyond(said: Mapping[str, Any], known: Facts) -> dict[str, Any]:
    """What the list says that the shipped facts do not; a type of a list is often a guess and never
    counts here.
    """
    shipped = schema.dump({name: getattr(known, name) for name in schema.FIELDS})
    return {
        name: value for name, value in said.items() if name != "type" and shipped.get(name) != value
    }


def _guess(provider: Provider, name: str) -> ModelType | None:
    known = library.shipped(provider.slug).models.get(
        name
    )  # a hosting provider's, which are not its own ones
    if known is not None:
        return known.type if known.type in provider.model_types else None
    if provider.guess_type is not None:
        return provider.guess_type(name)
    return provider.model_types[0] if len(provider.model_types) == 1 else None


def _write(rows: list[TenantModel]) -> None:
    """Insert or refresh the synced layer only: of a row that is there, nothing of the tenant's is
    touched.
    """
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
    """Flag the rows that the provider's list does not have; what was added by hand is the tenant's
    own word.
    """
    gone = [
        row.pk
        for name, row in rows.items()
        if name not in listed and row.origin != TenantModel.Origin.ADDED
    ]
    TenantModel.objects.filter(tenant_id=tenant.pk, pk__in=gone, missing_since=None).update(
        missing_since=now
    )
    return len(gone)


def _is_over(known: Facts, now: datetime) -> bool:
    return known.retired is not None and known.retired <= now.date()
