"""Create, change, rotate and revoke app keys. A key's text is shown once and never stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.db.violations import is_duplicate
from core.errors import Conflict, NotAllowed, ServiceError
from tenants.audit.trail import Actor, record
from tenants.auth.key_format import PREFIX_LENGTH, new_key
from tenants.auth.permissions import Scope
from tenants.crypto import keys
from tenants.crypto.digest_key import NO_PROOF, app_key_digest, sign
from tenants.limits.rates import checked_rates
from tenants.models import AppKey, Invitation, Tenant, User
from tenants.services.app_key_checks import (
    LIMITS,
    acts_for_command,
    changeable_key,
    check_covers,
    check_expires,
    check_limits,
    check_made_with,
    check_may_raise,
    check_not_expired,
    check_rights,
    checked_list,
    checked_name,
    checked_scopes,
)

LONGEST_OVERLAP: Final = timedelta(days=7)
CHANGEABLE: Final = ("name", *LIMITS, "expires", "rates")


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
    rates: Mapping[str, Any] | None = None,
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
        rates: By the names in tenants.limits.rates; for an app key that makes one, its own by
            default.
        user: The person whose rights limit the key; by default the actor.

    Returns:
        The row and the key's text, which cannot be read again.

    Raises:
        ServiceError: If a value is invalid.
        NotAllowed: If the key would have more rights than its owner or the actor.
        Conflict: If the name is taken.
    """
    name, scopes = checked_name(name), checked_scopes(scopes)
    creator_id = user.pk if user is not None else actor.user_id
    by_command = creator_id is None and acts_for_command(actor)
    row = AppKey(
        tenant=tenant,
        name=name,
        scopes=sorted(scopes),
        allowed_providers=checked_list(allowed_providers, "allowed_providers"),
        allowed_models=checked_list(allowed_models, "allowed_models"),
        allowed_operations=checked_list(allowed_operations, "allowed_operations"),
        created_by_id=creator_id,
        made_by_command=by_command,
        made_by_key_id=actor.app_key_id,
        expires=expires or _expiry_of(actor),
        rates=checked_rates(rates or {}) or _rates_of(actor),
    )
    check_expires(expires)
    check_rights(tenant, actor, creator_id, by_command, scopes)
    check_covers(actor, row)
    if AppKey.objects.filter(tenant=tenant, name=name, revoked=None).exists():
        raise _name_taken()
    text = _insert_with_new_key(row)
    _record(row, tenant, actor, "app_key.created", scopes=row.scopes)
    return row, text


@transaction.atomic
def change_app_key(
    *, tenant: Tenant, app_key_id: UUID, actor: Actor, values: Mapping[str, Any]
) -> AppKey:
    """Change an app key's name, limits or expiry with effect from the next request.

    Its scopes stay: an application that needs others gets another key.

    Args:
        tenant: The workspace.
        app_key_id: The key to change.
        actor: Who changes the key.
        values: The fields to change, as in `create_app_key`: `name`, `allowed_providers`,
            `allowed_models`, `allowed_operations`, `expires` (None means never), `rates`.

    Raises:
        ServiceError: If a value is invalid.
        NotFound: If there is no such key.
        NotAllowed: If the actor may not change it, or the key could then do more than the actor
            or the key that made it, or less than a key made with it.
        Conflict: If the name is taken or the key has expired.
    """
    row = changeable_key(tenant, app_key_id, actor)
    check_not_expired(row)
    rates = row.rates
    before = {field: getattr(row, field) for field in CHANGEABLE}
    _apply(row, values)
    changed = [field for field in CHANGEABLE if getattr(row, field) != before[field]]
    if not changed:
        return row
    _check_change(row, actor, changed)
    check_may_raise(actor, rates, row.rates)
    sign(row, keys.current_digest_key())
    _save_named(row, update_fields=[*changed, "proof"])
    _record(
        row,
        tenant,
        actor,
        "app_key.changed",
        before=before["name"] if "name" in changed else "",
        **{field: _told(getattr(row, field)) for field in changed if field != "name"},
    )
    return row


def _apply(row: AppKey, values: Mapping[str, Any]) -> None:
    if "name" in values:
        row.name = checked_name(values["name"])
    for field in LIMITS:
        if field in values:
            setattr(row, field, checked_list(values[field], field))
    if "expires" in values and values["expires"] != row.expires:
        check_expires(values["expires"])
        row.expires = values["expires"]
    if "rates" in values:
        row.rates = checked_rates(values["rates"] or {})


def _check_change(row: AppKey, actor: Actor, changed: Sequence[str]) -> None:
    check_covers(actor, row)
    if row.made_by_key is not None and row.made_by_key.revoked is None:
        check_limits(row.made_by_key, row)
    check_made_with(row)
    others = AppKey.objects.filter(tenant=row.tenant_id, name=row.name, revoked=None)
    if "name" in changed and others.exclude(pk=row.pk).exists():
        raise _name_taken()


def _told(value: Any) -> Any:
    """Return a new value as the audit log shows it."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    return value or ("all" if value == [] else "none")


@transaction.atomic
def revoke_app_key(*, tenant: Tenant, app_key_id: UUID, actor: Actor) -> AppKey:
    """Revoke an app key, and what it made, with effect from the next request.

    Raises:
        NotFound: If there is no such key.
        NotAllowed: If the actor may not change it.
    """
    row = changeable_key(tenant, app_key_id, actor)
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
    old = changeable_key(tenant, app_key_id, actor)
    if old.created_by_id is not None and old.created_by_id != actor.user_id:
        raise NotAllowed(
            "not_your_key",
            _(
                "This is another person's app key, and its text is shown to that person only. "
                "Revoke it, or ask its owner to rotate it."
            ),
        )
    check_not_expired(old)
    now = timezone.now()
    check_covers(actor, old)
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
        rates=old.rates,
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
    _save_named(row, force_insert=True)
    return text


def _save_named(row: AppKey, **how: Any) -> None:
    """Save a row. Raises Conflict if its name was taken at the same moment."""
    try:
        with transaction.atomic():
            row.save(**how)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise _name_taken() from None


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


def _rates_of(actor: Actor) -> dict[str, Any] | None:
    if actor.app_key_id is None:
        return None
    return AppKey.objects.filter(pk=actor.app_key_id).values_list("rates", flat=True).first()


def _expiry_of(actor: Actor) -> datetime | None:
    return actor.principal.expires if actor.principal is not None else None


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
