"""Changes to a tenant's credentials: add, replace, rename, check, order and delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from core.db.violations import is_duplicate
from core.errors import Conflict, ServiceError
from providers.credentials import checking
from providers.credentials.checking import CheckFailed
from providers.credentials.drafts import check_draft, draft_credential, store_draft
from providers.credentials.health import NO_FAILURE, rest_until, set_state
from providers.credentials.opening import (
    ENVELOPE,
    mask_of,
    open_access,
    seal_values,
)
from providers.credentials.storing import (
    access_from,
    announce,
    checked,
    credential_gone,
    credential_rows,
    free_name,
    known_provider,
    merged_values,
    name_taken,
    offered,
    record_change,
    require_check,
)
from providers.credentials.validation import Values
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Provider
from providers.failures.detail import FailureDetail
from providers.models import CredentialState, ProviderChoice, ProviderCredential
from tenants.audit.trail import Actor, record
from tenants.config_version import bump_version
from tenants.crypto.keys import CredentialUnreadable
from tenants.models import Tenant


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
    """Check a credential at the provider and store it; a provider's first one becomes active.

    An account without funds is stored with that state. Nothing is stored if an error is raised.

    Args:
        tenant: The tenant.
        actor: Who adds the credential.
        provider: The provider's slug.
        name: Unique among the provider's credentials.
        values: By field name.
        base_url: Overrides the one in `values`.
        check: False only works for providers with `allow_unchecked`.

    Raises:
        CredentialRefused: The check failed.
        ServiceError: Invalid values.
        Conflict: The name is taken.
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
    check_connected: Callable[[], None] = lambda: None,
) -> ProviderCredential:
    """Replace a credential's fields, base URL and name after checking them together.

    Secrets that are omitted or empty keep their values unless the base URL changes: a stored key is
    never sent to a new address. Nothing is changed if an error is raised.

    Args:
        tenant: The tenant.
        actor: Who replaces the credential.
        credential: The credential.
        values: By field name; omitted fields are kept, empty ones are cleared.
        base_url: None keeps the address, unless it is among the values.
        name: None keeps the name.
        check: False only works for providers with `allow_unchecked`.
        check_connected: Called after the check; raises if the client has disconnected.

    Raises:
        CredentialRefused: The check failed.
        ServiceError: Invalid values.
        Conflict: The name is taken, or the credential was changed in the meantime.
        CredentialUnreadable: A value to keep cannot be opened.
    """
    declared = offered(credential.provider)
    require_check(declared, check)
    renamed = name is not None and name != credential.name
    if renamed:
        free_name(tenant, credential.provider, name, exclude=credential)
    new_values, url = merged_values(declared, credential, values, base_url)
    state, error = CredentialState.UNCHECKED, None
    if check:
        access = access_from(declared, new_values, url)
        state, error = checked(declared, access, str(credential.pk))
    check_connected()
    with transaction.atomic():
        row = _overwrite(tenant, actor, declared, credential, new_values, url, state, error)
        if renamed:
            rename_credential(tenant=tenant, actor=actor, credential=row, name=name or "")
    return row


def rename_credential(
    *, tenant: Tenant, actor: Actor, credential: ProviderCredential, name: str
) -> ProviderCredential:
    """Rename a credential.

    Raises:
        Conflict: The name is taken.
    """
    name = free_name(tenant, credential.provider, name, exclude=credential)
    old_name = credential.name
    with transaction.atomic():
        bump_version(tenant.pk)
        credential.name = name
        try:
            with transaction.atomic():
                credential.save(update_fields=["name"])
        except IntegrityError as error:
            if not is_duplicate(error):
                raise
            raise name_taken(name) from None
        record_change(tenant, actor, "credential.renamed", credential, {"from": old_name})
    return credential


