"""Create, rotate and revoke app keys. A key's text is shown once and never stored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.db.violations import is_duplicate
from core.errors import Conflict, NotAllowed, NotFound, ServiceError
from tenants.audit.trail import COMMAND, Actor, record
from tenants.auth.key_format import PREFIX_LENGTH, new_key
from tenants.auth.permissions import Action, Role, Scope, actions_of, scopes_of
from tenants.crypto import keys
from tenants.crypto.digest_key import NO_PROOF, app_key_digest, sign
from tenants.models import AppKey, Invitation, Membership, Tenant, User

LONGEST_OVERLAP: Final = timedelta(days=7)
LIST_LIMIT: Final = 200  # entries of allowed_providers and allowed_models
WIDER_THAN_MAKER: Final = _("An app key can't do more than the key that makes it.")


@transaction.atomic
def create_app_key(
    *,
    tenant: Tenant,
    actor: Actor,
    name: str,
    scopes: Iterable[Scope | str],
    allowed_providers: Iterable[str] = (),
    allowed_models: Iterable[str] = (),
    allowed_operations: Iterable[str] = (),
    expires: datetime | None = None,
    user: User | None = None,
) -> tuple[AppKey, str]:
    """Create an app key.

    Args:
        tenant: The workspace.
        actor: Who creates the key.
        name: Unique among the workspace's keys.
        scopes: At least one.
        allowed_providers: Slugs; empty means all.
        allowed_models: "provider/model"; empty means all.
        allowed_operations: Endpoints such as "embeddings"; empty means all.
        expires: None means never, or for an app key that makes one, when it expires itself.
        user: The person whose rights limit the key; by default the actor.

    Returns:
        The row and the key's text, which cannot be read again.

    Raises:
        ServiceError: If a value is invalid.
        NotAllowed: If the key would have more rights than its owner or the actor.
        Conflict: If the name is taken.
    """
    name, scopes = _checked_name(name), _checked_scopes(scopes)
    creator_id = user.pk if user is not None else actor.user_id
    by_command = creator_id is None and _acts_for_command(actor)
    row = AppKey(
        tenant=tenant,
        name=name,
        scopes=sorted(scopes),
        allowed_providers=_checked_list(allowed_providers, "allowed_providers"),
        allowed_models=_checked_list(allowed_models, "allowed_models"),
        allowed_operations=_checked_list(allowed_operations, "allowed_operations"),
        created_by_id=creator_id,
        made_by_command=by_command,
        made_by_key_id=actor.app_key_id,
        expires=expires or _expiry_of(actor),
    )
    _check_expires(expires)
    _check_rights(tenant, actor, creator_id, by_command, scopes)
    _check_limits(actor, row)
    if AppKey.objects.filter(tenant=tenant, name=name, revoked=None).exists():
        raise _name_taken()
    text = _insert_with_new_key(row)
    _record(row, tenant, actor, "app_key.created", scopes=row.scopes)
    return row, text


@transaction.atomic
def revoke_app_key(*, tenant: Tenant, app_key_id: UUID, actor: Actor) -> AppKey:
    """Revoke an app key, and what it made, with effect from the next request.

    Raises:
        NotFound: If there is no such key.
        NotAllowed: If the actor may not change it.
    """
    row = _changeable_key(tenant, app_key_id, actor)
    _revoke(row, actor)
    return row


@transaction.atomic
def revoke_app_key_as_operator(*, app_key: AppKey, actor: Actor) -> None:
    """Revoke an app key without checking roles; called from the admin only."""
    _revoke(app_key, actor)


def _revoke(row: AppKey, actor: Actor) -> None:
    """Revoke a key with the keys and open invitations that its holder made with it.

    Not recursive: a holder may have made a long chain of keys, each with the one before.
    """
    made = AppKey.objects.select_for_update(of=("self",)).select_related("tenant")
    pending = [row]
    while pending:
        key = pending.pop()
        key.revoked, key.proof = timezone.now(), NO_PROOF
        key.save(update_fields=["revoked", "proof"])
        _record(key, key.tenant, actor, "app_key.revoked")
        _withdraw_invitations(key, actor)
        pending += made.filter(tenant=key.tenant_id, made_by_key=key, revoked=None)


def _withdraw_invitations(key: AppKey, actor: Actor) -> None:
    for invitation in Invitation.objects.filter(
        tenant=key.tenant_id, made_by_key=key, accepted=None
    ):
        record(
            tenant=key.tenant,
            actor=actor,
            action="invitation.revoked",
            object_type="invitation",
            object_id=invitation.pk,
            object_label=invitation.email,
            details={"role": invitation.role},
        )
        invitation.delete()


@transaction.atomic
def rotate_app_key(
    *, tenant: Tenant, app_key_id: UUID, actor: Actor, overlap: timedelta
) -> tuple[AppKey, str]:
    """Replace an app key with a new one that has the same name and rights.

    Args:
        tenant: The workspace.
        app_key_id: The key to replace.
        actor: Who rotates the key.
        overlap: How long the old key keeps working, 0 to 7 days.

    Returns:
        The new row and the new key's text.

    Raises:
        NotFound: If there is no such key.
        NotAllowed: If the actor may not change or could not have made this key.
        ServiceError: If the overlap is out of range.
        Conflict: If the key has expired.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise ServiceError(
            "invalid_value", _("The old key can stay valid for at most 7 days."), field="overlap"
        )
    old = _changeable_key(tenant, app_key_id, actor)
    if old.created_by_id is not None and old.created_by_id != actor.user_id:
        raise NotAllowed(
            "not_your_key",
            _(
                "This is another person's app key, and its text is shown to that person only. "
                "Revoke it, or ask its owner to rotate it."
            ),
        )
    now = timezone.now()
    if old.expires is not None and old.expires <= now:
        raise Conflict("expired_key", _("This app key has expired. Make a new one instead."))
    _check_covers(actor, old)
    is_itself = actor.app_key_id == old.pk
    new = AppKey(
        tenant=tenant,
        name=old.name,
        scopes=old.scopes,
        allowed_providers=old.allowed_providers,
        allowed_models=old.allowed_models,
        allowed_operations=old.allowed_operations,
        created_by_id=old.created_by_id,
        made_by_command=old.made_by_command,
        # Only who receives the new text counts: whoever made the old key doesn't know this one.
        made_by_key_id=old.made_by_key_id if is_itself else actor.app_key_id,
        expires=old.expires,
    )
    _phase_out(old, now, overlap)
    text = _insert_with_new_key(new)
    AppKey.objects.filter(tenant=tenant, made_by_key=old).update(made_by_key=new)
    Invitation.objects.filter(tenant=tenant, made_by_key=old).update(made_by_key=new)
    hours = overlap.total_seconds() / 3600
    _record(new, tenant, actor, "app_key.rotated", replaces=old.prefix, overlap_hours=hours)
    return new, text


