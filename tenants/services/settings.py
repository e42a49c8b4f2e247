"""A workspace's own settings: name, address, language; and its end. Part of tenants.services."""

from __future__ import annotations

import re
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.errors import Conflict, NotAllowed, ServiceError
from tenants import queries
from tenants.audit.trail import Actor, record
from tenants.auth.permissions import Role
from tenants.config_version import bump_version
from tenants.crypto import key_pairs, keys
from tenants.models import AppKey, FormerAddress, Invitation, KeyPair, Tenant

SYSTEM_SLUG: Final = "operator-keys"
# Former addresses of one workspace. Each is kept from all others for good: nobody shall collect
# them.
MOST_FORMER: Final = 10
_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?", re.ASCII)


def checked_slug(slug: str) -> str:
    """The address of a new workspace. Raises ServiceError (no address), Conflict (taken, now or by
    a workspace that had it).
    """
    return _checked_slug(slug, None)


def _checked_slug(slug: str, tenant: Tenant | None) -> str:
    if not _SLUG.fullmatch(slug):
        message = _(
            "An address has 1 to 50 characters: small letters a to z, digits, and hyphens between "
            "them."
        )
        raise ServiceError("bad_slug", message, field="slug")
    if slug == SYSTEM_SLUG or queries.address_is_taken(slug, besides=tenant):
        raise Conflict("slug_taken", _("This address is taken. Choose another one."), field="slug")
    return slug


def checked_name(name: str) -> str:
    """Raises ServiceError for a name that is empty, longer than 120 characters or not printable."""
    name = name.strip()
    if not name or len(name) > 120 or not name.isprintable():
        raise ServiceError("bad_name", _("A name has 1 to 120 printable characters."), field="name")
    return name


@transaction.atomic
def rename_workspace(*, tenant: Tenant, name: str, actor: Actor) -> Tenant:
    """Raises ServiceError (name). The same name changes nothing and leaves no trace."""
    before, after = tenant.name, checked_name(name)
    if after != before:
        tenant.name = after
        tenant.save(update_fields=["name"])
        _record(tenant, actor, "workspace.renamed", before=before)
    return tenant


@transaction.atomic
def move_workspace(*, tenant: Tenant, slug: str, actor: Actor) -> Tenant:
    """Give a workspace another address; the one it had leads to the new one for good.

    Raises ServiceError (no address), Conflict (taken, or moved too often).
    """
    before = tenant.slug
    if slug == before:
        return tenant
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    slug = _checked_slug(slug, tenant)
    FormerAddress.objects.filter(slug=slug).delete()  # one of its own, taken back
    if FormerAddress.objects.filter(tenant=tenant).count() >= MOST_FORMER:
        message = _(
            "This workspace has had %(count)s addresses already, and all of them are kept for it. "
            "Take one of those back."
        )
        raise Conflict("moved_too_often", message % {"count": MOST_FORMER}, field="slug")
    FormerAddress.objects.create(tenant=tenant, slug=before)
    tenant.slug = slug
    tenant.save(update_fields=["slug"])
    bump_version(tenant.pk)
    _record(tenant, actor, "workspace.moved", before=before)
    return tenant


@transaction.atomic
def set_default_language(*, tenant: Tenant, language: str, actor: Actor) -> Tenant:
    """The language of people who chose none and are invited from now on; "" is their browser's.
    Raises ServiceError.
    """
    if language and language not in dict(settings.LANGUAGES):
        raise ServiceError(
            "invalid_value", _("There is no such language."), field="default_language"
        )
    if language != tenant.default_language:
        before, tenant.default_language = tenant.default_language, language
        tenant.save(update_fields=["default_language"])
        _record(tenant, actor, "workspace.language_changed", before=before, language=language)
    return tenant


def suspend_workspace(*, tenant: Tenant, actor: Actor) -> None:
    """Its app keys and pages refuse from the next request on; nothing is deleted."""
    _set_status(
        tenant, (Tenant.Status.ACTIVE,), Tenant.Status.SUSPENDED, actor, "workspace.suspended"
    )


def resume_workspace(*, tenant: Tenant, actor: Actor) -> None:
    """Undo a suspension; of a workspace that was closed this opens what is left, with a new key
    pair.
    """
    _set_status(
        tenant, (Tenant.Status.SUSPENDED,), Tenant.Status.ACTIVE, actor, "workspace.resumed"
    )
    if _set_status(
        tenant, (Tenant.Status.CLOSED,), Tenant.Status.ACTIVE, actor, "workspace.reopened"
    ):
        keys.prepare_key_pair(tenant.pk)


@transaction.atomic
def close_workspace(*, tenant: Tenant, typed: str, actor: Actor) -> None:
    """The end of a workspace: app keys, invitations and every sealed credential are destroyed with
    the key pairs that open them.

    Its pages and calls refuse from then on. The records of calls and the audit trail are final:
    they stay, and operators read them. typed: the workspace's address, as the person typed it.
    Raises NotAllowed (no owner), ServiceError (typed otherwise).
    """
    if actor.role is not Role.OWNER:
        raise NotAllowed("role_too_high", _("Only an owner closes a workspace."))
    if typed.strip() != tenant.slug:
        raise ServiceError(
            "invalid_value",
            _("This is not the workspace's address. Nothing was changed."),
            field="typed",
        )
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    credentials = _destroy_sealed(tenant)
    app_keys = AppKey.objects.filter(tenant=tenant, revoked=None).update(revoked=timezone.now())
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
    """Rows that hold a sealed text, and all key pairs. The pairs go too, so that a copy of the rows
    opens no more. How many rows.
    """
    number = 0
    for column in keys.sealed_columns():
        rows = column.keys_of(tenant.pk)
        column.model.objects.filter(pk__in=rows).delete()
        number += len(rows)
    KeyPair.objects.filter(tenant=tenant).delete()
    transaction.on_commit(keys.forget)
    transaction.on_commit(key_pairs.forget_pairs)
    return number


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
