"""Everything that changes a tenant's credentials. What calls need and tell is in access.py and health.py, named here as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from providers import checking, fields, registry
from providers.access import (
    ENVELOPE,
    MODEL_ENVELOPE,
    effective_base_url,
    mask_of,
    open_access,
    open_credential,
    seal_values,
    secret_texts,
)
from providers.checking import CheckFailed, CredentialRefused, Probe
from providers.errors import Failure, ProviderError
from providers.failures.detail import FailureDetail
from providers.fields import BASE_URL, Values
from providers.health import NO_FAILURE, note_failure, note_success, rest_until, set_state
from providers.messages import Sent
from providers.models import CredentialState, ProviderChoice, ProviderCredential
from providers.signals import credential_saved
from providers.spec import Access, Field, Provider
from tenants.audit import Actor, record
from tenants.errors import Conflict, NotFound, ServiceError
from tenants.keys import CredentialUnreadable
from tenants.models import Tenant
from tenants.versions import bump_version

__all__ = [
    "ENVELOPE",
    "MODEL_ENVELOPE",
    "CredentialDraft",
    "CredentialRefused",
    "CredentialUnreadable",
    "Sent",
    "activate_credential",
    "add_credential",
    "check_access",
    "check_credential",
    "check_draft",
    "deactivate_credential",
    "delete_credential",
    "draft_credential",
    "effective_base_url",
    "mask_of",
    "move_standby",
    "note_failure",
    "note_success",
    "open_access",
    "order_credentials",
    "rename_credential",
    "replace_credential",
    "seal_values",
    "secret_texts",
    "set_source_order",
    "store_draft",
    "store_unchecked",
]

# ------------------------------------------------------------------------------------------------ add, replace, rename


def add_credential(
    *,
    tenant: Tenant,
    actor: Actor,
    provider: str,
    name: str,
    values: Mapping[str, Any],
    base_url: str = "",
    check: bool = True,
) -> ProviderCredential:
    """Check a set of keys at the provider and store it sealed; a tenant's first one becomes the active one.

    An account without money is stored, with that state. Raises CredentialRefused where the check failed, ServiceError for
    values that cannot be right, Conflict for a name that is taken; nothing is stored then.
    check=False is refused but for providers that allow it (self-hosted servers that are down).
    """
    draft = draft_credential(tenant=tenant, provider=provider, name=name, values=values, base_url=base_url, check=check)
    if check:
        check_draft(draft)
    return store_draft(draft, actor=actor)


@dataclass(frozen=True, slots=True)
class CredentialDraft:
    """A set of keys that is not stored. row: as it is to be written, sealed, so that what belongs to it can be tried with it."""

    provider: Provider
    row: ProviderCredential
    values: Values = field(repr=False)


def draft_credential(
    *, tenant: Tenant, provider: str, name: str, values: Mapping[str, Any], base_url: str = "", check: bool = True
) -> CredentialDraft:
    """What `add_credential` would store, with values that can be right; nobody was asked yet. Raises as it does."""
    declared = _offered(provider)
    if not check and not declared.allow_unchecked:
        raise ServiceError(
            "check_required", _("%(provider)s credentials are checked before they are saved.") % {"provider": declared.label}
        )
    name = _free_name(tenant, provider, name)
    cleaned, url = _cleaned(declared, values, base_url)
    return _draft(tenant, declared, name, cleaned, url)


def check_draft(draft: CredentialDraft) -> None:
    """Ask the provider, and note its answer in the draft. Raises CredentialRefused."""
    row = draft.row
    state, error = _checked(draft.provider, _access(draft.provider, draft.values, row.base_url), f"{row.tenant_id}:new")
    row.state, row.state_detail = state, FailureDetail.of(error).stored() if error else {}
    row.checked = None if state == CredentialState.UNCHECKED else timezone.now()


def store_draft(draft: CredentialDraft, *, actor: Actor) -> ProviderCredential:
    """Write it; a tenant's first one becomes the active one. Raises Conflict for a name that was taken meanwhile."""
    row = draft.row
    row.created_by_id, row.state_since = actor.user_id, timezone.now()
    row.sealed = _seal(row, draft.values)  # again: the keys may have been rotated while the provider was asked
    try:
        with transaction.atomic():
            bump_version(row.tenant_id)  # locks the tenant's row: of two first credentials one becomes active
            others = _rows(row.tenant_id).filter(provider=row.provider)
            last = others.aggregate(last=Max("position"))["last"]
            row.is_active = last is None
            row.position = 0 if last is None else last + 1
            row.save(force_insert=True)
            _audit(row.tenant, actor, "credential.added", row, {"state": str(row.state), "base_url": row.base_url})
            _announce(row, actor)
    except IntegrityError:
        raise _name_taken(row.name) from None
    return row


