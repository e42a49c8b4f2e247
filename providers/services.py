"""Everything that changes a tenant's credentials. Secrets are sealed here and opened in one place, `open_access`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from providers import checking, egress, fields, registry
from providers.checking import CheckFailed, CredentialRefused, Probe, Sent
from providers.errors import Failure, ProviderError
from providers.fields import BASE_URL, Values
from providers.models import CredentialState, ProviderChoice, ProviderCredential
from providers.signals import credential_saved
from providers.spec import Access, Field, Kind, Provider
from tenants import keys
from tenants.audit import Actor, record
from tenants.errors import Conflict, NotFound, ServiceError
from tenants.keys import CredentialUnreadable
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tenants.versions import bump_version

__all__ = [
    "CredentialRefused",
    "CredentialUnreadable",
    "Sent",
    "activate_credential",
    "add_credential",
    "check_access",
    "check_credential",
    "deactivate_credential",
    "delete_credential",
    "note_failure",
    "note_success",
    "open_access",
    "order_credentials",
    "rename_credential",
    "replace_credential",
    "set_source_order",
    "store_unchecked",
]

COOL_DOWN = timedelta(seconds=60)  # after a 429 that does not say how long
LONGEST_COOL_DOWN = timedelta(hours=1)
REST_AFTER_REFUSAL = timedelta(minutes=5)  # after a refused key or an empty account: no use in asking at every call
USED_INTERVAL = timedelta(minutes=1)  # last_used is written at most this often
MESSAGE_LENGTH = 400
ENVELOPE = "credential"  # names the row's one sealed value in its context
RESTING = frozenset({CredentialState.COOLING, CredentialState.REJECTED, CredentialState.NO_FUNDS})


class HostedModel(Protocol):
    """The row of one model that may bring its own address, fields and key (models_catalog.TenantModel)."""

    pk: Any
    tenant_id: UUID
    provider: str
    base_url: str
    values: Any
    sealed: str
    version: int


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
    declared = _offered(provider)
    if not check and not declared.allow_unchecked:
        raise ServiceError(
            "check_required", _("%(provider)s credentials are checked before they are saved.") % {"provider": declared.label}
        )
    name = _free_name(tenant, provider, name)
    cleaned, url = _cleaned(declared, values, base_url)
    state, error = CredentialState.UNCHECKED, None
    if check:
        state, error = _checked(declared, _access(declared, cleaned, url), f"{tenant.pk}:new")
    return _store(tenant, actor, declared, name, cleaned, url, state, error)


def store_unchecked(
    *, tenant: Tenant, actor: Actor, provider: str, name: str, values: Mapping[str, Any], base_url: str = ""
) -> ProviderCredential:
    """Store a credential that nobody asked the provider about: for demo data and tests, never for a surface."""
    declared = registry.get(provider)
    cleaned, url = _cleaned(declared, values, base_url)
    return _store(tenant, actor, declared, _free_name(tenant, provider, name), cleaned, url, CredentialState.UNCHECKED, None)


def replace_credential(
    *,
    tenant: Tenant,
    actor: Actor,
    credential: ProviderCredential,
    values: Mapping[str, Any],
    base_url: str | None = None,
    check: bool = True,
) -> ProviderCredential:
    """Replace keys, other fields or the base URL of a credential, after a check of the whole.

    A secret that is left out or empty keeps its value, unless the base URL changes: a stored key is never sent to a new
    address, it must be typed again. base_url None keeps the address. Raises as add_credential does, and CredentialUnreadable
    where a kept value cannot be opened; nothing is changed then.
    """
    declared = _offered(credential.provider)
    if not check and not declared.allow_unchecked:
        raise ServiceError(
            "check_required", _("%(provider)s credentials are checked before they are saved.") % {"provider": declared.label}
        )
    typed, typed_url = _split_base_url(values, base_url)
    url = credential.base_url if typed_url is None else fields.clean_base_url(declared, typed_url)
    stored = tuple(field.name for field in declared.credential_fields if field.secret) if credential.sealed else ()
    if url != credential.base_url:
        _require_typed_again(declared, stored, typed)
    cleaned = fields.clean(_typed_fields(declared), typed, kept=stored)
    # A field that is not mentioned stays; one that is sent empty is cleared.
    public = {name: value for name, value in credential.values.items() if name not in typed} | cleaned.public
    secret = dict(cleaned.secret)
    if url == credential.base_url and any(name not in secret for name in stored):
        secret = _opened(credential, "check") | secret
    whole = Values(public, secret)
    state, error = CredentialState.UNCHECKED, None
    if check:
        state, error = _checked(declared, _access(declared, whole, url), str(credential.pk))
    return _restore(tenant, actor, declared, credential, whole, url, state, error)


def rename_credential(*, tenant: Tenant, actor: Actor, credential: ProviderCredential, name: str) -> ProviderCredential:
    """Give a credential another name. Raises Conflict for one that is taken."""
    name = _free_name(tenant, credential.provider, name, but=credential)
    before = credential.name
    with transaction.atomic():
        bump_version(tenant.pk)
        credential.name = name
        credential.save(update_fields=["name"])
        _audit(tenant, actor, "credential.renamed", credential, {"from": before})
    return credential


# ------------------------------------------------------------------------------------------------ check


def check_access(*, provider: Provider, access: Access, pool_key: str, model: Probe | None = None) -> None:
    """Ask the provider whether an account works, or with `model` whether that model does: the same code as a call.

    pool_key: keeps connections of different tenants and credentials apart. Raises CredentialRefused.
    """
    try:
        checking.check(provider, access, pool_key, model)
    except CheckFailed as failed:
        hint = ""
        if failed.error.failure is Failure.AUTH:
            hint = fields.shape_hint(provider, access.values, registry.all_providers())
        raise CredentialRefused(provider, failed.error, failed.sent, hint) from None


def check_credential(*, tenant: Tenant, actor: Actor, credential: ProviderCredential) -> ProviderCredential:
    """Ask the provider again and store what it said as the credential's state; failing is an answer, not an error."""
    declared = _known(credential.provider)
    state, message = CredentialState.CONNECTED, ""
    try:
        access = open_access(credential=credential, purpose="check")
        checking.check(declared, access, str(credential.pk))
    except CredentialUnreadable:
        state = CredentialState.UNREADABLE
    except CheckFailed as failed:
        state = checking.STATE_OF.get(failed.error.failure, CredentialState(credential.state))
        message = words(failed.error)
    with transaction.atomic():
        bump_version(tenant.pk)
        _set_state(credential, state, message, _rest(state, None))
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


