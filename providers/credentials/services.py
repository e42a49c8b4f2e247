"""Everything that changes a tenant's credentials. What calls need and tell is in access.py and
health.py, named here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core.errors import Conflict, ServiceError
from providers.credentials import checking, validation
from providers.credentials.checking import CheckFailed
from providers.credentials.drafts import check_draft, draft_credential, store_draft
from providers.credentials.health import NO_FAILURE, rest_until, set_state
from providers.credentials.opening import (
    ENVELOPE,
    mask_of,
    open_access,
    open_credential,
    seal_values,
)
from providers.credentials.validation import Values
from providers.credentials.values import (
    access_from,
    announce,
    checked,
    credential_gone,
    credential_rows,
    free_name,
    known_provider,
    name_taken,
    offered,
    record_change,
    require_typed_again,
    split_base_url,
    typed_fields,
)
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Provider
from providers.failures.detail import FailureDetail
from providers.models import CredentialState, ProviderChoice, ProviderCredential
from tenants.audit.trail import Actor, record
from tenants.config_version import bump_version
from tenants.crypto.keys import CredentialUnreadable
from tenants.models import Tenant

# ----------------------------------------------------------------------------- add, replace, rename


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
    """Check a set of keys at the provider and store it sealed; a tenant's first one becomes the
    active one.

    An account without money is stored, with that state. Raises CredentialRefused where the check
    failed, ServiceError for values that cannot be right, Conflict for a name that is taken; nothing
    is stored then. check=False is refused but for providers that allow it (self-hosted servers that
    are down).
    """
    draft = draft_credential(
        tenant=tenant, provider=provider, name=name, values=values, base_url=base_url, check=check
    )
    if check:
        check_draft(draft)
    return store_draft(draft, actor=actor)


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
    """Replace keys, other fields or the base URL of a credential, and its name with them, after a
    check of the whole.

    A secret that is left out or empty keeps its value, unless the base URL changes: a stored key is
    never sent to a new address, it must be typed again. base_url None keeps the address, name None
    the name. still_wanted: called between the check and the writing; raises where nobody waits any
    more. Raises as add_credential does, and CredentialUnreadable where a kept value cannot be
    opened; nothing is changed then.
    """
    declared = offered(credential.provider)
    if not check and not declared.allow_unchecked:
        raise ServiceError(
            "check_required",
            _("%(provider)s credentials are checked before they are saved.")
            % {"provider": declared.label},
        )
    renamed = name is not None and name != credential.name
    if renamed:
        free_name(tenant, credential.provider, name, but=credential)
    typed, typed_url = split_base_url(declared, values, base_url)
    stored = (
        tuple(field.name for field in declared.credential_fields if field.secret)
        if credential.sealed
        else ()
    )
    cleaned = validation.clean(typed_fields(declared), typed, kept=stored)
    # A field that is not mentioned stays; one that is sent empty is cleared.
    public = {
        name: value for name, value in credential.values.items() if name not in typed
    } | cleaned.public
    if typed_url is None:
        typed_url = validation.typed_base_url(declared, credential.values, credential.base_url)
    url = validation.address(declared, public, typed_url)
    if url != credential.base_url:
        require_typed_again(declared, stored, typed)
    secret = dict(cleaned.secret)
    if url == credential.base_url and any(name not in secret for name in stored):
        secret = open_credential(credential, "check") | secret
    whole = Values(public, secret)
    validation.require_complete(declared, whole)
    state, error = CredentialState.UNCHECKED, None
    if check:
        state, error = checked(declared, access_from(declared, whole, url), str(credential.pk))
    still_wanted()
    with transaction.atomic():
        row = _restore(tenant, actor, declared, credential, whole, url, state, error)
        if renamed:
            rename_credential(tenant=tenant, actor=actor, credential=row, name=name or "")
    return row


def rename_credential(
    *, tenant: Tenant, actor: Actor, credential: ProviderCredential, name: str
) -> ProviderCredential:
    """Give a credential another name. Raises Conflict for one that is taken."""
    name = free_name(tenant, credential.provider, name, but=credential)
    before = credential.name
    with transaction.atomic():
        bump_version(tenant.pk)
        credential.name = name
        try:
            with transaction.atomic():
                credential.save(update_fields=["name"])
        except IntegrityError:
            raise name_taken(name) from None
        record_change(tenant, actor, "credential.renamed", credential, {"from": before})
    return credential


def check_credential(
    *, tenant: Tenant, actor: Actor, credential: ProviderCredential
) -> ProviderCredential:
    """Ask the provider again and store what it said as the credential's state; failing is an
    answer, not an error.
    """
    declared = known_provider(credential.provider)
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
        credential_rows(tenant.pk).filter(pk=credential.pk).update(checked=timezone.now())
        record_change(tenant, actor, "credential.checked", credential, {"state": str(state)})
    credential.refresh_from_db()
    return credential


# ------------------------------------------------------------------------------------ order, delete


def activate_credential(
    *, tenant: Tenant, actor: Actor, credential: ProviderCredential
) -> ProviderCredential:
    """Make this the provider's active credential; the one that was active stands by first."""
    with transaction.atomic():
        bump_version(tenant.pk)
        order = [
            row.pk
            for row in credential_rows(tenant.pk)
            .filter(provider=credential.provider)
            .defer("sealed")
        ]
        if credential.pk not in order:
            raise credential_gone()
        _arrange(
            tenant.pk,
            [credential.pk, *(pk for pk in order if pk != credential.pk)],
            active=credential.pk,
        )
        record_change(tenant, actor, "credential.activated", credential)
        announce(credential, actor)
    credential.refresh_from_db()
    return credential


