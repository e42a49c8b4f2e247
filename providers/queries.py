"""Queries of a tenant's credentials and provider states; they never open sealed values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from core.request_cache import once
from providers import ports
from providers.declaration import registry
from providers.declaration.spec import Provider
from providers.failures.detail import FailureDetail
from providers.models import CredentialState, ProviderChoice, ProviderCredential
from providers.ports import TrialFacts


class State(StrEnum):
    """The state of a provider as shown on its card."""

    NOT_SET_UP = "not_set_up"
    TRIAL = "trial"
    CONNECTED = "connected"
    UNCHECKED = "unchecked"  # saved without a check, or only its models can be checked
    REJECTED = "rejected"
    NO_FUNDS = "no_funds"
    UNREACHABLE = "unreachable"
    WRONG_URL = "wrong_url"
    NOT_ALLOWED = "not_allowed"
    RESTING = "resting"
    UNREADABLE = "unreadable"
    DISABLED = "disabled"  # it has credentials, but this server does not offer it


# A resting key is tried again soon; an unchecked one may well work.
_WORKING = (CredentialState.CONNECTED, CredentialState.UNCHECKED, CredentialState.COOLING)


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """A provider's status for a tenant.

    Args:
        provider: None if this version does not know the provider.
        has_working: Whether any credential, including standby ones, is in a working state.
    """

    slug: str
    provider: Provider | None
    state: State
    since: datetime | None
    failure: FailureDetail
    active: ProviderCredential | None
    credentials: int
    models: int
    trial: TrialFacts | None
    trial_first: bool
    models_fetched: datetime | None
    list_failure: FailureDetail
    has_working: bool = False

    @property
    def is_set_up(self) -> bool:
        """Whether its models are in the catalog: it has a credential or an active trial."""
        return self.credentials > 0 or (self.trial is not None and self.trial.is_on)


@dataclass(frozen=True, slots=True)
class Consequences:
    """What stops when a credential is deleted: nothing if there is a successor."""

    successor: ProviderCredential | None
    trial: TrialFacts | None
    models: int
    scenarios: tuple[str, ...]


def credentials(*, tenant_id: UUID, provider: str | None = None) -> QuerySet[ProviderCredential]:
    """Return a tenant's credentials without sealed values, each provider's active one first."""
    rows: QuerySet[ProviderCredential] = ProviderCredential.objects.filter(
        tenant_id=tenant_id
    ).defer("sealed")
    return rows if provider is None else rows.filter(provider=provider)


def credential(*, tenant_id: UUID, provider: str, pk: UUID | str) -> ProviderCredential | None:
    """Return a credential of this tenant and provider, if it exists."""
    rows: QuerySet[ProviderCredential] = ProviderCredential.objects.filter(
        tenant_id=tenant_id, provider=provider, pk=pk
    )
    return rows.first()


def routable_credentials(
    *, tenant_id: UUID, provider: str, now: datetime
) -> list[ProviderCredential]:
    """Return the credentials in the order to try them: active, standby, and resting ones last."""
    rows: QuerySet[ProviderCredential] = ProviderCredential.objects.filter(
        tenant_id=tenant_id, provider=provider
    )
    return sorted(rows, key=lambda row: is_resting(row, now))


def is_resting(row: ProviderCredential, now: datetime) -> bool:
    """Return whether a credential is throttled, was rejected recently, or is unreadable."""
    return row.state == CredentialState.UNREADABLE or (
        row.resting_until is not None and row.resting_until > now
    )


@once
def _all_credentials(tenant_id: UUID) -> list[ProviderCredential]:
    return list(credentials(tenant_id=tenant_id))


def has_credential(*, tenant_id: UUID) -> frozenset[str]:
    """Return the slugs of the providers that the tenant has a credential for."""
    return frozenset(row.provider for row in _all_credentials(tenant_id))


def trial_first(*, tenant_id: UUID, provider: str) -> bool:
    """Return whether the trial is used before the tenant's own credential."""
    rows: QuerySet[ProviderChoice] = ProviderChoice.objects.filter(
        tenant_id=tenant_id, provider=provider
    )
    return rows.filter(trial_first=True).exists()


