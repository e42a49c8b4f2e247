"""A credential's state after calls and checks: failures, cool-down and last use."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from core.db.dialect import Dialect, read_uuid
from core.db.statements import Query, Statements
from core.times import LAST_USED_INTERVAL
from providers.declaration.errors import Failure, ProviderError
from providers.failures.detail import FailureDetail
from providers.models import CredentialState, ProviderCredential
from tenants.config_version import bump_version
from tenants.scope import tenant_scope

COOL_DOWN = timedelta(seconds=60)  # after a 429 without a retry time
LONGEST_COOL_DOWN = timedelta(hours=1)
REST_AFTER_REFUSAL = timedelta(minutes=5)  # after a rejected key or an account without funds
NO_FAILURE = FailureDetail()
_USED_SQL = (
    "UPDATE providers_providercredential SET last_used = {p} WHERE id IN ("
    "SELECT used.id FROM providers_providercredential AS used WHERE used.id {among} AND "
    "(used.last_used IS NULL OR used.last_used < {p} OR used.state <> {p}) "
    "ORDER BY used.id {skip_locked}) RETURNING tenant_id, id, state"
)
RESTING = frozenset({CredentialState.COOLING, CredentialState.REJECTED, CredentialState.NO_FUNDS})
# Failures of one model or one request do not change the credential's state.
_CALL_STATES: dict[Failure, CredentialState] = {
    Failure.AUTH: CredentialState.REJECTED,
    Failure.NO_FUNDS: CredentialState.NO_FUNDS,
    Failure.RATE_LIMIT: CredentialState.COOLING,
    Failure.UNREACHABLE: CredentialState.UNREACHABLE,
    Failure.NOT_AN_API: CredentialState.WRONG_URL,
}


def note_failure(
    *, tenant_id: UUID, credential_id: UUID, version: int, error: ProviderError
) -> None:
    """Store that a call failed because of the credential, if that changes its state.

    A throttled credential rests as long as the provider asks, by default COOL_DOWN; a rejected one,
    or one without funds, rests for REST_AFTER_REFUSAL.

    Args:
        version: The version of the secrets that were used. Nothing is stored of an earlier one.
    """
    state = _CALL_STATES.get(error.failure)
    if state is None:
        return
    with tenant_scope(tenant_id), transaction.atomic():
        row = _in_version(tenant_id, credential_id, version)
        if row is None or (row.state == state and not _is_over(row)):
            return
        if set_state(row, state, FailureDetail.of(error), rest_until(state, error.retry_after)):
            bump_version(tenant_id)


def note_uses(
    credential_ids: Iterable[UUID], now: datetime, sql: Dialect
) -> Statements[list[tuple[UUID, UUID]]]:
    """Store when credentials last worked, once a minute, in one statement.

    It waits for nobody: credentials that are being changed are left out.

    Returns:
        The tenant and id of those whose state says that they did not work; see note_success.
    """
    text = _USED_SQL.format(
        p=sql.mark, among=sql.among.format(p=sql.mark), skip_locked=sql.skip_locked
    ).format(table="used")
    working = CredentialState.CONNECTED.value
    last = sql.value(now - LAST_USED_INTERVAL)
    rows = yield Query(text, (sql.value(now), sql.uuids(credential_ids), last, working))
    return [(read_uuid(row[0]), read_uuid(row[1])) for row in rows if row[2] != working]


def note_success(*, tenant_id: UUID, credential_id: UUID, version: int) -> None:
    """Store that a call succeeded, if that changes the state, and the last use once a minute.

    Args:
        version: The version of the secrets that were used. Nothing is stored of an earlier one.
    """
    now = timezone.now()
    with tenant_scope(tenant_id):
        row = _in_version(tenant_id, credential_id, version)
        if row is None:
            return
        if row.state != CredentialState.CONNECTED:
            with transaction.atomic():
                if set_state(row, CredentialState.CONNECTED, NO_FAILURE, None):
                    bump_version(tenant_id)
        if row.last_used is None or now - row.last_used >= LAST_USED_INTERVAL:
            _credentials(tenant_id).filter(pk=credential_id).update(last_used=now)


def mark_unreadable(credential: ProviderCredential) -> None:
    """Set the state of a credential whose secrets cannot be opened."""
    if credential.state == CredentialState.UNREADABLE:
        return
    with tenant_scope(credential.tenant_id), transaction.atomic():
        if set_state(credential, CredentialState.UNREADABLE, NO_FAILURE, None):
            bump_version(credential.tenant_id)


def set_state(
    row: ProviderCredential, state: CredentialState, failure: FailureDetail, until: datetime | None
) -> bool:
    """Store a changed state and return whether it was stored.

    `state_since` is kept if only the failure or the resting time changed.
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
    # The secrets may have been replaced since the row was read.
    unchanged = _credentials(row.tenant_id).filter(pk=row.pk, version=row.version)
    return bool(unchanged.update(**changes))


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
    """Return whether a credential's rest has ended; another failure then starts a new rest."""
    return row.state in RESTING and (
        row.resting_until is None or row.resting_until <= timezone.now()
    )


def _in_version(tenant_id: UUID, credential_id: UUID, version: int) -> ProviderCredential | None:
    rows = _credentials(tenant_id).filter(pk=credential_id, version=version)
    row: ProviderCredential | None = rows.defer("sealed").first()
    return row


def _credentials(tenant_id: UUID) -> Any:
    return ProviderCredential.objects.filter(tenant_id=tenant_id)
