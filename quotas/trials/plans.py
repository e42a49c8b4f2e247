"""Services with which operators manage trial plans and the credits they grant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from core.errors import Conflict, ServiceError
from quotas import ports
from quotas.models import CreditPool, Grant, TrialPlan, TrialPlanModel
from tenants.audit import trail
from tenants.audit.trail import SYSTEM, Actor
from tenants.config_version import bump_version
from tenants.crypto import keys
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.services.workspaces import system_tenant

SEALED_NAME = "trial_plan"  # field name in the context that credentials are sealed with


class BelowUsed(ServiceError):
    """The limit would fall below the credits used and held."""

    def __init__(self) -> None:
        message = _(
            "The limit cannot be lower than the credits already used or held. Take back fewer "
            "credits."
        )
        super().__init__("below_used", message, "amount")


class PlanAccess(NamedTuple):
    """The decrypted provider credential that pays for a plan.

    Attributes:
        values: Plaintext values by field name.
        base_url: "" for the provider's default URL.
    """

    values: Mapping[str, str]
    base_url: str

    def __repr__(self) -> str:
        return f"PlanAccess(********, {self.base_url!r})"


# -- plans -----------------------------------------------------------------------------------------


def create_plan(
    *, actor: Actor, slug: str, label: str, provider: str, limit: int, models: Mapping[str, int]
) -> TrialPlan:
    """Create a plan, switched off.

    Args:
        models: Credits per call, by model name.

    Raises:
        Conflict: The slug is taken.
        ServiceError: The limit, a model name or its credits are out of range.
    """
    _check(limit, models)
    with transaction.atomic():
        plan, is_new = TrialPlan.objects.get_or_create(
            slug=slug, defaults={"label": label, "provider": provider, "limit": limit}
        )
        if not is_new:
            raise Conflict("name_taken", _("A plan with this name already exists."), "slug")
        _set_models(plan, models)
        _log(
            plan,
            actor,
            "trial_plan.created",
            {"provider": provider, "limit": limit, "models": dict(models)},
        )
    return plan


def update_plan(
    *,
    actor: Actor,
    plan: TrialPlan,
    label: str | None = None,
    limit: int | None = None,
    models: Mapping[str, int] | None = None,
    is_on: bool | None = None,
) -> TrialPlan:
    """Update the plan and every workspace's credits; None leaves a field unchanged.

    A new limit grants the difference, or takes back as much of it as is left. Switching the plan
    on grants every workspace its credits. Each workspace is updated in a short transaction of its
    own; the next run completes an interrupted one.
    """
    _check(plan.limit if limit is None else limit, models)
    values = {
        name: value
        for name, value in {"label": label, "limit": limit, "is_on": is_on}.items()
        if value is not None
    }
    with transaction.atomic():
        plan = TrialPlan.objects.select_for_update(no_key=True).get(pk=plan.pk)
        if is_on and not plan.is_on:
            _check_can_start(plan)
        changed: dict[str, Any] = {
            name: value for name, value in values.items() if getattr(plan, name) != value
        }
        for name, value in changed.items():
            setattr(plan, name, value)
        if changed:
            plan.save(update_fields=list(changed))
        if models is not None and _set_models(plan, models):
            changed["models"] = dict(models)
        if changed:
            _log(plan, actor, "trial_plan.changed", changed)
            _bump_all()
    _align_all(plan, actor)
    return plan


def _check(limit: int, models: Mapping[str, int] | None) -> None:
    if not 0 <= limit <= 2_000_000_000:
        raise ServiceError("bad_limit", _("The limit must be 0 to 2,000,000,000 credits."), "limit")
    for model, credits in (models or {}).items():
        if not model or len(model) > 200 or not model.isprintable():
            raise ServiceError(
                "bad_model", _("A model's name must have 1 to 200 printable characters."), "models"
            )
        if not 1 <= credits <= 1_000_000:
            raise ServiceError(
                "bad_credits", _("A call must cost 1 to 1,000,000 credits."), "models"
            )


def _check_can_start(plan: TrialPlan) -> None:
    """Require a credential, unless the provider accepts an empty one: every call would fail."""
    if plan.has_credential:
        return
    try:
        ports.check_credential(plan.provider, {})
    except ServiceError:
        message = _("Enter the provider credential for this plan before you switch it on.")
        raise ServiceError("no_credential", message, "is_on") from None


def _set_models(plan: TrialPlan, models: Mapping[str, int]) -> bool:
    """Replace the plan's models and return whether anything changed."""
    before = {row.model: row.credits for row in plan.models.all()}
    plan.models.exclude(model__in=models).delete()
    for model, credits in models.items():
        if before.get(model) != credits:
            TrialPlanModel.objects.update_or_create(
                plan=plan, model=model, defaults={"credits": credits}
            )
    return before != dict(models)


def _log(plan: TrialPlan, actor: Actor, action: str, details: Mapping[str, Any]) -> None:
    tenant = system_tenant()
    with tenant_scope(tenant):
        trail.record(
            tenant=tenant,
            actor=actor,
            action=action,
            object_type="trial_plan",
            object_id=plan.pk,
            object_label=plan.slug,
            details=details,
        )


def _bump_all() -> None:
    """Bump every workspace's configuration version, as all their routes depend on the plans."""
    Tenant.objects.filter(is_system=False).update(config_version=F("config_version") + 1)


# -- the operator's credential ---------------------------------------------------------------------


