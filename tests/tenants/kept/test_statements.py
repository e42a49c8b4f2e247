"""What calls keep for later ones: of one workspace, for a while, and never too much."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from core.db.connection import dialect, execute
from core.db.statements import run
from core.errors import ServiceError
from tenants.audit.trail import COMMAND
from tenants.kept import statements
from tenants.kept.sweeping import sweep
from tenants.models import AuditEntry, KeptItem, Tenant
from tenants.scope import all_tenants, tenant_scope
from tenants.services.settings import set_kept_hours
from tests import factories


def keep(tenant: Tenant, key: str, sealed: str = "sealed", hours: int = 6) -> None:
    run(statements.keep(statements.Item(tenant.pk, key, sealed, hours), dialect()), execute)


def find(tenant: Tenant, key: str) -> str | None:
    query = statements.find(tenant.pk, key, dialect())
    rows = execute(query.sql, query.params)
    return rows[0][0] if rows else None


def forget(tenant: Tenant, key: str) -> None:
    query = statements.forget(tenant.pk, key, dialect())
    execute(query.sql, query.params)


def expire(*keys: str) -> None:
    with all_tenants():
        past = timezone.now() - timedelta(seconds=1)
        KeptItem.objects.filter(key__in=keys).update(expires=past)


@pytest.fixture
def both(acme: factories.Workspace, globex: factories.Workspace) -> tuple[Tenant, Tenant]:
    Tenant.objects.update(kept_hours=6)
    return acme.tenant, globex.tenant


def test_items_belong_to_one_workspace(both: tuple[Tenant, Tenant]) -> None:
    acme, globex = both
    keep(acme, "k", "acme's")
    keep(globex, "k", "globex's")
    assert (find(acme, "k"), find(globex, "k")) == ("acme's", "globex's")
    keep(acme, "k", "another")
    forget(globex, "k")
    forget(globex, "k")
    assert (find(acme, "k"), find(globex, "k")) == ("acme's", None)


def test_items_expire_and_are_swept_in_batches(
    both: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "SWEPT", 2)
    acme, _globex = both
    for key in "abcd":
        keep(acme, key)
    expire("a", "b", "c")
    assert (find(acme, "a"), find(acme, "d")) == (None, "sealed")
    assert sweep() == 3
    assert sweep() == 0
    with tenant_scope(acme):
        [item] = KeptItem.objects.all()
        assert (item.key, item.expires - item.created) == ("d", timedelta(hours=6))


@pytest.mark.parametrize(("items", "size"), [(2, 100), (100, 12)])
def test_the_oldest_make_room(
    both: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch, items: int, size: int
) -> None:
    monkeypatch.setattr(statements, "MOST_ITEMS", items)
    monkeypatch.setattr(statements, "MOST_BYTES", size)
    acme, globex = both
    keep(globex, "a")
    for key in "abc":
        keep(acme, key)
    assert [find(acme, key) for key in "abc"] == [None, "sealed", "sealed"]
    assert find(globex, "a") == "sealed"


def test_nothing_is_kept_unless_it_is_switched_on(
    acme: factories.Workspace, globex: factories.Workspace
) -> None:
    keep(acme.tenant, "k")
    assert find(acme.tenant, "k") is None
    with tenant_scope(acme.tenant):
        set_kept_hours(tenant=acme.tenant, hours=24, actor=COMMAND)
        keep(acme.tenant, "k")
        keep(globex.tenant, "k")
        assert find(acme.tenant, "k") == "sealed"
        assert find(globex.tenant, "k") is None
        set_kept_hours(tenant=acme.tenant, hours=0, actor=COMMAND)
        assert find(acme.tenant, "k") is None
        with pytest.raises(ServiceError):
            set_kept_hours(tenant=acme.tenant, hours=5, actor=COMMAND)
        entries = AuditEntry.objects.filter(action="workspace.kept_hours_changed")
        assert [entry.details for entry in entries.order_by("time")] == [
            {"before": 0, "hours": 24, "deleted": 0},
            {"before": 24, "hours": 0, "deleted": 1},
        ]
