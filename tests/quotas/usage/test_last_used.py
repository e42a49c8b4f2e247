"""When a model was called last: the day that all records say, from one look into an index and the
last few hours.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quotas.models import CallRecord
from quotas.usage import last_used
from quotas.usage.rollups import roll_up
from tenants.models import Tenant
from tenants.scope import NoActiveTenant, tenant_scope
from tests import ledger
from tests.quotas.conftest import record_for
from tests.quotas.usage.test_rollups import NOW, ZONES, Step, fresh_tenant, take

MODELS = [
    (provider, model) for provider in ("openai", "tongyi") for model in ("a", "b/c", "", "never")
]


def of_all_records(tenant: Tenant) -> dict[tuple[str, str], datetime]:
    found: dict[tuple[str, str], datetime] = {}
    for one in CallRecord.objects.filter(tenant=tenant):
        found[one.provider, one.model] = max(
            one.time, found.get((one.provider, one.model), one.time)
        )
    return found


def days(found: dict[tuple[str, str], datetime]) -> dict[tuple[str, str], Any]:
    return {pair: timezone.localdate(moment) for pair, moment in found.items()}


def call(tenant: Tenant, at: datetime, model: str = "a", **fields: Any) -> None:
    ledger.record_call(
        record_for(tenant, **{"time": at, "provider": "openai", "model": model, **fields})
    )


@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(Step, max_size=10), zone=st.sampled_from(ZONES))
def test_the_day_is_that_of_all_records(steps: list[Any], zone: str) -> None:
    """Whatever is summed, stale, late or not summed yet, and wherever midnight is."""
    with fresh_tenant() as tenant, timezone.override(ZoneInfo(zone)), tenant_scope(tenant):
        for step in steps:
            take(step, tenant)
            assert days(last_used.latest_calls(tenant_id=tenant.pk, models=MODELS)) == days(
                of_all_records(tenant)
            )


@pytest.mark.parametrize(("minute", "day"), [(29, 20), (31, 21)])
def test_a_midnight_inside_of_a_summed_hour_is_told(minute: int, day: int, tenant: Tenant) -> None:
    with (
        tenant_scope(tenant),
        timezone.override(ZoneInfo("Asia/Kolkata")),
    ):  # half an hour off: midnight is at 18:30
        call(tenant, datetime(2026, 11, 20, 18, minute, tzinfo=UTC))
        call(tenant, datetime(2026, 11, 20, 18, 10, tzinfo=UTC), "other")
        roll_up(now=NOW)
        found = last_used.latest_calls(
            tenant_id=tenant.pk, models=[("openai", "a"), ("openai", "other")]
        )
        assert days(found) == {
            ("openai", "a"): datetime(2026, 11, day).date(),
            ("openai", "other"): datetime(2026, 11, 20).date(),
        }


def test_a_call_counts_whatever_came_of_it_and_at_once(tenant: Tenant) -> None:
    now = timezone.now()
    with tenant_scope(tenant):
        call(tenant, now - timedelta(days=3))
        roll_up()
        call(tenant, now - timedelta(seconds=1), status="error", error_code="provider_timeout")
        found = last_used.latest_calls(tenant_id=tenant.pk, models=[("openai", "a")])
        assert abs(found["openai", "a"] - now) < timedelta(seconds=2)


def test_other_tenants_calls_are_nobodys(tenant: Tenant, other: Tenant) -> None:
    with tenant_scope(other):
        call(other, NOW - timedelta(days=3))
        call(other, timezone.now())
        roll_up()
    with tenant_scope(tenant):
        assert last_used.latest_calls(tenant_id=tenant.pk, models=[("openai", "a")]) == {}
        assert last_used.latest_calls(tenant_id=other.pk, models=[("openai", "a")]) == {}, (
            "the scope is another's"
        )
    with pytest.raises(NoActiveTenant):
        last_used.latest_calls(tenant_id=tenant.pk, models=[("openai", "a")])


def test_fifty_models_are_one_query_that_looks_into_indexes(tenant: Tenant) -> None:
    with tenant_scope(tenant), timezone.override(UTC):
        for number in range(4):
            call(tenant, NOW - timedelta(hours=number), f"m{number}")
        roll_up(now=NOW)
        with CaptureQueriesContext(connection) as asked:
            found = last_used.latest_calls(
                tenant_id=tenant.pk, models=[("openai", f"m{number}") for number in range(50)]
            )
        assert len(found) == 4
        assert len(asked) == 1
        assert last_used.latest_calls(tenant_id=tenant.pk, models=[]) == {}
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {asked[0]['sql']}")
            plan = "\n".join(row[-1] for row in cursor.fetchall())
        assert (
            "USING COVERING INDEX rollup_of_model (tenant_id=? AND provider=? AND model=? AND "
            "span=?)" in plan
        )
        assert "SEARCH c USING INDEX call_tenant_time (tenant_id=? AND time>?)" in plan
        assert "SEARCH c USING INDEX call_tenant_time (tenant_id=? AND time>? AND time<?)" in plan
        assert "SCAN c" not in plan
        assert "SCAN u" not in plan