def check_credential(
    *, tenant: Tenant, actor: Actor, credential: ProviderCredential
) -> ProviderCredential:
    """Check a stored credential again and store the result as its state.

    A failed check raises no error.
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


def activate_credential(
    *, tenant: Tenant, actor: Actor, credential: ProviderCredential
) -> ProviderCredential:
    """Activate a credential; the previously active one becomes the first standby."""
    with transaction.atomic():
        bump_version(tenant.pk)
        order = [row.pk for row in _of_provider(tenant.pk, credential.provider)]
        if credential.pk not in order:
            raise credential_gone()
        order.remove(credential.pk)
        _arrange(tenant.pk, [credential.pk, *order], active=credential.pk)
        record_change(tenant, actor, "credential.activated", credential)
        announce(credential, actor)
    credential.refresh_from_db()
    return credential


def deactivate_credential(
    *, tenant: Tenant, actor: Actor, credential: ProviderCredential
) -> ProviderCredential:
    """Let the first standby credential take over; this one becomes the last standby.

    Raises:
        Conflict: It is the provider's only credential.
    """
    with transaction.atomic():
        bump_version(tenant.pk)
        others = [
            row.pk
            for row in _of_provider(tenant.pk, credential.provider)
            if row.pk != credential.pk
        ]
        if not others:
            raise Conflict(
                "only_credential",
                _("This is the provider's only credential. Add another one first, or delete it."),
            )
        _arrange(tenant.pk, [*others, credential.pk], active=others[0])
        record_change(tenant, actor, "credential.deactivated", credential)
    credential.refresh_from_db()
    return credential


def order_credentials(*, tenant: Tenant, actor: Actor, provider: str, ids: Sequence[UUID]) -> None:
    """Set the order in which a provider's credentials are tried; the first becomes active.

    Raises:
        ServiceError: `ids` does not name every credential exactly once.
    """
    with transaction.atomic():
        bump_version(tenant.pk)
        rows = {row.pk: row for row in _of_provider(tenant.pk, provider)}
        if len(ids) != len(rows) or set(ids) != set(rows) or not ids:
            raise ServiceError(
                "invalid_order",
                _("List every credential of the provider exactly once."),
                field="order",
            )
        _arrange(tenant.pk, ids, active=ids[0])
        record_change(tenant, actor, "credential.ordered", rows[ids[0]])


def move_standby(*, tenant: Tenant, actor: Actor, credential: ProviderCredential, up: bool) -> None:
    """Move a standby credential one place up or down.

    Nothing changes at either end, or for the active credential.
    """
    with transaction.atomic():
        bump_version(tenant.pk)
        rows = list(_of_provider(tenant.pk, credential.provider))
        order = [row.pk for row in rows]
        if credential.pk not in order:
            raise credential_gone()
        first = 1 if rows[0].is_active else 0
        old = order.index(credential.pk)
        new = old - 1 if up else old + 1
        if old < first or not first <= new < len(order):
            return
        order[old], order[new] = order[new], order[old]
        _arrange(tenant.pk, order, active=rows[0].pk)
        record_change(tenant, actor, "credential.ordered", credential)


def delete_credential(
    *,
    tenant: Tenant,
    actor: Actor,
    credential: ProviderCredential,
    successor: ProviderCredential | None = None,
) -> ProviderCredential | None:
    """Delete a credential and return the first remaining one, if there is one.

    `queries.consequences` tells beforehand what stops.

    Args:
        tenant: The tenant.
        actor: Who deletes the credential.
        credential: Readable or not.
        successor: Takes over from an active credential; by default the first standby.
    """
    pk = credential.pk
    with transaction.atomic():
        bump_version(tenant.pk)
        record_change(tenant, actor, "credential.deleted", credential)
        if not credential.delete()[0]:
            raise credential_gone()
        remaining = list(_of_provider(tenant.pk, credential.provider))
        if successor is not None and credential.is_active:
            remaining.sort(key=lambda row: row.pk != successor.pk)
        if remaining and not any(row.is_active for row in remaining):
            _arrange(tenant.pk, [row.pk for row in remaining], active=remaining[0].pk)
            remaining[0].is_active = True
            announce(remaining[0], actor)
    credential.pk = pk
    return remaining[0] if remaining else None


def set_source_order(*, tenant: Tenant, actor: Actor, provider: str, trial_first: bool) -> None:
    """Choose whether calls use the trial or the tenant's own credential first."""
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


def _overwrite(
    tenant: Tenant,
    actor: Actor,
    provider: Provider,
    row: ProviderCredential,
    values: Values,
    base_url: str,
    state: CredentialState,
    error: ProviderError | None,
) -> ProviderCredential:
    """Store new values in a row, unless it was changed since it was read."""
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
                    "Someone else changed this credential in the meantime. Reload the "
                    "page and try again."
                ),
            )
        record_change(
            tenant, actor, "credential.replaced", row, {"state": str(state), "base_url": base_url}
        )
        row.refresh_from_db()
        announce(row, actor)
    return row


def _of_provider(tenant_id: UUID, provider: str) -> QuerySet[ProviderCredential]:
    return credential_rows(tenant_id).filter(provider=provider).defer("sealed")


def _arrange(tenant_id: UUID, order: Sequence[Any], *, active: Any) -> None:
    rows = credential_rows(tenant_id)
    rows.filter(pk__in=order, is_active=True).exclude(pk=active).update(is_active=False)
    for position, pk in enumerate(order):
        rows.filter(pk=pk).update(position=position, is_active=pk == active)