def delete_credential(*, tenant: Tenant, actor: Actor, credential: ProviderCredential) -> ProviderCredential | None:
    """Delete a credential, readable or not. Returns the standby one that took over, or None.

    `queries.consequences` says beforehand what stops.
    """
    pk = credential.pk
    with transaction.atomic():
        bump_version(tenant.pk)
        _audit(tenant, actor, "credential.deleted", credential)
        credential.delete()
        rest = list(_rows(tenant.pk).filter(provider=credential.provider).defer("sealed"))
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


# ------------------------------------------------------------------------------------------------ use


def open_access(*, credential: ProviderCredential | None, purpose: str, model_row: HostedModel | None = None) -> Access:
    """Open what a call needs. purpose: call, check or import.

    A hosted model may bring its own address and key. A credential's secrets never go to another origin than the one they
    were sealed for, so with a foreign address only the model's own values are used.
    Raises CredentialUnreadable; the credential's state says so then, and nothing else is changed.
    """
    values: dict[str, str] = {}
    base_url = credential.base_url if credential is not None else ""
    if credential is not None and not _is_elsewhere(credential, model_row):
        values = dict(credential.values) | _opened(credential, purpose)
    if model_row is None:
        return Access(values=values, base_url=base_url)
    own = dict(model_row.values) | _opened_model(model_row, purpose)
    return Access(values=values | own, base_url=model_row.base_url or base_url, model_values=own)


def note_failure(*, tenant_id: UUID, credential_id: UUID, error: ProviderError) -> None:
    """Remember that a call failed because of the credential. Writes only where that changes its state.

    A throttled one rests as long as the provider asks (60 s where it does not say), a refused or empty one for five minutes.
    """
    state = _CALL_STATES.get(error.failure)
    if state is None:
        return
    with tenant_scope(tenant_id), transaction.atomic():
        row = _rows(tenant_id).filter(pk=credential_id).defer("sealed").first()
        if row is None or (row.state == state and not _is_over(row)):
            return
        if _set_state(row, state, words(error), _rest(state, error.retry_after)):
            bump_version(tenant_id)


