"""What calls and checks tell of a credential: its state, how long it rests, when it was last used."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from core.times import LAST_USED_INTERVAL
from providers.declaration.errors import Failure, ProviderError
from providers.failures.detail import FailureDetail
from providers.models import CredentialState, ProviderCredential
from tenants.config_version import bump_version
from tenants.scope import tenant_scope

COOL_DOWN = timedelta(seconds=60)  # after a 429 that does not say how long
LONGEST_COOL_DOWN = timedelta(hours=1)
REST_AFTER_REFUSAL = timedelta(
    minutes=5
)  # after a refused key or an empty account: no use in asking at every call
NO_FAILURE = FailureDetail()
RESTING = frozenset({CredentialState.COOLING, CredentialState.REJECTED, CredentialState.NO_FUNDS})
# A call that fails for one model or one request says nothing of the credential.
_CALL_STATES: dict[Failure, CredentialState] = {
    Failure.AUTH: CredentialState.REJECTED,
    Failure.NO_FUNDS: CredentialState.NO_FUNDS,
    Failure.RATE_LIMIT: CredentialState.COOLING,
    Failure.UNREACHABLE: CredentialState.UNREACHABLE,
    Failure.NOT_AN_API: CredentialState.WRONG_URL,
}


def note_failure(*, tenant_id: UUID, credential_id: UUID, error: ProviderError) -> None:
    """Remember that a call failed because of the credential. Writes only where that changes its
    state.

    A throttled one rests as long as the provider asks (60 s where it does not say), a refused or
    empty one for five minutes.
    """
    state = _CALL_STATES.get(error.failure)
    if state is None:
        return
    with tenant_scope(tenant_id), transaction.atomic():
        row = _own(tenant_id).filter(pk=credential_id).defer("sealed").first()
        if row is None or (row.state == state and not _is_over(row)):
            return
        if set_state(row, state, FailureDetail.of(error), rest_until(state, error.retry_after)):
            bump_version(tenant_id)


def note_success(*, tenant_id: UUID, credential_id: UUID) -> None:
    """Remember that a call went through. Writes where that changes the state, and the last use at
    most once a minute.
    """
    now = timezone.now()
    with tenant_scope(tenant_id):
        row = _own(tenant_id).filter(pk=credential_id).defer("sealed").first()
        if row is None:
            return
        if row.state != CredentialState.CONNECTED:
            with transaction.atomic():
                set_state(row, CredentialState.CONNECTED, NO_FAILURE, None)
                bump_version(tenant_id)
        if row.last_used is None or now - row.last_used >= LAST_USED_INTERVAL:
            _own(tenant_id).filter(pk=credential_id).update(last_used=now)


def mark_unreadable(credential: ProviderCredential) -> None:
    """Say in the credential's state that its keys do not open; nothing else of it is touched."""
    if credential.state == CredentialState.UNREADABLE:
        return
    with tenant_scope(credential.tenant_id), transaction.atomic():
        if set_state(credential, CredentialState.UNREADABLE, NO_FAILURE, None):
            bump_version(credential.tenant_id)


def set_state(
    row: ProviderCredential, state: CredentialState, failure: FailureDetail, until: datetime | None
) -> bool:
    """Write a state that differs from the stored one; `state_since` stays where only the words or
    the rest changed.
    """
    now = timezone.now()
    changes: dict[str, Any] = {
        "state": state,
        "state_detail": failure.to_json(),
        "resting_until": until,
    }
    if row.state != state:
        changes["state_since"] = now
    elif row.state_detail == failure.to_json() and row.resting_until == until:
        return False
    return bool(_own(row.tenant_id).filter(pk=row.pk).update(**changes))


def rest_until(state: CredentialState, retry_after: float | None) -> datetime | None:
    if state not in RESTING:
        return None
    rest = REST_AFTER_REFUSAL
    if state == CredentialState.COOLING:
        rest = (
            COOL_DOWN
            if retry_after is None
            else min(timedelta(seconds=max(retry_after, 1.0)), LONGEST_COOL_DOWN)
        )
    return timezone.now() + rest


def _is_over(row: ProviderCredential) -> bool:
    """Whether the rest of a resting credential has ended, so that a further failure starts a new
    one.
    """
    return row.state in RESTING and (
        row.resting_until is None or row.resting_until <= timezone.now()
    )


def _own(tenant_id: UUID) -> Any:
    return ProviderCredential.objects.filter(tenant_id=tenant_id)
