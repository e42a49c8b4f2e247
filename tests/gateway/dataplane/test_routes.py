"""What the process remembers of routes and of credentials' health, and for how long."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from gateway.dataplane.errors import Refusal
from gateway.dataplane.routing import kept
from gateway.dataplane.routing.cooldown import cooldown_seconds
from gateway.dataplane.routing.health import FOREVER, Health, HealthStates
from gateway.dataplane.routing.kept import Kept
from gateway.dataplane.routing.routes import Routes
from gateway.dataplane.routing.targets import Route, Source, Target
from models_catalog.resolution.entries import PriceHistory
from providers.declaration import registry
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import ModelFacts, Operation
from providers.models import CredentialState
from tenants.auth.principal import Principal, principal_of_member
from tenants.models import Membership
from tenants.scope import tenant_scope
from tests.factories import Workspace, make_credential

ASKED = ("openai/gpt-4o", Operation.CHAT)
ACME, GLOBEX = uuid4(), uuid4()


def route(sources: int = 1) -> Route:
    source = Source("credential:Main", "a", lambda: None)  # type: ignore[arg-type, return-value]
    provider = registry.get("openai")
    target = Target(provider, "gpt-4o", ModelFacts(), PriceHistory(), (source,) * sources)
    return Route("", (target,))


def found(routes: Kept, tenant_id: UUID, version: int = 1) -> Route | None:
    configuration = routes.get(tenant_id, version)
    return None if configuration is None else configuration.routes.get(ASKED)


def test_a_route_is_kept_for_one_version_of_one_workspace() -> None:
    routes, ours = Kept(), route()
    routes.put_route(ACME, 1, ASKED, ours)
    assert found(routes, ACME) is ours
    assert found(routes, GLOBEX) is None
    assert found(routes, ACME, 2) is None
    routes.put_route(ACME, 2, ASKED, route())
    assert found(routes, ACME, 1) is None


def test_routes_are_forgotten_with_the_keys_they_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = Kept()
    monkeypatch.setattr(kept, "SECONDS", -1.0)
    routes.put_route(ACME, 1, ASKED, route())
    monkeypatch.setattr(kept, "SECONDS", 60.0)
    routes.put_route(GLOBEX, 1, ASKED, route())
    assert found(routes, ACME) is None
    routes.drop_expired()
    assert list(routes._kept) == [GLOBEX]
    assert routes._size == routes._kept[GLOBEX].size


def test_the_workspaces_that_called_last_are_kept_within_a_number_of_bytes() -> None:
    routes = Kept(100_000)
    tenants = [uuid4() for _number in range(40)]
    for tenant in tenants:
        routes.put_route(tenant, 1, ASKED, route())
        found(routes, tenants[0])
    assert routes._size <= 100_000
    assert routes._size == sum(configuration.size for configuration in routes._kept.values())
    assert {tenants[0], tenants[-1]} <= set(routes._kept)
    assert tenants[1] not in routes._kept


def test_no_workspace_displaces_the_others() -> None:
    routes = Kept()
    routes.put_route(GLOBEX, 1, ASKED, route())
    for number in range(1000):
        routes.put_route(ACME, 1, (f"model-{number}", Operation.CHAT), route(4))
    assert found(routes, GLOBEX) is not None
    assert routes._kept[ACME].size <= kept.WORKSPACE_BYTES


def principal_of(workspace: Workspace) -> Principal:
    with tenant_scope(workspace.tenant):
        members = Membership.objects.select_related("tenant", "user")
        return principal_of_member(members.get(user=workspace.owner))


@pytest.mark.django_db
def test_a_route_takes_the_memory_it_is_counted_with(acme: Workspace) -> None:
    make_credential(acme.tenant)
    principal, routes = principal_of(acme), Routes()

    def load(number: int) -> list[Route]:
        made = [routes._load(principal, *ASKED) for _number in range(number)]
        for each in made:
            each.targets[0].sources[0].opened = each.targets[0].sources[0].load()
        gc.collect()
        return made

    tracemalloc.start()
    load(5)  # what a first one keeps for all others does not count
    before = tracemalloc.get_traced_memory()[0]
    made = load(50)
    taken = (tracemalloc.get_traced_memory()[0] - before) / len(made)
    tracemalloc.stop()
    assert 0.8 * taken < made[0].size < 1.25 * taken


@pytest.mark.django_db(transaction=True)
def test_calls_that_come_at_once_load_a_route_once(
    acme: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_credential(acme.tenant)
    principal, routes, loads = principal_of(acme), Routes(), []
    load = routes._load

    def counted(*arguments: Any) -> Route:
        loads.append(arguments)
        time.sleep(0.02)
        return load(*arguments)

    monkeypatch.setattr(routes, "_load", counted)

    async def find(name: str, *, clear: bool = False) -> list[Any]:
        calls = [routes.find(principal, name, Operation.CHAT) for _number in range(5)]
        if clear:
            asyncio.get_running_loop().call_later(0.01, routes.clear)
        return await asyncio.gather(*calls, return_exceptions=True)

    assert len({id(each) for each in async_to_sync(find)(ASKED[0])}) == 1
    async_to_sync(find)(f" {ASKED[0]}  ")  # is the same name
    assert len(loads) == 1
    refusals = async_to_sync(find)("nothing")  # belong to one call each
    assert {type(refusal) for refusal in refusals} == {Refusal}
    assert len({id(refusal) for refusal in refusals}) == 5
    loads.clear()
    routes.clear()
    async_to_sync(find)(ASKED[0], clear=True)  # what was read before is not kept
    async_to_sync(find)(ASKED[0])
    assert len(loads) == 2


# ---------------------------------------------------------------------------- credentials' health


class Row(SimpleNamespace):
    """A credential as it was read."""

    def but(self, **fields: Any) -> Any:
        return Row(**vars(self) | fields)


READ: Any = Row(pk=ACME, version=1, state=CredentialState.CONNECTED, resting_until=None)


def test_health_is_that_of_the_credential_in_its_version() -> None:
    states = HealthStates()
    assert states.of(READ) is states.of(READ)
    assert states.of(READ) is not states.of(READ.but(version=2))
    assert states.of(READ) is not states.of(READ.but(pk=GLOBEX))


def test_a_failure_rests_a_credential_until_the_database_knows_better() -> None:
    states = HealthStates()
    health = states.of(READ)
    health.fail(60.0)
    assert states.of(READ).is_resting(time.monotonic())  # read before the failure was written
    health.is_unwritten = False
    assert not states.of(READ).is_resting(time.monotonic())  # somebody has checked it since
    until = timezone.now() + timedelta(seconds=30)
    resting = READ.but(state=CredentialState.COOLING, resting_until=until)
    assert 29 < states.of(resting).resting_until - time.monotonic() <= 30
    unreadable = READ.but(state=CredentialState.UNREADABLE)
    assert states.of(unreadable).resting_until == FOREVER


def test_a_success_is_noted_once_a_minute_and_after_a_failure() -> None:
    states, health = HealthStates(), Health()
    assert health.needs_success
    health.succeed()
    assert not health.needs_success
    health.fail(0.0)
    assert health.needs_success
    health = states.of(READ)
    health.succeed()
    states.of(READ.but(state=CredentialState.REJECTED))
    assert health.needs_success


@pytest.mark.parametrize(
    ("failure", "retry_after", "seconds"),
    [
        (Failure.RATE_LIMIT, None, 60.0),
        (Failure.RATE_LIMIT, 7.0, 7.0),
        (Failure.RATE_LIMIT, 0.0, 1.0),
        (Failure.RATE_LIMIT, 86_400.0, 3600.0),
        (Failure.AUTH, 2.0, 300.0),
        (Failure.NO_FUNDS, None, 300.0),
        (Failure.BAD_REQUEST, 5.0, 0.0),
    ],
)
def test_a_credential_rests_as_long_as_its_provider_asks(
    failure: Failure, retry_after: float | None, seconds: float
) -> None:
    assert cooldown_seconds(ProviderError(failure, "x", retry_after=retry_after)) == seconds
