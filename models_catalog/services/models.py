"""Add, change, enable and remove models of a workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core.errors import Conflict
from models_catalog import queries
from models_catalog.errors import ModelNotFound
from models_catalog.facts import price_versions, schema
from models_catalog.models import TenantModel
from models_catalog.resolution.entries import Entry
from models_catalog.services.defaults import drop_from_defaults
from tenants.audit.trail import Actor, record
from tenants.config_version import bump_version
from tenants.models import Tenant


def remove_model(*, tenant: Tenant, actor: Actor, provider: str, model: str) -> tuple[str, ...]:
    """Remove a model that was added by hand.

    Returns:
        The scenarios whose default it was; they have none now.
    """
    row = queries.row(tenant_id=tenant.pk, provider=provider, model=model)
    if row is None or row.origin != TenantModel.Origin.ADDED:
        if queries.entry(tenant_id=tenant.pk, provider=provider, model=model) is None:
            raise ModelNotFound(f"{provider}/{model}")
        raise Conflict(
            "not_added",
            _("This model comes with the provider. Switch it off instead of deleting it."),
        )
    with transaction.atomic():
        bump_version(tenant.pk)
        row.delete()
        stopped = drop_from_defaults(tenant, f"{provider}/{model}")
        record_model_change(
            tenant, actor, "model.removed", provider, model, {"defaults_cleared": list(stopped)}
        )
    return stopped


def set_enabled(*, tenant: Tenant, actor: Actor, provider: str, model: str, enabled: bool) -> Entry:
    """Switch a model on or off for this tenant.

    Raises:
        ModelNotFound: The catalog has no such model.
    """
    return change_model(tenant=tenant, actor=actor, provider=provider, model=model, enabled=enabled)


def set_many_enabled(
    *, tenant: Tenant, actor: Actor, provider: str, models: Sequence[str], enabled: bool
) -> int:
    """Switch several models of a provider in one transaction; return how many."""
    with transaction.atomic():
        for model in dict.fromkeys(models):
            set_enabled(tenant=tenant, actor=actor, provider=provider, model=model, enabled=enabled)
    return len(set(models))


def override(
    *, tenant: Tenant, actor: Actor, provider: str, model: str, overrides: Mapping[str, Any]
) -> Entry:
    """Override a model's facts for this tenant; None removes an override.

    Raises:
        ModelNotFound: The catalog has no such model.
        BadFact: A fact is unknown or invalid.
    """
    return change_model(tenant=tenant, actor=actor, provider=provider, model=model, **overrides)


def change_model(
    *,
    tenant: Tenant,
    actor: Actor,
    provider: str,
    model: str,
    enabled: bool | None = None,
    **overrides: Any,
) -> Entry:
    """Switch a model and override its facts in one transaction, creating its row if needed."""
    parsed = schema.parse(overrides)
    with transaction.atomic():
        bump_version(tenant.pk)
        row = _own_row(tenant, provider, model)
        others = {name: value for name, value in row.overrides.items() if name not in parsed}
        changed: dict[str, Any] = {"overrides": others | schema.dump(parsed)} if parsed else {}
        if "price" in parsed:
            before, now = row.overrides.get("price"), timezone.now()
            changed["prices"] = price_versions.added(row.prices, before, parsed["price"], now)
        if enabled is not None:
            changed["enabled"] = enabled
        for name, value in changed.items():
            setattr(row, name, value)
        row.save(update_fields=list(changed)) if changed else None
        if enabled is not None:
            record_model_change(
                tenant, actor, "model.enabled" if enabled else "model.disabled", provider, model
            )
        if parsed:
            record_model_change(
                tenant, actor, "model.overridden", provider, model, {"facts": sorted(parsed)}
            )
    entry = queries.entry(tenant_id=tenant.pk, provider=provider, model=model)
    assert entry is not None, "its row was just written"
    return entry


def _own_row(tenant: Tenant, provider: str, model: str) -> TenantModel:
    row = queries.row(tenant_id=tenant.pk, provider=provider, model=model)
    if row is not None:
        return row
    entry = queries.entry(tenant_id=tenant.pk, provider=provider, model=model)
    if entry is None:
        raise ModelNotFound(f"{provider}/{model}")
    kind = entry.type.value if entry.type else ""
    return TenantModel.objects.create(tenant=tenant, provider=provider, model=model, type=kind)


def record_model_change(
    tenant: Tenant,
    actor: Actor,
    action: str,
    provider: str,
    model: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    name = f"{provider}/{model}"
    record(
        tenant=tenant,
        actor=actor,
        action=action,
        object_type="model",
        object_id=name[:80],
        object_label=name[:160],
        details=details,
    )
