"""Change a workspace's name, address, language and status; close it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.errors import Conflict, NotAllowed, ServiceError
from tenants import queries
from tenants.audit.trail import Actor, record
from tenants.auth.origins import checked_origins
from tenants.auth.permissions import Role
from tenants.config_version import bump_version
from tenants.crypto import keys
from tenants.crypto.digest_key import NO_PROOF
from tenants.kept.periods import PERIODS
from tenants.limits.rates import checked_rates
from tenants.models import (
    AllowedOrigin,
    AppKey,
    FormerAddress,
    Invitation,
    KeptItem,
    KeyPair,
    Tenant,
)
from tenants.services import key_pairs

SYSTEM_SLUG: Final = "operator-keys"
# Former addresses per workspace. They stay reserved for good, so limit how many one can collect.
MAX_FORMER_ADDRESSES: Final = 10
MOST_CALL_DAYS: Final = 3650
_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?", re.ASCII)


def checked_slug(slug: str) -> str:
    """Check the address of a new workspace and return it.

    Raises:
        ServiceError: If it is malformed.
        Conflict: If a workspace has or had it.
    """
    return _checked_slug(slug, None)


def _checked_slug(slug: str, tenant: Tenant | None) -> str:
    if not _SLUG.fullmatch(slug):
        message = _(
            "Enter an address of 1 to 50 characters: lower-case letters a to z, digits, and "
            "hyphens between them."
        )
        raise ServiceError("bad_slug", message, field="slug")
    if slug == SYSTEM_SLUG or queries.address_is_taken(slug, besides=tenant):
        raise Conflict("slug_taken", _("This address is taken. Choose another one."), field="slug")
    return slug


def checked_name(name: str) -> str:
    """Strip and check a workspace's name.

    Raises:
        ServiceError: If it is empty, longer than 120 characters or not printable.
    """
    name = name.strip()
    if not name or len(name) > 120 or not name.isprintable():
        raise ServiceError(
            "bad_name", _("Enter a name of 1 to 120 printable characters."), field="name"
        )
    return name


@transaction.atomic
def rename_workspace(*, tenant: Tenant, name: str, actor: Actor) -> Tenant:
    """Rename a workspace, unless it already has the name. Raises ServiceError."""
    before, after = tenant.name, checked_name(name)
    if after != before:
        tenant.name = after
        tenant.save(update_fields=["name"])
        _record(tenant, actor, "workspace.renamed", before=before)
    return tenant


@transaction.atomic
def move_workspace(*, tenant: Tenant, slug: str, actor: Actor) -> Tenant:
    """Change a workspace's address; the old one redirects to the new one for good.

    Raises:
        ServiceError: If the address is malformed.
        Conflict: If the address is taken or the workspace had too many.
    """
    before = tenant.slug
    if slug == before:
        return tenant
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    slug = _checked_slug(slug, tenant)
    FormerAddress.objects.filter(slug=slug).delete()  # going back to an address of its own
    if FormerAddress.objects.filter(tenant=tenant).count() >= MAX_FORMER_ADDRESSES:
        message = _(
            "This workspace has already had %(count)s addresses, which stay reserved for it. "
            "Choose one of those."
        )
        values = {"count": MAX_FORMER_ADDRESSES}
        raise Conflict("moved_too_often", message % values, field="slug")
    FormerAddress.objects.create(tenant=tenant, slug=before)
    tenant.slug = slug
    tenant.save(update_fields=["slug"])
    bump_version(tenant.pk)
    _record(tenant, actor, "workspace.moved", before=before)
    return tenant


@transaction.atomic
def set_default_language(*, tenant: Tenant, language: str, actor: Actor) -> Tenant:
    """Set the language of people invited from now on who don't choose one.

    Args:
        tenant: The workspace.
        language: A code in settings.LANGUAGES, or "" for the browser's language.
        actor: Recorded in the audit trail.

    Raises:
        ServiceError: If the language is unknown.
    """
    if language and language not in dict(settings.LANGUAGES):
        raise ServiceError(
            "invalid_value", _("This language is not available."), field="default_language"
        )
    if language != tenant.default_language:
        before, tenant.default_language = tenant.default_language, language
        tenant.save(update_fields=["default_language"])
        _record(tenant, actor, "workspace.language_changed", before=before, language=language)
    return tenant


@transaction.atomic
def set_allowed_origins(*, tenant: Tenant, origins: Iterable[str], actor: Actor) -> Tenant:
    """Set the origins whose web pages may call models with this workspace's app keys.

    Raises:
        ServiceError: One is not an origin, or there are too many.
    """
    after = checked_origins(origins)
    before = queries.allowed_origins(tenant=tenant)
    if after != before:
        AllowedOrigin.objects.filter(tenant=tenant).exclude(origin__in=after).delete()
        for origin in set(after) - set(before):
            AllowedOrigin.objects.create(tenant=tenant, origin=origin)
        _record(
            tenant,
            actor,
            "workspace.origins_changed",
            before=", ".join(before),
            origins=", ".join(after),
        )
    return tenant


@transaction.atomic
def set_kept_hours(*, tenant: Tenant, hours: int, actor: Actor) -> Tenant:
    """Set how long calls keep what they need later. Switching it off deletes what is kept.

    Raises:
        ServiceError: This is not one of the periods.
    """
    if hours not in PERIODS:
        raise ServiceError(
            "invalid_value", _("Choose one of the listed periods."), field="kept_hours"
        )
    before = tenant.kept_hours
    if hours != before:
        tenant.kept_hours = hours
        tenant.save(update_fields=["kept_hours"])
        deleted = 0 if hours else KeptItem.objects.filter(tenant=tenant).delete()[0]
        details = {"before": before, "hours": hours, "deleted": deleted}
        _record(tenant, actor, "workspace.kept_hours_changed", **details)
    return tenant


@transaction.atomic
def set_call_days(*, tenant: Tenant, days: int | None, actor: Actor) -> Tenant:
    """Let a workspace's calls be archived and deleted sooner than those of others.

    Args:
        days: At least 1; None for as long as in others.

    Raises:
        ServiceError: The number is out of range.
    """
    if days is not None and not 1 <= days <= MOST_CALL_DAYS:
        message = _("Enter a number of days from 1 to %(most)d.") % {"most": MOST_CALL_DAYS}
        raise ServiceError("invalid_value", message, field="call_days")
    before, tenant.call_days = tenant.call_days, days
    if before != days:
        tenant.save(update_fields=["call_days"])
        details = {"before": before or 0, "days": days or 0}
        _record(tenant, actor, "workspace.call_days_changed", **details)
    return tenant


@transaction.atomic
def set_rates(*, tenant: Tenant, rates: Mapping[str, Any], actor: Actor) -> Tenant:
    """Limit how fast the workspace may call models, from the next call on.

    Args:
        rates: By the names in tenants.limits.rates; None means no limit.

    Raises:
        ServiceError: If a rate is out of range.
    """
    before, tenant.rates = tenant.rates, checked_rates(rates)
    if tenant.rates != before:
        tenant.save(update_fields=["rates"])
        _record(tenant, actor, "workspace.rates_changed", rates=tenant.rates or "none")
    return tenant


def suspend_workspace(*, tenant: Tenant, actor: Actor) -> None:
    """Block a workspace's pages and app keys from the next request on; nothing is deleted."""
    _set_status(
        tenant, (Tenant.Status.ACTIVE,), Tenant.Status.SUSPENDED, actor, "workspace.suspended"
    )