def note_success(*, tenant_id: UUID, credential_id: UUID) -> None:
    """Remember that a call went through. Writes where that changes the state, and the last use at most once a minute."""
    now = timezone.now()
    with tenant_scope(tenant_id):
        row = _rows(tenant_id).filter(pk=credential_id).defer("sealed").first()
        if row is None:
            return
        if row.state != CredentialState.CONNECTED:
            with transaction.atomic():
                _set_state(row, CredentialState.CONNECTED, "", None)
                bump_version(tenant_id)
        if row.last_used is None or now - row.last_used >= USED_INTERVAL:
            _rows(tenant_id).filter(pk=credential_id).update(last_used=now)


# A call that fails for one model or one request says nothing of the credential.
_CALL_STATES: dict[Failure, CredentialState] = {
    Failure.AUTH: CredentialState.REJECTED,
    Failure.NO_FUNDS: CredentialState.NO_FUNDS,
    Failure.RATE_LIMIT: CredentialState.COOLING,
    Failure.UNREACHABLE: CredentialState.UNREACHABLE,
    Failure.NOT_AN_API: CredentialState.WRONG_URL,
}


def words(error: ProviderError) -> str:
    """The provider's last words with status and code, cut to the column's length; the exchange has removed any key."""
    return f"{error.message}{checking.codes(error)}"[:MESSAGE_LENGTH]


def effective_base_url(provider: str, base_url: str) -> str:
    """The address that calls go to and that secrets are bound to; "" for an unknown provider without an own one."""
    if base_url:
        return base_url
    try:
        return registry.get(provider).default_base_url
    except registry.UnknownProvider:
        return ""


# ------------------------------------------------------------------------------------------------ sealing


def seal_values(*, tenant_id: UUID, provider: str, base_url: str, name: str, row_id: Any, version: int, secret: Mapping[str, str]) -> str:
    """One sealed envelope of all secret values; "" where there are none."""
    if not secret:
        return ""
    text = json.dumps(dict(secret), ensure_ascii=False, sort_keys=True)
    return keys.seal(
        tenant_id=tenant_id,
        provider=provider,
        base_url=effective_base_url(provider, base_url),
        name=name,
        row_id=str(row_id),
        version=version,
        text=text,
    )


def mask_of(declared: Sequence[Field], secret: Mapping[str, str]) -> str:
    """The mask of the first secret field that has a value."""
    return next((keys.mask(secret[field.name]) for field in declared if field.secret and secret.get(field.name)), "")


def _opened(credential: ProviderCredential, purpose: str) -> dict[str, str]:
    if not credential.sealed:
        return {}
    try:
        text = keys.open_sealed(
            tenant_id=credential.tenant_id,
            provider=credential.provider,
            base_url=effective_base_url(credential.provider, credential.base_url),
            name=ENVELOPE,
            row_id=str(credential.pk),
            version=credential.version,
            token=credential.sealed,
            purpose=purpose,
            subject=f"credential:{credential.pk}",
        )
    except CredentialUnreadable:
        _mark_unreadable(credential)
        raise
    opened: dict[str, str] = json.loads(text)
    return opened


def _opened_model(row: HostedModel, purpose: str) -> dict[str, str]:
    if not row.sealed:
        return {}
    text = keys.open_sealed(
        tenant_id=row.tenant_id,
        provider=row.provider,
        base_url=effective_base_url(row.provider, row.base_url),
        name=MODEL_ENVELOPE,
        row_id=str(row.pk),
        version=row.version,
        token=row.sealed,
        purpose=purpose,
        subject=f"model:{row.pk}",
    )
    opened: dict[str, str] = json.loads(text)
    return opened


MODEL_ENVELOPE = "model"


def _mark_unreadable(credential: ProviderCredential) -> None:
    if credential.state == CredentialState.UNREADABLE:
        return
    with tenant_scope(credential.tenant_id), transaction.atomic():
        if _set_state(credential, CredentialState.UNREADABLE, "", None):
            bump_version(credential.tenant_id)


def _is_elsewhere(credential: ProviderCredential, model_row: HostedModel | None) -> bool:
    if model_row is None or not model_row.base_url:
        return False
    own = effective_base_url(credential.provider, credential.base_url)
    return not own or egress.origin(model_row.base_url) != egress.origin(own)


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


def _free_name(tenant: Tenant, provider: str, name: Any, but: ProviderCredential | None = None) -> str:
    text = name.strip() if isinstance(name, str) else ""
    if not text or len(text) > 80 or not text.isprintable():
        raise ServiceError("invalid_value", _("Give the credential a name of at most 80 characters."), field="name")
    taken = _rows(tenant.pk).filter(provider=provider, name=text)
    if but is not None:
        taken = taken.exclude(pk=but.pk)
    if taken.exists():
        raise Conflict(
            "name_taken", _("A credential named “%(name)s” is there already. Choose another name.") % {"name": text}, field="name"
        )
    return text


