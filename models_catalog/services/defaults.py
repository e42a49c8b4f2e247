"""Set and clear default models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from core.errors import NotFound, ServiceError
from models_catalog import queries, scenarios
from models_catalog.models import DefaultModel
from models_catalog.resolution.entries import Entry
from models_catalog.scenarios import Scenario
from tenants.audit.trail import Actor, record
from tenants.config_version import bump_version
from tenants.models import Tenant

MOST_FALLBACKS = 10


def set_default(
    *, tenant: Tenant, actor: Actor, scenario: str, model: str, fallbacks: Sequence[str] = ()
) -> DefaultModel:
    """Set a scenario's default model and fallbacks, all enabled and of the scenario's type."""
    target = _scenario(scenario)
    if len(fallbacks) > MOST_FALLBACKS:
        raise ServiceError(
            "invalid_value",
            _("List at most %(most)s fallbacks.") % {"most": MOST_FALLBACKS},
            field="fallbacks",
        )
    names = [model, *fallbacks]
    if len(set(names)) != len(names):
        raise ServiceError("invalid_value", _("List each model only once."), field="fallbacks")
    usable = {entry.id: entry for entry in queries.entries(tenant_id=tenant.pk)}
    for place, name in enumerate(names):
        _check_fits(target, name, usable.get(name), "fallbacks" if place else "model")
    with transaction.atomic():
        bump_version(tenant.pk)
        row, _made = DefaultModel.objects.update_or_create(
            tenant=tenant,
            scenario=target.slug,
            defaults={"model": model, "fallbacks": list(fallbacks)},
        )
        _audit_default(
            tenant, actor, "default.set", target, {"model": model, "fallbacks": list(fallbacks)}
        )
    chosen: DefaultModel = row
    return chosen


def clear_default(*, tenant: Tenant, actor: Actor, scenario: str) -> None:
    """Clear a scenario's default model; clearing it twice is not an error."""
    target = _scenario(scenario)
    with transaction.atomic():
        bump_version(tenant.pk)
        deleted, _each = DefaultModel.objects.filter(
            tenant_id=tenant.pk, scenario=target.slug
        ).delete()
        if deleted:
            _audit_default(tenant, actor, "default.cleared", target)


def _check_fits(target: Scenario, name: str, entry: Entry | None, field: str) -> None:
    values = {"model": str(name)[:241], "label": target.label}
    if entry is None:
        raise ServiceError(
            "model_not_found",
            _("There is no model “%(model)s” in this workspace.") % values,
            field,
            400,
        )
    if not entry.enabled:
        raise ServiceError(
            "model_disabled",
            _("%(model)s is switched off. Switch it on first.") % values,
            field=field,
        )
    if entry.type is not target.type:
        raise ServiceError(
            "wrong_type",
            _("%(model)s is not of the type that “%(label)s” needs.") % values,
            field=field,
        )


def drop_from_defaults(tenant: Tenant, name: str) -> tuple[str, ...]:
    stopped: list[str] = []
    for row in DefaultModel.objects.filter(tenant_id=tenant.pk):
        if row.model == name:
            stopped.append(row.scenario)
            row.delete()
        elif name in row.fallbacks:
            row.fallbacks = [other for other in row.fallbacks if other != name]
            row.save(update_fields=["fallbacks", "updated"])
    return tuple(stopped)


def _scenario(slug: str) -> Scenario:
    scenario = scenarios.find(slug)
    if scenario is None:
        raise NotFound(
            "unknown_scenario",
            _("There is no scenario “%(slug)s”.") % {"slug": slug[:40]},
            field="scenario",
        )
    return scenario


def _audit_default(
    tenant: Tenant,
    actor: Actor,
    action: str,
    scenario: Scenario,
    details: Mapping[str, Any] | None = None,
) -> None:
    record(
        tenant=tenant,
        actor=actor,
        action=action,
        object_type="default_model",
        object_id=scenario.slug,
        object_label=scenario.slug,
        details=details,
    )