def deactivate_credential(
    *, tenant: Tenant, actor: Actor, credential: ProviderCredential
) -> ProviderCredential:
    """Let a standby credential take over, and this one stand by last; the only one cannot be
    deactivated.
    """
    with transaction.atomic():
        bump_version(tenant.pk)
        others = [
            row.pk
            for row in credential_rows(tenant.pk)
            .filter(provider=credential.provider)
            .defer("sealed")
            if row.pk != credential.pk
        ]
        if not others:
            raise Conflict(
                "only_credential",
                _(
                    "This is the only credential of its provider. Delete it, or add another one "
                    "first."
                ),
            )
        _arrange(tenant.pk, [*others, credential.pk], active=others[0])
        record_change(tenant, actor, "credential.deactivated", credential)
    credential.refresh_from_db()
    return credential


def order_credentials(*, tenant: Tenant, actor: Actor, provider: str, ids: Sequence[UUID]) -> None:
    """Set the order in which a provider's credentials are tried: the first is the active one. All
    must be named once.
    """
    with transaction.atomic():
        bump_version(tenant.pk)
        rows = {
            row.pk: row
            for row in credential_rows(tenant.pk).filter(provider=provider).defer("sealed")
        }
        if len(ids) != len(rows) or set(ids) != set(rows) or not ids:
            raise ServiceError(
                "invalid_order",
                _("Name every credential of the provider exactly once."),
                field="order",
            )
        _arrange(tenant.pk, ids, active=ids[0])
        record_change(tenant, actor, "credential.ordered", rows[ids[0]])


def move_standby(*, tenant: Tenant, actor: Actor, credential: ProviderCredential, up: bool) -> None:
    """Try a standby credential one place earlier or later; at either end, and for the active one,
    nothing changes.
    """
    with transaction.atomic():
        bump_version(tenant.pk)
        rows = list(credential_rows(tenant.pk).filter(provider=credential.provider).defer("sealed"))
        order = [row.pk for row in rows]
        if credential.pk not in order:
            raise credential_gone()
        first = 1 if rows[0].is_active else 0
        here = order.index(credential.pk)
        there = here - 1 if up else here + 1
        if here < first or not first <= there < len(order):
            return
        order[here], order[there] = order[there], order[here]
        _arrange(tenant.pk, order, active=rows[0].pk)
        record_change(tenant, actor, "credential.ordered", credential)


def delete_credential(
    *,
    tenant: Tenant,
    actor: Actor,
    credential: ProviderCredential,
    successor: ProviderCredential | None = None,
) -> ProviderCredential | None:
    """Delete a credential, readable or not. Returns the standby one that took over, or None.

    successor: which one takes over where the active one goes; the first that stands by without it.
    `queries.consequences` says beforehand what stops.
    """
    pk = credential.pk
    with transaction.atomic():
        bump_version(tenant.pk)
        record_change(tenant, actor, "credential.deleted", credential)
        if not credential.delete()[0]:
            raise credential_gone()
        rest = list(credential_rows(tenant.pk).filter(provider=credential.provider).defer("sealed"))
        if successor is not None and credential.is_active:
            rest.sort(key=lambda row: row.pk != successor.pk)
        if rest and not any(row.is_active for row in rest):
            _arrange(tenant.pk, [row.pk for row in rest], active=rest[0].pk)
            rest[0].is_active = True
            announce(rest[0], actor)
    credential.pk = pk
    return rest[0] if rest else None


def set_source_order(*, tenant: Tenant, actor: Actor, provider: str, trial_first: bool) -> None:
    """Choose whether the trial or the own credential serves calls first where both exist."""
    known_provider(provider)
    with transaction.atomic():
        bump_version(tenant.pk)
        ProviderChoice.objects.update_or_create(
            tenant=tenant, provider=provider, defaults={"trial_first": trial_first}
        )
        record(
            tenant=tenant,
            actor=actor,
            action="provider.source_order_changed",
            object_type="provider",
            object_id=provider,
            object_label=provider,
            details={"trial_first": trial_first},
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
        tenant_id=tenant.pk,
        provider=provider.slug,
        base_url=base_url,
        name=ENVELOPE,
        row_id=row.pk,
        version=version,
        secret=values.secret,
    )
    with transaction.atomic():
        bump_version(tenant.pk)
        changed = (
            credential_rows(tenant.pk)
            .filter(pk=row.pk, version=row.version, sealed=row.sealed)
            .update(
                base_url=base_url,
                values=values.public,
                sealed=sealed,
                version=version,
                mask=mask_of(provider.credential_fields, values.secret),
                state=state,
                state_since=now,
                state_detail=FailureDetail.of(error).to_json() if error else {},
                resting_until=None,
                checked=None if state == CredentialState.UNCHECKED else now,
            )
        )
        if not changed:
            raise Conflict(
                "changed_meanwhile",
                _(
                    "This credential was changed by someone else meanwhile. Reload the page and "
                    "try again."
                ),
            )
        record_change(
            tenant, actor, "credential.replaced", row, {"state": str(state), "base_url": base_url}
        )
        row.refresh_from_db()
        announce(row, actor)
    return row


def _arrange(tenant_id: UUID, order: Sequence[Any], *, active: Any) -> None:
    rows = credential_rows(tenant_id)
    rows.filter(pk__in=order, is_active=True).exclude(pk=active).update(is_active=False)
    for position, pk in enumerate(order):
        rows.filter(pk=pk).update(position=position, is_active=pk == active)