def resume_workspace(*, tenant: Tenant, actor: Actor) -> None:
    """Resume a suspended workspace, or reopen the remains of a closed one with a new key pair."""
    _set_status(
        tenant, (Tenant.Status.SUSPENDED,), Tenant.Status.ACTIVE, actor, "workspace.resumed"
    )
    if _set_status(
        tenant, (Tenant.Status.CLOSED,), Tenant.Status.ACTIVE, actor, "workspace.reopened"
    ):
        key_pairs.prepare(tenant.pk)


@transaction.atomic
def close_workspace(*, tenant: Tenant, typed: str, actor: Actor) -> None:
    """Close a workspace and delete its credentials, key pairs, app keys and invitations.

    Its pages and calls are refused from then on. Call records and the audit trail stay, for
    operators.

    Args:
        tenant: The workspace.
        typed: The workspace's address as typed by the person to confirm.
        actor: Must be an owner.

    Raises:
        NotAllowed: If the actor is not an owner.
        ServiceError: If the typed address is wrong.
    """
    if actor.role is not Role.OWNER:
        raise NotAllowed("role_too_high", _("Only an owner can close a workspace."))
    if typed.strip() != tenant.slug:
        raise ServiceError(
            "invalid_value",
            _("This is not the workspace's address. Nothing was changed."),
            field="typed",
        )
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    credentials = _destroy_sealed(tenant)
    app_keys = AppKey.objects.filter(tenant=tenant, revoked=None).update(
        revoked=timezone.now(), proof=NO_PROOF
    )
    invitations = Invitation.objects.filter(tenant=tenant, accepted=None).delete()[0]
    _record(
        tenant,
        actor,
        "workspace.closed",
        credentials=credentials,
        app_keys=app_keys,
        invitations=invitations,
    )
    Tenant.objects.filter(pk=tenant.pk).update(status=Tenant.Status.CLOSED)
    tenant.status = Tenant.Status.CLOSED
    bump_version(tenant.pk)


def _destroy_sealed(tenant: Tenant) -> int:
    """Delete all rows with a sealed text, and the key pairs, so that no copy of the rows opens.

    Returns:
        The number of rows, without the key pairs.
    """
    deleted = 0
    for column in keys.sealed_columns():
        pks = column.keys_of(tenant.pk)
        column.model.objects.filter(pk__in=pks).delete()
        deleted += len(pks)
    KeyPair.objects.filter(tenant=tenant).delete()
    KeptItem.objects.filter(tenant=tenant).delete()
    transaction.on_commit(keys.forget)
    return deleted


@transaction.atomic
def _set_status(
    tenant: Tenant,
    before: tuple[Tenant.Status, ...],
    status: Tenant.Status,
    actor: Actor,
    action: str,
) -> bool:
    if not Tenant.objects.filter(pk=tenant.pk, is_system=False, status__in=before).update(
        status=status
    ):
        return False
    tenant.status = status
    bump_version(tenant.pk)
    _record(tenant, actor, action)
    return True


def _record(tenant: Tenant, actor: Actor, action: str, **details: object) -> None:
    record(
        tenant=tenant,
        actor=actor,
        action=action,
        object_type="workspace",
        object_id=tenant.pk,
        object_label=tenant.name if action == "workspace.renamed" else tenant.slug,
        details=details,
    )