def set_plan_credential(*, actor: Actor, plan: TrialPlan, values: Mapping[str, str]) -> TrialPlan:
    """Encrypt and store the provider credential that pays for the plan.

    Args:
        values: Plaintext values by field name, including base_url.

    Raises:
        ServiceError: The provider rejects a value.
        KeysNotReady: The encryption keys are not available.
    """
    checked = ports.check_credential(plan.provider, values)
    with transaction.atomic():
        plan = TrialPlan.objects.select_for_update(no_key=True).get(pk=plan.pk)
        plan.version += 1
        plan.base_url = checked.base_url
        plan.values = dict(checked.public)
        plan.sealed = _seal(plan, checked.secret) if checked.secret else ""
        plan.mask = keys.mask(next(iter(checked.secret.values()))) if checked.secret else ""
        plan.save(update_fields=["version", "base_url", "values", "sealed", "mask"])
        _log(
            plan,
            actor,
            "trial_plan.credential_set",
            {"base_url": plan.base_url, "fields": sorted([*checked.public, *checked.secret])},
        )
        _bump_all()
    return plan


def _seal(plan: TrialPlan, secret: Mapping[str, str]) -> str:
    return keys.seal(
        **_binding(plan), version=plan.version, text=json.dumps(dict(secret), ensure_ascii=False)
    )


def _binding(plan: TrialPlan) -> dict[str, Any]:
    return {
        "tenant_id": system_tenant().pk,
        "provider": plan.provider,
        "base_url": effective_base_url(plan),
        "name": SEALED_NAME,
        "row_id": str(plan.pk),
    }


def effective_base_url(plan: TrialPlan) -> str:
    """Return the base URL that the plan's calls are sent to."""
    return ports.effective_url(plan.provider, plan.base_url)


def open_plan_credential(*, plan_id: int, purpose: str = "call") -> PlanAccess:
    """Decrypt the plan's credential right before it is used.

    Raises:
        CredentialUnreadable: The credential cannot be decrypted.
        TrialPlan.DoesNotExist: There is no plan with this id.
    """
    plan = TrialPlan.objects.get(pk=plan_id)
    values = dict(plan.values)
    if plan.sealed:
        text = keys.open_sealed(
            **_binding(plan),
            version=plan.version,
            token=plan.sealed,
            purpose=purpose,
            subject=f"plan:{plan.slug}",
        )
        values |= json.loads(text)
    return PlanAccess(values, plan.base_url)


# -- credits ---------------------------------------------------------------------------------------


def give_pools(tenant: Tenant) -> None:
    """Grant a new workspace the credits of every active plan.

    Call this inside the transaction that creates the workspace.
    """
    if tenant.is_system:
        return
    # Lock the plans, so that one being switched on right now is either seen here or sees this
    # workspace.
    for plan in TrialPlan.objects.select_for_update(no_key=True).order_by("pk"):
        if plan.is_on:
            _align(plan, tenant.pk, SYSTEM)


def grant(*, actor: Actor, pool: CreditPool, amount: int, reason: str) -> Grant:
    """Add credits to a workspace's trial, or take some back.

    Args:
        amount: Credits to add; negative to take back.

    Raises:
        ServiceError: The reason or the amount is invalid.
        BelowUsed: The limit would fall below the credits used and held.
    """
    reason = reason.strip()
    if not reason or len(reason) > 200:
        raise ServiceError("invalid_value", _("Enter a reason of up to 200 characters."), "reason")
    if not amount or abs(amount) > 2_000_000_000:
        raise ServiceError("bad_amount", _("Enter a number of credits other than 0."), "amount")
    with tenant_scope(pool.tenant_id), transaction.atomic():
        new_grant = _change_limit(pool, amount, reason=reason, actor=actor)
        trail.record(
            tenant=pool.tenant,
            actor=actor,
            action="trial.granted",
            object_type="credit_pool",
            object_id=pool.pk,
            object_label=pool.plan.slug,
            details={"credits": amount, "reason": reason},
        )
        bump_version(pool.tenant_id)
    return new_grant


def _change_limit(
    pool: CreditPool, amount: int, *, reason: str, actor: Actor, share: int = 0
) -> Grant:
    """Change the limit together with its grant, never below the credits used and held.

    All changes to limits go through here.
    """
    changeable = CreditPool.objects.filter(pk=pool.pk, limit__gte=F("settled") + F("held") - amount)
    if not changeable.update(limit=F("limit") + amount, plan_share=F("plan_share") + share):
        raise BelowUsed
    return Grant.objects.create(
        tenant_id=pool.tenant_id, pool=pool, amount=amount, reason=reason, actor=actor.label[:160]
    )


def _align_all(plan: TrialPlan, actor: Actor) -> None:
    for tenant_id in (
        Tenant.objects.filter(is_system=False).order_by("created").values_list("pk", flat=True)
    ):
        _align(plan, tenant_id, actor)


def _align(plan: TrialPlan, tenant_id: UUID, actor: Actor) -> None:
    """Set the plan's share of a workspace's limit to the plan's limit.

    Individual grants are kept. If more credits are used or held than the new limit allows, the
    share stays that much higher.
    """
    with tenant_scope(tenant_id), transaction.atomic():
        pools = CreditPool.objects.select_for_update(no_key=True).filter(
            tenant_id=tenant_id, plan=plan
        )
        pool = pools.first()
        if pool is None and plan.is_on:
            CreditPool.objects.get_or_create(tenant_id=tenant_id, plan=plan)
            bump_version(tenant_id)  # even a trial without credits is in its routes
            pool = pools.get()
        if pool is None or pool.plan_share == plan.limit:
            return
        difference = max(plan.limit - pool.plan_share, -pool.left)
        if difference:
            reason = f"trial plan {plan.slug}: {plan.limit} credits"
            _change_limit(pool, difference, reason=reason, actor=actor, share=difference)
            bump_version(tenant_id)
