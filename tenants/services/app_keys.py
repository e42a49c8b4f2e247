"""App keys: made and shown once, rotated with an overlap, revoked at once. Part of
tenants.services.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.errors import Conflict, NotAllowed, NotFound, ServiceError
from tenants.audit.trail import COMMAND, Actor, record
from tenants.auth.key_format import PREFIX_LENGTH, digest, new_key
from tenants.auth.permissions import Action, Role, Scope, actions_of, scopes_of
from tenants.models import AppKey, Membership, Tenant, User

LONGEST_OVERLAP: Final = timedelta(days=7)
LIST_LIMIT: Final = 200  # entries of allowed_providers and allowed_models


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
    """(row, the key's text, which is shown now and never again).

    `user` is the person whose rights bound the key; without it, the actor. Empty lists of
    providers, models or endpoints ("chat.completions", "embeddings", ...) mean all. Raises
    ServiceError (name, scopes, expires), NotAllowed (wider than the creator's rights), Conflict
    (name taken).
    """
    name, wanted = _checked_name(name), _checked_scopes(scopes)
    providers, models = (
        _checked_list(allowed_providers, "allowed_providers"),
        _checked_list(allowed_models, "allowed_models"),
    )
    operations = _checked_list(allowed_operations, "allowed_operations")
    if expires is not None and expires <= timezone.now():
        raise ServiceError(
            "expires_in_past",
            _("The key would have expired already. Choose a later day."),
            field="expires",
        )
    creator_id = user.pk if user is not None else actor.user_id
    by_command = creator_id is None and _is_free_of_people(actor)
    _check_rights(tenant, actor, creator_id, by_command, wanted)
    _check_not_wider(actor, providers, models, operations)
    if AppKey.objects.filter(tenant=tenant, name=name, revoked=None).exists():
        raise _name_taken()
    text = new_key()
    row = AppKey(
        tenant=tenant,
        name=name,
        prefix=text[:PREFIX_LENGTH],
        digest=digest(text),
        scopes=sorted(wanted),
        allowed_providers=providers,
        allowed_models=models,
        allowed_operations=operations,
        created_by_id=creator_id,
        made_by_command=by_command,
        expires=expires,
    )
    _insert(row)
    _record(row, tenant, actor, "app_key.created", scopes=row.scopes)
    return row, text


@transaction.atomic
def revoke_app_key(*, tenant: Tenant, app_key_id: UUID, actor: Actor) -> AppKey:
    """The key does nothing from the next request on. Raises NotFound, NotAllowed."""
    row = _own_or_any(tenant, app_key_id, actor)
    row.revoked = timezone.now()
    row.save(update_fields=["revoked"])
    _record(row, tenant, actor, "app_key.revoked")
    return row


@transaction.atomic
def revoke_app_key_as_operator(*, app_key: AppKey, actor: Actor) -> None:
    """The operators' own way: they are no members, so no role allows or forbids it. Reached from
    their site only.
    """
    app_key.revoked = timezone.now()
    app_key.save(update_fields=["revoked"])
    _record(app_key, app_key.tenant, actor, "app_key.revoked")


@transaction.atomic
def rotate_app_key(
    *, tenant: Tenant, app_key_id: UUID, actor: Actor, overlap: timedelta
) -> tuple[AppKey, str]:
    """(new row, its text). The new key takes name and rights over; the old one works for `overlap`
    longer (0 to 7 days).

    Raises NotFound, NotAllowed, ServiceError (overlap).
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise ServiceError(
            "invalid_value", _("The old key can stay valid for at most 7 days."), field="overlap"
        )
    old = _own_or_any(tenant, app_key_id, actor)
    now = timezone.now()
    if old.expires is not None and old.expires <= now:
        raise Conflict("expired_key", _("This app key has expired. Make a new one instead."))
    _check_covers(actor, old)
    text = new_key()
    new = AppKey(
        tenant=tenant,
        name=old.name,
        prefix=text[:PREFIX_LENGTH],
        digest=digest(text),
        scopes=old.scopes,
        allowed_providers=old.allowed_providers,
        allowed_models=old.allowed_models,
        allowed_operations=old.allowed_operations,
        created_by_id=old.created_by_id,
        made_by_command=old.made_by_command,
        expires=old.expires,
    )
    _phase_out(old, now, overlap)
    _insert(new)
    _record(
        new,
        tenant,
        actor,
        "app_key.rotated",
        replaces=old.prefix,
        overlap_hours=overlap.total_seconds() / 3600,
    )
    return new, text


def _insert(row: AppKey) -> None:
    """Raises Conflict where somebody else took the name at the same moment."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise _name_taken() from None


def _name_taken() -> Conflict:
    return Conflict(
        "name_taken",
        _("There is an app key with this name. Choose another name or revoke the old key."),
        field="name",
    )


def _phase_out(old: AppKey, now: datetime, overlap: timedelta) -> None:
    """The name passes to the new key; the old one keeps a name that tells the two apart."""
    old.name = f"{old.name[:60]} ({old.prefix})"
    if overlap:
        old.expires = min(old.expires or now + overlap, now + overlap)
    else:
        old.revoked = now
    old.save(update_fields=["name", "expires", "revoked"])


# -------------------------------------------------------------------------------------------- rules


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 80 or not name.isprintable():
        raise ServiceError("bad_name", _("A name has 1 to 80 printable characters."), field="name")
    return name


def _checked_scopes(scopes: Iterable[Scope | str]) -> frozenset[Scope]:
    try:
        wanted = frozenset(Scope(one) for one in scopes)
    except ValueError:
        raise ServiceError(
            "bad_scope", _("Scopes are: use, read, manage."), field="scopes"
        ) from None
    if not wanted:
        raise ServiceError(
            "no_scope", _("Choose at least one thing that the key may be used for."), field="scopes"
        )
    return wanted


def _checked_list(entries: Iterable[str], field: str) -> list[str]:
    unique = sorted(set(entries))
    if len(unique) > LIST_LIMIT or any(
        not one or len(one) > 241 or not one.isprintable() for one in unique
    ):
        raise ServiceError(
            "bad_list", _("At most 200 names of up to 241 printable characters."), field=field
        )
    return unique


def _is_free_of_people(actor: Actor) -> bool:
    """A command, or an app key that a command made."""
    return actor == COMMAND or (actor.principal is not None and actor.principal.role is None)


def _check_rights(
    tenant: Tenant, actor: Actor, creator_id: int | None, by_command: bool, wanted: frozenset[Scope]
) -> None:
    """The key is never wider than the rights of the person it is made for, nor than those of the
    acting key.
    """
    if not by_command:
        member = (
            Membership.objects.filter(tenant=tenant, user=creator_id, user__is_active=True).first()
            if creator_id
            else None
        )
        role = Role(member.role) if member else None
        if role is None or Action.MANAGE_OWN_APP_KEYS not in actions_of(role):
            raise NotAllowed(
                "scope_too_wide", _("Your role does not allow making app keys. Ask an admin.")
            )
        if not wanted <= scopes_of(role):
            raise NotAllowed(
                "scope_too_wide",
                _("An app key is never wider than its owner's own rights."),
                field="scopes",
            )
    if actor.user_id != creator_id and not _may_manage_all(actor):
        raise NotAllowed("not_your_key", _("Only admins make app keys for other people."))
    if actor.principal is not None and not wanted <= (actor.principal.scopes or frozenset()):
        raise NotAllowed(
            "scope_too_wide",
            _("An app key is never wider than the key that makes it."),
            field="scopes",
        )


def _check_not_wider(
    actor: Actor, providers: list[str], models: list[str], operations: list[str]
) -> None:
    """An acting key that is limited itself makes no key without these limits."""
    maker = actor.principal
    if maker is None or maker.kind != "app_key":
        return
    pairs = (
        (maker.allowed_providers, providers),
        (maker.allowed_models, models),
        (maker.allowed_operations, operations),
    )
    if any(own and not (asked and own >= set(asked)) for own, asked in pairs):
        raise NotAllowed(
            "limits_too_wide",
            _("An app key is never wider than the key that makes it."),
            field="allowed_models",
        )


def _check_covers(actor: Actor, row: AppKey) -> None:
    """Rotating hands out a working key: an acting key may do so only for what it could have made
    itself.
    """
    if actor.principal is not None:
        if not {Scope(one) for one in row.scopes} <= (actor.principal.scopes or frozenset()):
            raise NotAllowed(
                "scope_too_wide", _("An app key is never wider than the key that makes it.")
            )
        _check_not_wider(actor, row.allowed_providers, row.allowed_models, row.allowed_operations)


def _may_manage_all(actor: Actor) -> bool:
    if actor.principal is not None:
        return actor.principal.can(Action.MANAGE_APP_KEYS)
    return actor.role is not None and Action.MANAGE_APP_KEYS in actions_of(actor.role)


def _own_or_any(tenant: Tenant, app_key_id: UUID, actor: Actor) -> AppKey:
    row = (
        AppKey.objects.select_for_update()
        .filter(tenant=tenant, pk=app_key_id, revoked=None)
        .first()
    )
    if row is None:
        raise NotFound("no_such_app_key", _("There is no such app key."))
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