def store_unchecked(
    *, tenant: Tenant, actor: Actor, provider: str, name: str, values: Mapping[str, Any], base_url: str = ""
) -> ProviderCredential:
    """Store a credential that nobody asked the provider about: for demo data and tests, never for a surface."""
    declared = registry.get(provider)
    cleaned, url = _cleaned(declared, values, base_url)
    return store_draft(_draft(tenant, declared, _free_name(tenant, provider, name), cleaned, url), actor=actor)


def replace_credential(
    *,
    tenant: Tenant,
    actor: Actor,
    credential: ProviderCredential,
    values: Mapping[str, Any],
    base_url: str | None = None,
    name: str | None = None,
    check: bool = True,
    still_wanted: Callable[[], None] = lambda: None,
) -> ProviderCredential:
    """Replace keys, other fields or the base URL of a credential, and its name with them, after a check of the whole.

    A secret that is left out or empty keeps its value, unless the base URL changes: a stored key is never sent to a new
    address, it must be typed again. base_url None keeps the address, name None the name. still_wanted: called between the check
    and the writing; raises where nobody waits any more. Raises as add_credential does, and CredentialUnreadable where a kept value
    cannot be opened; nothing is changed then.
    """
    declared = _offered(credential.provider)
    if not check and not declared.allow_unchecked:
        raise ServiceError(
            "check_required", _("%(provider)s credentials are checked before they are saved.") % {"provider": declared.label}
        )
    renamed = name is not None and name != credential.name
    if renamed:
        _free_name(tenant, credential.provider, name, but=credential)
    typed, typed_url = _split_base_url(declared, values, base_url)
    stored = tuple(field.name for field in declared.credential_fields if field.secret) if credential.sealed else ()
    cleaned = fields.clean(_typed_fields(declared), typed, kept=stored)
    # A field that is not mentioned stays; one that is sent empty is cleared.
    public = {name: value for name, value in credential.values.items() if name not in typed} | cleaned.public
    if typed_url is None:
        typed_url = fields.typed_base_url(declared, credential.values, credential.base_url)
    url = fields.address(declared, public, typed_url)
    if url != credential.base_url:
        _require_typed_again(declared, stored, typed)
    secret = dict(cleaned.secret)
    if url == credential.base_url and any(name not in secret for name in stored):
        secret = open_credential(credential, "check") | secret
    whole = Values(public, secret)
    fields.require_complete(declared, whole)
    state, error = CredentialState.UNCHECKED, None
    if check:
        state, error = _checked(declared, _access(declared, whole, url), str(credential.pk))
    still_wanted()
    with transaction.atomic():
        row = _restore(tenant, actor, declared, credential, whole, url, state, error)
        if renamed:
            rename_credential(tenant=tenant, actor=actor, credential=row, name=name or "")
    return row


def rename_credential(*, tenant: Tenant, actor: Actor, credential: ProviderCredential, name: str) -> ProviderCredential:
    """Give a credential another name. Raises Conflict for one that is taken."""
    name = _free_name(tenant, credential.provider, name, but=credential)
    before = credential.name
    with transaction.atomic():
        bump_version(tenant.pk)
        credential.name = name
        try:
            with transaction.atomic():
                credential.save(update_fields=["name"])
        except IntegrityError:
            raise _name_taken(name) from None
        _audit(tenant, actor, "credential.renamed", credential, {"from": before})
    return credential


# ------------------------------------------------------------------------------------------------ check


