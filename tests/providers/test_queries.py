"""The state of every provider, in few queries and without opening a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from models_catalog.models import DefaultModel, TenantModel
from providers import ports, queries
from providers.models import CredentialState, ProviderChoice, ProviderCredential
from providers.ports import TrialFacts
from providers.queries import State
from tenants.crypto import sealing
from tenants.scope import NoActiveTenant, tenant_scope
from tests.factories import Workspace, make_credential

Trial = Callable[..., None]


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Trial:
    """Registers one trial at OpenAI and nothing else."""
    monkeypatch.setattr(ports.connected_trials, "_answer", lambda tenant_id: {})

    def register(**changes: Any) -> None:
        given = {
            "plan": "openai",
            "limit": 500,
            "settled": 462,
            "held": 0,
            "left": 38,
            "models": {"gpt-3.5-turbo": 1},
        } | changes
        ports.connected_trials.connect(lambda tenant_id: {"openai": TrialFacts(**given)})

    return register


@pytest.fixture
def no_opening(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Counts decryptions; there must be none."""
    opened: list[str] = []
    original = sealing._open

    def counted(token: str, binding: Any) -> str:
        opened.append(token)
        return original(token, binding)

    monkeypatch.setattr(sealing, "_open", counted)
    yield opened
    assert opened == []


def test_nothing_is_set_up_at_first(acme: Workspace, trial: Trial) -> None:
    with tenant_scope(acme.tenant):
        found = queries.statuses(tenant_id=acme.tenant.pk)
    assert {"openai", "demo", "openai_compatible"} <= set(found)
    assert {status.state for status in found.values()} == {State.NOT_SET_UP}
    assert found["openai"].models > 20


def test_a_trial_shows_until_there_is_an_own_key(acme: Workspace, trial: Trial) -> None:
    trial()
    with tenant_scope(acme.tenant):
        status = queries.statuses(tenant_id=acme.tenant.pk)["openai"]
        assert (status.state, status.is_set_up) == (State.TRIAL, True)
        assert status.trial is not None
        assert status.trial.left == 38
        make_credential(acme.tenant)
        assert queries.statuses(tenant_id=acme.tenant.pk)["openai"].state is State.CONNECTED


def test_a_trial_that_is_off_sets_nothing_up(acme: Workspace, trial: Trial) -> None:
    trial(is_on=False)
    with tenant_scope(acme.tenant):
        status = queries.statuses(tenant_id=acme.tenant.pk)["openai"]
    assert (status.state, status.is_set_up) == (State.NOT_SET_UP, False)


@pytest.mark.parametrize(
    "state", [state for state in CredentialState if state != CredentialState.COOLING]
)
def test_the_active_credential_gives_the_state(acme: Workspace, state: CredentialState) -> None:
    make_credential(acme.tenant, state=state, state_detail={"text": "why"})
    make_credential(acme.tenant, name="Standby", is_active=False)
    with tenant_scope(acme.tenant):
        status = queries.statuses(tenant_id=acme.tenant.pk)["openai"]
    assert (status.state, status.failure.text, status.credentials) == (State(state), "why", 2)


def test_what_the_operator_does_not_offer_is_disabled(acme: Workspace, settings: Any) -> None:
    make_credential(acme.tenant, provider="demo")
    settings.MODELKEEP_DEMO_PROVIDER = False
    with tenant_scope(acme.tenant):
        ProviderCredential.objects.create(
            tenant=acme.tenant, provider="of_another_version", name="Old"
        )
        found = queries.statuses(tenant_id=acme.tenant.pk)
    assert found["demo"].state is State.DISABLED
    assert (found["of_another_version"].state, found["of_another_version"].provider) == (
        State.DISABLED,
        None,
    )


def test_few_queries_whatever_there_is(
    acme: Workspace, globex: Workspace, no_opening: list[str]
) -> None:
    def count() -> int:
        with (
            tenant_scope(acme.tenant),
            CaptureQueriesContext(
                connection,
            ) as captured,
        ):
            queries.statuses(tenant_id=acme.tenant.pk)
        return len(captured)

    before = count()
    for number in range(3):
        make_credential(acme.tenant, name=f"Key {number}", is_active=number == 0)
    make_credential(
        acme.tenant, provider="openai_compatible", values={}, base_url="https://models.example/v1"
    )
    make_credential(globex.tenant)
    with tenant_scope(acme.tenant):
        for number in range(500):
            TenantModel.objects.create(
                tenant=acme.tenant,
                provider="openai_compatible",
                model=f"m{number}",
                type="reasoning",
                origin="added",
            )
        ProviderChoice.objects.create(tenant=acme.tenant, provider="openai", trial_first=True)
        found = queries.statuses(tenant_id=acme.tenant.pk)
    assert count() == before
    assert before <= 6
    assert found["openai_compatible"].models == 500
    assert found["openai"].trial_first


def test_lists_leave_the_sealed_values_in_the_database(
    acme: Workspace, no_opening: list[str]
) -> None:
    make_credential(acme.tenant)
    with tenant_scope(acme.tenant):
        row = queries.credentials(tenant_id=acme.tenant.pk)[0]
    assert "sealed" in row.get_deferred_fields()


def test_without_a_tenant_there_is_no_answer(acme: Workspace) -> None:
    with pytest.raises(NoActiveTenant):
        queries.statuses(tenant_id=acme.tenant.pk)


def test_deleting_says_what_stops(acme: Workspace, trial: Trial) -> None:
    first = make_credential(acme.tenant)
    with tenant_scope(acme.tenant):
        DefaultModel.objects.create(
            tenant=acme.tenant, scenario="reasoning", model="openai/gpt-6-luna"
        )
        last = queries.consequences(credential=first)
        assert (last.successor, last.scenarios) == (None, ("the default reasoning model",))
        assert last.models > 20
        second = make_credential(acme.tenant, name="Standby", is_active=False)
        assert queries.consequences(credential=first).successor == second
        assert queries.consequences(credential=first).models == 0