def _insert_with_new_key(row: AppKey) -> str:
    """Generate the row's key, sign and save the row and return the key. Raises KeysNotReady."""
    text = new_key()
    secret = keys.current_digest_key()
    row.prefix, row.digest = text[:PREFIX_LENGTH], app_key_digest(text, secret)
    sign(row, secret)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        # The name was taken at the same moment.
        raise _name_taken() from None
    return text


def _name_taken() -> Conflict:
    return Conflict(
        "name_taken",
        _("There is already an app key with this name. Choose another or revoke the old key."),
        field="name",
    )


def _phase_out(old: AppKey, now: datetime, overlap: timedelta) -> None:
    """Expire or revoke the old key and rename it, so that the new key can take its name."""
    old.name = f"{old.name[:60]} ({old.prefix})"
    if overlap:
        old.expires = min(old.expires or now + overlap, now + overlap)
        sign(old, keys.current_digest_key())
    else:
        old.revoked, old.proof = now, NO_PROOF
    old.save(update_fields=["name", "expires", "revoked", "proof"])


def _check_expires(expires: datetime | None) -> None:
    if expires is not None and expires <= timezone.now():
        raise ServiceError(
            "expires_in_past", _("This day is in the past. Choose a later one."), field="expires"
        )


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 80 or not name.isprintable():
        raise ServiceError(
            "bad_name", _("Enter a name of 1 to 80 printable characters."), field="name"
        )
    return name


def _checked_scopes(scopes: Iterable[Scope | str]) -> frozenset[Scope]:
    try:
        checked = frozenset(Scope(scope) for scope in scopes)
    except ValueError:
        raise ServiceError(
            "bad_scope", _("Unknown scope. The scopes are use, read and manage."), field="scopes"
        ) from None
    if not checked:
        raise ServiceError("no_scope", _("Choose at least one use for the key."), field="scopes")
    return checked


def _checked_list(entries: Iterable[str], field: str) -> list[str]:
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


def _acts_for_command(actor: Actor) -> bool:
    """Return whether the actor is a command or an app key made by a command."""
    return actor == COMMAND or (actor.principal is not None and actor.principal.role is None)


def _check_rights(
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


def _expiry_of(actor: Actor) -> datetime | None:
    return actor.principal.expires if actor.principal is not None else None


def _check_limits(actor: Actor, row: AppKey) -> None:
    """Check that an app key passes its limits and its expiry on to the keys that it makes."""
    maker = actor.principal
    if maker is None or maker.kind != "app_key":
        return
    pairs = (
        (maker.allowed_providers, row.allowed_providers),
        (maker.allowed_models, row.allowed_models),
        (maker.allowed_operations, row.allowed_operations),
    )
    if any(own and not (new and own >= set(new)) for own, new in pairs):
        raise NotAllowed("limits_too_wide", WIDER_THAN_MAKER, field="allowed_models")
    if maker.expires is not None and (row.expires is None or row.expires > maker.expires):
        raise NotAllowed(
            "limits_too_wide",
            _("An app key can't be valid for longer than the key that makes it."),
            field="expires",
        )


def _check_covers(actor: Actor, row: AppKey) -> None:
    """Check that an acting app key could have made this key, as rotation hands out a new one."""
    if actor.principal is not None:
        if not {Scope(scope) for scope in row.scopes} <= (actor.principal.scopes or frozenset()):
            raise NotAllowed("scope_too_wide", WIDER_THAN_MAKER)
        _check_limits(actor, row)


def _may_manage_all(actor: Actor) -> bool:
    if actor.principal is not None:
        return actor.principal.can(Action.MANAGE_APP_KEYS)
    return actor.role is not None and Action.MANAGE_APP_KEYS in actions_of(actor.role)


def _changeable_key(tenant: Tenant, app_key_id: UUID, actor: Actor) -> AppKey:
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


def _record(row: AppKey, tenant: Tenant, actor: Actor, action: str, **details: object) -> None:
    record(
        tenant=tenant,
        actor=actor,
        action=action,
        object_type="app_key",
        object_id=row.pk,
        object_label=row.name,
        details={"prefix": row.prefix, **details},
    )