def check_access(*, provider: Provider, access: Access, pool_key: str, model: Probe | None = None, storing: bool = True) -> None:
    """Ask the provider whether an account works, or with `model` whether that model does: the same code as a call.

    pool_key: keeps connections of different tenants and credentials apart. storing: whether something was to be saved after it,
    so that a refusal says it was not. Raises CredentialRefused; its hint says that a key looks wrong, whatever else went wrong.
    A key that is surely another vendor's is not sent to this one, unless to an address that was typed: a relay may want it.
    """
    foreign = fields.foreign_key(provider, access.values, registry.all_providers())
    if foreign and checking.is_own_address(access):
        unsent = _("%(hint)s It was not sent to %(provider)s.") % {"hint": foreign, "provider": provider.label}
        raise CredentialRefused(provider, ProviderError(Failure.BAD_REQUEST, unsent, sent=False), None, storing=storing)
    hint = fields.shape_hint(provider, access.values, registry.all_providers())
    try:
        checking.check(provider, access, pool_key, model)
    except CheckFailed as failed:
        about = {"keyless": checking.is_keyless(provider, access), "own_address": checking.is_own_address(access)}
        raise CredentialRefused(provider, failed.error, failed.sent, hint, storing=storing, **about) from None


def check_credential(*, tenant: Tenant, actor: Actor, credential: ProviderCredential) -> ProviderCredential:
    """Ask the provider again and store what it said as the credential's state; failing is an answer, not an error."""
    declared = _known(credential.provider)
    state, failure = CredentialState.CONNECTED, NO_FAILURE
    try:
        access = open_access(credential=credential, purpose="check")
        checking.check(declared, access, str(credential.pk))
    except CredentialUnreadable:
        state = CredentialState.UNREADABLE
    except CheckFailed as failed:
        state = checking.STATE_OF.get(failed.error.failure, CredentialState(credential.state))
        failure = FailureDetail.of(failed.error)
    with transaction.atomic():
        bump_version(tenant.pk)
        set_state(credential, state, failure, rest_until(state, None))
        _rows(tenant.pk).filter(pk=credential.pk).update(checked=timezone.now())
        _audit(tenant, actor, "credential.checked", credential, {"state": str(state)})
    credential.refresh_from_db()
    return credential


# ------------------------------------------------------------------------------------------------ order, delete


def activate_credential(*, tenant: Tenant, actor: Actor, credential: ProviderCredential) -> ProviderCredential:
    """Make this the provider's active credential; the one that was active stands by first."""
    with transaction.atomic():
        bump_version(tenant.pk)
        order = [row.pk for row in _rows(tenant.pk).filter(provider=credential.provider).defer("sealed")]
        if credential.pk not in order:
            raise _gone()
        _arrange(tenant.pk, [credential.pk, *(pk for pk in order if pk != credential.pk)], active=credential.pk)
        _audit(tenant, actor, "credential.activated", credential)
        _announce(credential, actor)
    credential.refresh_from_db()
    return credential


def deactivate_credential(*, tenant: Tenant, actor: Actor, credential: ProviderCredential) -> ProviderCredential:
    """Let a standby credential take over, and this one stand by last; the only one cannot be deactivated."""
    with transaction.atomic():
        bump_version(tenant.pk)
        others = [row.pk for row in _rows(tenant.pk).filter(provider=credential.provider).defer("sealed") if row.pk != credential.pk]
        if not others:
            raise Conflict("only_credential", _("This is the only credential of its provider. Delete it, or add another one first."))
        _arrange(tenant.pk, [*others, credential.pk], active=others[0])
        _audit(tenant, actor, "credential.deactivated", credential)
    credential.refresh_from_db()
    return credential


def order_credentials(*, tenant: Tenant, actor: Actor, provider: str, ids: Sequence[UUID]) -> None:
    """Set the order in which a provider's credentials are tried: the first is the active one. All must be named once."""
    with transaction.atomic():
        bump_version(tenant.pk)
        rows = {row.pk: row for row in _rows(tenant.pk).filter(provider=provider).defer("sealed")}
        if len(ids) != len(rows) or set(ids) != set(rows) or not ids:
            raise ServiceError("invalid_order", _("Name every credential of the provider exactly once."), field="order")
        _arrange(tenant.pk, ids, active=ids[0])
        _audit(tenant, actor, "credential.ordered", rows[ids[0]])


def move_standby(*, tenant: Tenant, actor: Actor, credential: ProviderCredential, up: bool) -> None:
    """Try a standby credential one place earlier or later; at either end, and for the active one, nothing changes."""
    with transaction.atomic():
        bump_version(tenant.pk)
        rows = list(_rows(tenant.pk).filter(provider=credential.provider).defer("sealed"))
        order = [row.pk for row in rows]
        if credential.pk not in order:
            raise _gone()
        first = 1 if rows[0].is_active else 0
        here = order.index(credential.pk)
        there = here - 1 if up else here + 1
        if here < first or not first <= there < len(order):
            return
        order[here], order[there] = order[there], order[here]
        _arrange(tenant.pk, order, active=rows[0].pk)
        _audit(tenant, actor, "credential.ordered", credential)