@once
def choices(*, tenant_id: UUID) -> dict[str, ProviderChoice]:
    """Return the tenant's choices by provider slug; providers without a row have the defaults."""
    rows: QuerySet[ProviderChoice] = ProviderChoice.objects.filter(tenant_id=tenant_id)
    return {row.provider: row for row in rows}


def statuses(*, tenant_id: UUID, with_counts: bool = True) -> dict[str, ProviderStatus]:
    """Return the status of every provider that is offered or has credentials, by slug.

    The number of queries does not depend on the number of providers.

    Args:
        tenant_id: The tenant.
        with_counts: False skips the query for the numbers of models and sets them to 0.
    """
    by_provider: dict[str, list[ProviderCredential]] = defaultdict(list)
    for row in _all_credentials(tenant_id):
        by_provider[row.provider].append(row)
    choices_by_provider = choices(tenant_id=tenant_id)
    trials = ports.trials(tenant_id)
    counts = ports.model_counts(tenant_id) if with_counts else {}
    offered = {provider.slug: provider for provider in registry.offered()}
    providers = {provider.slug: provider for provider in registry.all_providers()}
    now = timezone.now()
    return {
        slug: _status(
            slug,
            providers.get(slug),
            slug in offered,
            by_provider.get(slug, ()),
            choices_by_provider.get(slug),
            trials.get(slug),
            counts.get(slug, 0),
            now,
        )
        for slug in [*offered, *(slug for slug in by_provider if slug not in offered)]
    }


def status(*, tenant_id: UUID, provider: str) -> ProviderStatus | None:
    """Return a provider's status; None if it is not offered and has no credentials."""
    return statuses(tenant_id=tenant_id).get(provider)


def consequences(*, credential: ProviderCredential) -> Consequences:
    """Return what stops when this credential is deleted."""
    others = [
        row
        for row in _all_credentials(credential.tenant_id)
        if row.provider == credential.provider and row.pk != credential.pk
    ]
    trial = ports.trials(credential.tenant_id).get(credential.provider)
    if others:
        return Consequences(others[0], trial, 0, ())
    count = ports.model_counts(credential.tenant_id).get(credential.provider, 0)
    return Consequences(
        None, trial, count, ports.dependents(credential.tenant_id, credential.provider)
    )


def _status(
    slug: str,
    provider: Provider | None,
    is_offered: bool,
    rows: Sequence[ProviderCredential],
    choice: ProviderChoice | None,
    trial: TrialFacts | None,
    models: int,
    now: datetime,
) -> ProviderStatus:
    active = next((row for row in rows if row.is_active), rows[0] if rows else None)
    return ProviderStatus(
        slug=slug,
        provider=provider,
        state=_state(is_offered, active, trial, now),
        since=active.state_since if active else None,
        failure=active.failure if active else FailureDetail(),
        active=active,
        credentials=len(rows),
        models=models,
        trial=trial,
        trial_first=choice.trial_first if choice else False,
        models_fetched=choice.models_fetched if choice else None,
        list_failure=choice.list_failure if choice else FailureDetail(),
        has_working=is_offered and any(row.state in _WORKING for row in rows),
    )


def _state(
    is_offered: bool, active: ProviderCredential | None, trial: TrialFacts | None, now: datetime
) -> State:
    if not is_offered:
        return State.DISABLED
    if active is None:
        return State.TRIAL if trial is not None and trial.is_on else State.NOT_SET_UP
    if active.state == CredentialState.COOLING:
        # The row is not updated when the rest ends.
        return State.RESTING if is_resting(active, now) else State.CONNECTED
    return State(active.state)
