"""How far rollups reach: nowhere for who does not call, and never past the database's clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from quotas.models import RolledUntil, StaleHour
from quotas.usage import rollups, summaries
from quotas.usage.rollups import roll_up
from tenants.models import Tenant
from tenants.scope import all_tenants, tenant_scope
from tests import ledger
from tests.quotas.usage.test_rollups import NOW, compare_rollups, record_for


@pytest.mark.django_db
def test_a_tenant_without_new_calls_costs_one_look(
    tenant: Tenant, other: Tenant, django_assert_num_queries: Any
) -> None:
    with tenant_scope(tenant):
        ledger.record_call(record_for(tenant, time=NOW - timedelta(hours=5)))
    assert roll_up(now=NOW).closed == 1
    with django_assert_num_queries(2):  # whose rollups are ahead, and who has calls
        assert roll_up(now=NOW + timedelta(days=40)) == rollups.Rolled()
    with tenant_scope(tenant):  # it calls again after a month
        ledger.record_call(record_for(tenant, time=NOW + timedelta(days=30)))
        assert roll_up(now=NOW + timedelta(days=40)).closed == 1
        assert (
            summaries.totals(tenant_id=tenant.pk, days=60, now=NOW + timedelta(days=40)).calls == 2
        )
        compare_rollups()
    with all_tenants():
        assert RolledUntil.objects.count() == 1


@pytest.mark.django_db
def test_rollups_of_a_clock_that_was_ahead_are_taken_back(tenant: Tenant, other: Tenant) -> None:
    """Calls since would otherwise fall into hours that count as rolled up."""
    for owner in (tenant, other):
        with tenant_scope(owner):
            ledger.record_call(record_for(owner, time=NOW - timedelta(hours=5)))
            ledger.record_call(record_for(owner, time=NOW - timedelta(minutes=50)))
    assert roll_up(now=NOW + timedelta(days=1)).closed == 4
    for owner in (tenant, other):
        with tenant_scope(owner):
            ledger.record_call(record_for(owner, time=NOW - timedelta(minutes=10)))
            StaleHour.objects.all().delete()  # these calls came in time
    assert roll_up(now=NOW) == rollups.Rolled()
    for owner in (tenant, other):
        with tenant_scope(owner):
            assert RolledUntil.objects.get().until == rollups.floor_hour(NOW - rollups.CLOSED_AFTER)
            assert summaries.totals(tenant_id=owner.pk, days=2, now=NOW).calls == 3
    later = NOW + timedelta(days=1)
    assert roll_up(now=later).failed == 0
    for owner in (tenant, other):
        with tenant_scope(owner):
            assert summaries.totals(tenant_id=owner.pk, days=3, now=later).calls == 3
            compare_rollups()