def delete_credential(
    *, tenant: Tenant, actor: Actor, credential: ProviderCredential, successor: ProviderCredential | None = None
) -> ProviderCredential | None:
    """Delete a credential, readable or not. Returns the standby one that took over, or None.

    successor: which one takes over where the active one goes; the first that stands by without it.
    `queries.consequences` says beforehand what stops.
    """
    pk = credential.pk
    with transaction.atomic():
        bump_version(tenant.pk)
        _audit(tenant, actor, "credential.deleted", credential)
        if not credential.delete()[0]:
            raise _gone()
        rest = list(_rows(tenant.pk).filter(provider=credential.provider).defer("sealed"))
        if successor is not None and credential.is_active:
            rest.sort(key=lambda row: row.pk != successor.pk)
        if rest and not any(row.is_active for row in rest):
            _arrange(tenant.pk, [row.pk for row in rest], active=rest[0].pk)
            rest[0].is_active = True
            _announce(rest[0], actor)
    credential.pk = pk
    return rest[0] if rest else None


def set_source_order(*, tenant: Tenant, actor: Actor, provider: str, trial_first: bool) -> None:
    """Choose whether the trial or the own credential serves calls first where both exist."""
    _known(provider)
    with transaction.atomic():
        bump_version(tenant.pk)
        ProviderChoice.objects.update_or_create(tenant=tenant, provider=provider, defaults={"trial_first": trial_first})
        record(
            tenant=tenant,
            actor=actor,
            action="provider.source_order_changed",
            object_type="provider",
            object_id=provider,
            object_label=provider,
            details={"trial_first": trial_first},
        )


# ------------------------------------------------------------------------------------------------ helpers


def _offered(slug: str) -> Provider:
    for provider in registry.offered():
        if provider.slug == slug:
            return provider
    raise NotFound("unknown_provider", _("There is no provider “%(slug)s” here.") % {"slug": slug[:60]})


def _known(slug: str) -> Provider:
    try:
        return registry.get(slug)
    except registry.UnknownProvider:
        raise NotFound("unknown_provider", _("There is no provider “%(slug)s” here.") % {"slug": slug[:60]}) from None


def _rows(tenant_id: UUID) -> QuerySet[ProviderCredential]:
    rows: QuerySet[ProviderCredential] = ProviderCredential.objects.filter(tenant_id=tenant_id)
    return rows


def _name_taken(name: str) -> Conflict:
    text = _("A credential named “%(name)s” is there already. Choose another name.") % {"name": name}
    return Conflict("name_taken", text, field="name")


def _gone() -> NotFound:
    return NotFound("no_such_credential", _("There is no such credential in this workspace."))


def _free_name(tenant: Tenant, provider: str, name: Any, but: ProviderCredential | None = None) -> str:
    text = name.strip() if isinstance(name, str) else ""
    if not text or len(text) > 80 or not text.isprintable():
        raise ServiceError("invalid_value", _("Give the credential a name of at most 80 characters."), field="name")
    taken = _rows(tenant.pk).filter(provider=provider, name=text)
    if but is not None:
        taken = taken.exclude(pk=but.pk)
    if taken.exists():
        raise _name_taken(text)
    return text


def _split_base_url(provider: Provider, values: Mapping[str, Any], base_url: str | None) -> tuple[dict[str, Any], str | None]:
    """The base URL may come as an argument or among the values, as forms and API clients send it; a pasted one may tell more."""
    typed = dict(values)
    among = typed.pop(BASE_URL, None)
    url = base_url if base_url or among is None else among
    if url is not None and not isinstance(url, str):
        raise ServiceError("invalid_value", _("The base URL must be text."), field=BASE_URL)
    if url and provider.read_base_url is not None:
        url, told = provider.read_base_url(url.strip())
        typed |= {name: value for name, value in told.items() if not typed.get(name)}
    return typed, url


def _typed_fields(provider: Provider) -> tuple[Field, ...]:
    return tuple(field for field in provider.credential_fields if field.name != BASE_URL)


def _cleaned(provider: Provider, values: Mapping[str, Any], base_url: str) -> tuple[Values, str]:
    typed, url = _split_base_url(provider, values, base_url)
    cleaned = fields.clean(_typed_fields(provider), typed)
    fields.require_complete(provider, cleaned)
    return cleaned, fields.address(provider, cleaned.public, url or "")


