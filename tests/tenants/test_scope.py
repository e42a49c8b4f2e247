"""Fail closed: without an active tenant nothing is read, and nothing of another tenant is
written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tenants.auth.permissions import Role
from tenants.models import AuditEntry, ForeignTenant, Membership, TenantOwned
from tenants.scope import (
    EVERYONE,
    NoActiveTenant,
    abound,
    active_tenant,
    all_tenants,
    bound,
    tenant_scope,
)
from tests.factories import Workspace


def subclasses(model: type[TenantOwned]) -> list[type[TenantOwned]]:
    return [one for one in model.__subclasses__() if not one._meta.abstract]


@pytest.mark.parametrize("model", subclasses(TenantOwned), ids=lambda model: model.__name__)
def test_no_table_is_read_without_a_tenant(model: type[TenantOwned], db: None) -> None:
    with pytest.raises(NoActiveTenant):
        model.objects.count()
    with all_tenants():
        model.objects.count()


def test_a_tenant_sees_its_own_rows(acme: Workspace, globex: Workspace) -> None:
    with tenant_scope(acme.tenant):
        assert {row.tenant_id for row in Membership.objects.all()} == {acme.tenant.pk}
        assert not Membership.objects.filter(tenant=globex.tenant).exists()
        assert not Membership.objects.filter(user=globex.owner).exists()
        assert Membership.objects.filter(tenant=globex.tenant).update(role=Role.VIEWER) == 0
        assert Membership.objects.filter(tenant=globex.tenant).delete()[0] == 0
    with tenant_scope(globex.tenant):
        assert Membership.objects.filter(role=Role.OWNER).count() == 1


def test_writing_another_tenants_row_is_refused(acme: Workspace, globex: Workspace) -> None:
    with tenant_scope(globex.tenant):
        foreign = Membership.objects.get(role=Role.OWNER)
    with tenant_scope(acme.tenant):
        with pytest.raises(ForeignTenant):
            foreign.save()
        with pytest.raises(ForeignTenant):
            foreign.delete()
        with pytest.raises(ForeignTenant):
            AuditEntry.objects.create(tenant=globex.tenant, actor="x", action="y")
        own = Membership.objects.get(role=Role.OWNER)
        own.tenant = globex.tenant
        with pytest.raises(ForeignTenant):
            own.save()


def test_writing_without_a_tenant_is_refused(acme: Workspace) -> None:
    with tenant_scope(acme.tenant):
        row = Membership.objects.get(role=Role.OWNER)
    with pytest.raises(NoActiveTenant):
        row.save()
    with pytest.raises(NoActiveTenant):
        row.delete()


def test_scopes_nest_and_end_with_an_error(acme: Workspace, globex: Workspace) -> None:
    with tenant_scope(acme.tenant):
        with tenant_scope(globex.tenant.pk):
            assert active_tenant() == globex.tenant.pk
        with pytest.raises(ZeroDivisionError), tenant_scope(globex.tenant.pk):
            1 / 0  # noqa: B018
        assert active_tenant() == acme.tenant.pk
        with all_tenants():
            assert active_tenant() is EVERYONE
    with pytest.raises(NoActiveTenant):
        active_tenant()


class TestStreams:
    def test_a_stream_keeps_the_scope_it_was_made_in(self, acme: Workspace) -> None:
        closed = []

        def pieces() -> Iterator[object]:
            try:
                while True:
                    yield active_tenant()
            finally:
                closed.append(active_tenant())

        with tenant_scope(acme.tenant):
            stream = bound(pieces())
        assert next(stream) == next(stream) == acme.tenant.pk
        with pytest.raises(NoActiveTenant):
            active_tenant()
        stream.close()  # type: ignore[attr-defined]
        assert closed == [acme.tenant.pk]

    def test_a_stream_without_a_scope_fails_at_once(self) -> None:
        with pytest.raises(NoActiveTenant):
            bound([1])

    def test_it_ends_where_its_source_ends(self, acme: Workspace) -> None:
        with tenant_scope(acme.tenant):
            assert list(bound([1, 2])) == [1, 2]

    def test_the_asynchronous_one(self, acme: Workspace) -> None:
        async def pieces() -> AsyncIterator[object]:
            for _number in range(2):
                await asyncio.sleep(0)
                yield active_tenant()

        with tenant_scope(acme.tenant):
            stream = abound(pieces())

        async def consume() -> list[object]:
            return [piece async for piece in stream]

        assert asyncio.run(consume()) == [acme.tenant.pk] * 2