def _split_base_url(values: Mapping[str, Any], base_url: str | None) -> tuple[dict[str, Any], str | None]:
    """The base URL may come as an argument or among the values, as forms and API clients send it."""
    typed = dict(values)
    among = typed.pop(BASE_URL, None)
    url = base_url if base_url or among is None else among
    if url is not None and not isinstance(url, str):
        raise ServiceError("invalid_value", _("The base URL must be text."), field=BASE_URL)
    return typed, url


def _typed_fields(provider: Provider) -> tuple[Field, ...]:
    return tuple(field for field in provider.credential_fields if field.name != BASE_URL)


def _cleaned(provider: Provider, values: Mapping[str, Any], base_url: str) -> tuple[Values, str]:
    typed, url = _split_base_url(values, base_url)
    cleaned = fields.clean(_typed_fields(provider), typed)
    # Hosting: each model may bring its own address.
    if not url and provider.kind is Kind.HOSTING and _models_have_an_address(provider):
        return cleaned, ""
    return cleaned, fields.clean_base_url(provider, url or "")


def _models_have_an_address(provider: Provider) -> bool:
    return any(field.name == BASE_URL for field in provider.model_fields)


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
    missing = [name for name in stored if not typed.get(name)]
    required = {field.name for field in provider.credential_fields if field.required}
    if missing and (required & set(missing) or len(missing) == len(stored)):
        message = _("Enter the key again: a stored key is never sent to a new address.")
        raise ServiceError("key_required", message, field=missing[0])


def _store(
    tenant: Tenant,
    actor: Actor,
    provider: Provider,
    name: str,
    values: Values,
    base_url: str,
    state: CredentialState,
    error: ProviderError | None,
) -> ProviderCredential:
    now = timezone.now()
    row = ProviderCredential(
        tenant=tenant,
        provider=provider.slug,
        name=name,
        base_url=base_url,
        values=values.public,
        mask=mask_of(provider.credential_fields, values.secret),
        state=state,
        state_since=now,
        state_message=words(error) if error else "",
        checked=None if state == CredentialState.UNCHECKED else now,
        created_by_id=actor.user_id,
    )
    row.sealed = seal_values(
        tenant_id=tenant.pk,
        provider=provider.slug,
        base_url=base_url,
        name=ENVELOPE,
        row_id=row.pk,
        version=row.version,
        secret=values.secret,
    )
    try:
        with transaction.atomic():
            bump_version(tenant.pk)  # locks the tenant's row: of two first credentials one becomes active
            others = _rows(tenant.pk).filter(provider=provider.slug)
            last = others.aggregate(last=Max("position"))["last"]
            row.is_active = last is None
            row.position = 0 if last is None else last + 1
            row.save(force_insert=True)
            _audit(tenant, actor, "credential.added", row, {"state": str(state), "base_url": base_url})
            _announce(row, actor)
    except IntegrityError:
        raise Conflict(
            "name_taken", _("A credential named “%(name)s” is there already. Choose another name.") % {"name": name}, field="name"
        ) from None
    return row


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
                state_message=words(error) if error else "",
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


def _set_state(row: ProviderCredential, state: CredentialState, message: str, until: datetime | None) -> bool:
    """Write a state that differs from the stored one; `state_since` stays where only the words or the rest changed."""
    now = timezone.now()
    changes: dict[str, Any] = {"state": state, "state_message": message, "resting_until": until}
    if row.state != state:
        changes["state_since"] = now
    elif row.state_message == message and row.resting_until == until:
        return False
    return bool(_rows(row.tenant_id).filter(pk=row.pk).update(**changes))


def _rest(state: CredentialState, retry_after: float | None) -> datetime | None:
    if state not in RESTING:
        return None
    rest = REST_AFTER_REFUSAL
    if state == CredentialState.COOLING:
        rest = COOL_DOWN if retry_after is None else min(timedelta(seconds=max(retry_after, 1.0)), LONGEST_COOL_DOWN)
    return timezone.now() + rest


def _is_over(row: ProviderCredential) -> bool:
    """Whether the rest of a resting credential has ended, so that a further failure starts a new one."""
    return row.state in RESTING and (row.resting_until is None or row.resting_until <= timezone.now())


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