def _access(provider: Provider, values: Values, base_url: str) -> Access:
    return Access(values=values.public | values.secret, base_url=base_url)


def _checked(provider: Provider, access: Access, pool_key: str) -> tuple[CredentialState, ProviderError | None]:
    """The state to store a credential with. Raises CredentialRefused where it is not to be stored."""
    if provider.check is None:
        return CredentialState.UNCHECKED, None
    try:
        check_access(provider=provider, access=access, pool_key=pool_key)
    except CredentialRefused as refused:
        if refused.error.failure is Failure.NO_FUNDS:
            return CredentialState.NO_FUNDS, refused.error
        raise
    return CredentialState.CONNECTED, None


def _require_typed_again(provider: Provider, stored: Sequence[str], typed: Mapping[str, Any]) -> None:
    missing = [name for name in stored if not str(typed.get(name) or "").strip()]
    required = {field.name for field in provider.credential_fields if field.required}
    if missing and (required & set(missing) or len(missing) == len(stored)):
        message = _("Enter the key again: a stored key is never sent to a new address.")
        raise ServiceError("key_required", message, field=missing[0])


def _draft(tenant: Tenant, provider: Provider, name: str, values: Values, base_url: str) -> CredentialDraft:
    row = ProviderCredential(
        tenant=tenant,
        provider=provider.slug,
        name=name,
        base_url=base_url,
        values=values.public,
        mask=mask_of(provider.credential_fields, values.secret),
        state=CredentialState.UNCHECKED,
        state_since=timezone.now(),
    )
    row.sealed = _seal(row, values)
    return CredentialDraft(provider, row, values)


def _seal(row: ProviderCredential, values: Values) -> str:
    return seal_values(
        tenant_id=row.tenant_id,
        provider=row.provider,
        base_url=row.base_url,
        name=ENVELOPE,
        row_id=row.pk,
        version=row.version,
        secret=values.secret,
    )


def _restore(
    tenant: Tenant,
    actor: Actor,
    provider: Provider,
    row: ProviderCredential,
    values: Values,
    base_url: str,
    state: CredentialState,
    error: ProviderError | None,
) -> ProviderCredential:
    """Write new values over a row that is still the one that was read."""
    now, version = timezone.now(), row.version + 1
    sealed = seal_values(
        tenant_id=tenant.pk, provider=provider.slug, base_url=base_url, name=ENVELOPE, row_id=row.pk, version=version, secret=values.secret
    )
    with transaction.atomic():
        bump_version(tenant.pk)
        changed = (
            _rows(tenant.pk)
            .filter(pk=row.pk, version=row.version, sealed=row.sealed)
            .update(
                base_url=base_url,
                values=values.public,
                sealed=sealed,
                version=version,
                mask=mask_of(provider.credential_fields, values.secret),
                state=state,
                state_since=now,
                state_detail=FailureDetail.of(error).stored() if error else {},
                resting_until=None,
                checked=None if state == CredentialState.UNCHECKED else now,
            )
        )
        if not changed:
            raise Conflict("changed_meanwhile", _("This credential was changed by someone else meanwhile. Reload the page and try again."))
        _audit(tenant, actor, "credential.replaced", row, {"state": str(state), "base_url": base_url})
        row.refresh_from_db()
        _announce(row, actor)
    return row


def _arrange(tenant_id: UUID, order: Sequence[Any], *, active: Any) -> None:
    rows = _rows(tenant_id)
    rows.filter(pk__in=order, is_active=True).exclude(pk=active).update(is_active=False)
    for position, pk in enumerate(order):
        rows.filter(pk=pk).update(position=position, is_active=pk == active)


def _audit(tenant: Tenant, actor: Actor, action: str, row: ProviderCredential, details: Mapping[str, Any] | None = None) -> None:
    record(
        tenant=tenant,
        actor=actor,
        action=action,
        object_type="credential",
        object_id=row.pk,
        object_label=f"{row.provider}: {row.name}",
        details={"provider": row.provider} | dict(details or {}),
    )


def _announce(row: ProviderCredential, actor: Actor) -> None:
    if row.is_active:
        transaction.on_commit(lambda: credential_saved.send(sender=ProviderCredential, credential=row, actor=actor), robust=True)
