"""What an app key may be given: no more than its owner, its maker and the actor have."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.errors import Conflict, NotAllowed, NotFound, ServiceError
from tenants.audit.trail import COMMAND, Actor
from tenants.auth.permissions import Action, Role, Scope, actions_of, scopes_of
from tenants.limits.rates import is_within
from tenants.models import AppKey, Invitation, Membership, Tenant

LIST_LIMIT: Final = 200  # entries of allowed_providers and allowed_models
LIMITS: Final = ("allowed_providers", "allowed_models", "allowed_operations")
WIDER_THAN_MAKER: Final = _("An app key can't do more than the key that makes it.")


def changeable_key(tenant: Tenant, app_key_id: UUID, actor: Actor) -> AppKey:
    """Lock and return a key that the actor owns or may manage. Raises NotFound, NotAllowed."""
    row = (
        AppKey.objects.select_for_update()
        .filter(tenant=tenant, pk=app_key_id, revoked=None)
        .first()
    )
    if row is None:
        raise NotFound("no_such_app_key", _("App key not found."))
    owned = actor.user_id is not None and row.created_by_id == actor.user_id
    if not _may_manage_all(actor) and not owned:
        raise NotAllowed(
            "not_your_key", _("This is another person's app key. Ask an admin to change it.")
        )
    return row


def checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 80 or not name.isprintable():
        raise ServiceError(
            "bad_name", _("Enter a name of 1 to 80 printable characters."), field="name"
        )
    return name


def checked_scopes(scopes: Iterable[Scope | str]) -> frozenset[Scope]:
    try:
        checked = frozenset(Scope(scope) for scope in scopes)
    except ValueError:
        raise ServiceError(
            "bad_scope", _("Unknown scope. The scopes are use, read and manage."), field="scopes"
        ) from None
    if not checked:
        raise ServiceError("no_scope", _("Choose at least one use for the key."), field="scopes")
    return checked


def checked_list(entries: Iterable[str], field: str) -> list[str]:
    unique = sorted(set(entries))
    if len(unique) > LIST_LIMIT or any(
        not entry or len(entry) > 241 or not entry.isprintable() for entry in unique
    ):
        raise ServiceError(
            "bad_list",
            _("Enter at most 200 names of up to 241 printable characters."),
            field=field,
        )
    return unique


def check_expires(expires: datetime | None) -> None:
    if expires is not None and expires <= timezone.now():
        raise ServiceError(
            "expires_in_past", _("This day is in the past. Choose a later one."), field="expires"
        )


def check_not_expired(row: AppKey) -> None:
    """Raise Conflict if a key has expired: it may be in hands that should no longer use it."""
    if row.is_expired:
        raise Conflict("expired_key", _("This app key has expired. Make a new one instead."))


def acts_for_command(actor: Actor) -> bool:
    """Return whether the actor is a command or an app key made by a command."""
    return actor == COMMAND or (actor.principal is not None and actor.principal.role is None)


def check_rights(
    tenant: Tenant, actor: Actor, creator_id: int | None, by_command: bool, scopes: frozenset[Scope]
) -> None:
    """Check the scopes against the rights of the key's owner and of an acting app key."""
    if not by_command:
        _check_owner(tenant, creator_id, scopes)
    if actor.user_id != creator_id and not _may_manage_all(actor):
        raise NotAllowed("not_your_key", _("Only admins can make app keys for other people."))
    if actor.principal is not None and not scopes <= (actor.principal.scopes or frozenset()):
        raise NotAllowed("scope_too_wide", WIDER_THAN_MAKER, field="scopes")


def _check_owner(tenant: Tenant, user_id: int | None, scopes: frozenset[Scope]) -> None:
    members = Membership.objects.filter(tenant=tenant, user=user_id, user__is_active=True)
    member = members.first() if user_id else None
    role = Role(member.role) if member else None
    if role is None or Action.MANAGE_OWN_APP_KEYS not in actions_of(role):
        raise NotAllowed(
            "scope_too_wide", _("Your role does not allow making app keys. Ask an admin.")
        )
    if not scopes <= scopes_of(role):
        raise NotAllowed(
            "scope_too_wide", _("An app key can't do more than its owner."), field="scopes"
        )


def check_covers(actor: Actor, row: AppKey) -> None:
    """Check that an acting app key could have made this key as it is now."""
    if actor.principal is not None:
        if not {Scope(scope) for scope in row.scopes} <= (actor.principal.scopes or frozenset()):
            raise NotAllowed("scope_too_wide", WIDER_THAN_MAKER)
        maker = locked_maker(actor)
        if maker is not None:
            check_limits(maker, row)


def locked_maker(actor: Actor) -> AppKey | None:
    """Lock and return the acting app key, so that it can't be revoked or limited meanwhile.

    Raises:
        NotAllowed: If it was revoked since the request was authenticated.
    """
    if actor.app_key_id is None:
        return None
    maker = AppKey.objects.select_for_update().filter(pk=actor.app_key_id, revoked=None).first()
    if maker is None:
        raise NotAllowed("limits_too_wide", _("The app key of this request was revoked."))
    return maker


def check_limits(maker: AppKey, row: AppKey) -> None:
    """Check that an app key passes its limits and its expiry on to a key that it makes.

    Raises:
        NotAllowed: With the field that is wider.
    """
    for field in LIMITS:
        own, new = getattr(maker, field), getattr(row, field)
        if own and not (new and set(own) >= set(new)):
            raise NotAllowed("limits_too_wide", WIDER_THAN_MAKER, field="allowed_models")
    if not is_within(row.rates, maker.rates):
        raise NotAllowed("limits_too_wide", WIDER_THAN_MAKER, field="rates")
    if maker.expires is not None and (row.expires is None or row.expires > maker.expires):
        raise NotAllowed(
            "limits_too_wide",
            _("An app key can't be valid for longer than the key that makes it."),
            field="expires",
        )


def check_may_raise(
    actor: Actor, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    """Check that who manages only keys of his own raises no rate that an admin may have set.

    Raises:
        NotAllowed: A rate would be higher, or gone.
    """
    if not is_within(after, before) and not _may_manage_all(actor):
        raise NotAllowed(
            "limits_too_wide",
            _("Only admins can raise an app key's rate limits. Lower ones can be set."),
            field="rates",
        )


def check_made_with(row: AppKey) -> None:
    """Check that a key that was changed can still do all that the keys made with it can do.

    Raises:
        NotAllowed: Naming a key that could do more, or open invitations.
    """
    for made in AppKey.objects.filter(tenant=row.tenant_id, made_by_key=row, revoked=None):
        try:
            check_limits(row, made)
        except NotAllowed as error:
            text = _(
                "“%(name)s” was made with this key and would then be allowed more. Limit or "
                "revoke it first."
            )
            raise NotAllowed(
                "limits_too_wide", text % {"name": made.name}, field=error.field
            ) from None
    is_limited = any(getattr(row, field) for field in LIMITS) or row.expires is not None
    invited = Invitation.objects.filter(tenant=row.tenant_id, made_by_key=row, accepted=None)
    if is_limited and invited.exists():
        text = _(
            "People were invited with this key, and a limited key can't invite. Withdraw their "
            "invitations first."
        )
        raise NotAllowed("limits_too_wide", text)


def _may_manage_all(actor: Actor) -> bool:
    if actor.principal is not None:
        return actor.principal.can(Action.MANAGE_APP_KEYS)
    return actor.role is not None and Action.MANAGE_APP_KEYS in actions_of(actor.role)
