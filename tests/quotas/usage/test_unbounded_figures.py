"""Figures that a hostile provider reports overflow no column, sum or page of anybody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from quotas.ledger.pricing import MOST_COST
from quotas.ledger.records import LENGTHS, MOST_TOKENS
from quotas.models import CallRecord, RolledUntil, StaleHour, UsageRollup
from quotas.usage import columns, rollups, summaries
from quotas.usage.rollups import roll_up
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests import ledger
from tests.migrating import migrate, migrate_all
from tests.quotas.conftest import record_for

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=5)
LARGEST = 2**63 - 1  # of a column of whole numbers


def test_texts_fit_their_columns() -> None:
    assert {name: CallRecord._meta.get_field(name).max_length for name in LENGTHS} == LENGTHS


@pytest.mark.django_db
def test_a_record_fits_its_columns_whatever_was_reported(tenant: Tenant) -> None:
    ledger.record_call(
        record_for(
            tenant,
            prompt_tokens=2**80,
            completion_tokens=-1,
            cached_tokens=LARGEST,
            cost=Decimal(10) ** 40,
            currency="USD",
            latency_ms=2**40,
            finish_reason="st\0op\ud800" + "p" * 100,
            error_code="e" * 41,
            error_message="w\0\ud800" + "x" * 1000,
            error_param="p" * 1000,
        )
    )
    with tenant_scope(tenant):
        record = CallRecord.objects.get()
        assert (record.prompt_tokens, record.completion_tokens) == (MOST_TOKENS, 0)
        assert (record.cached_tokens, record.cost) == (MOST_TOKENS, MOST_COST)
        assert (record.latency_ms, record.error_code) == (2**31 - 1, "e" * 40)
        assert record.finish_reason == "stop" + "p" * 16
        assert record.error_message == "w" + "x" * 499
        assert record.error_param == "p" * 100


def write_as_before(tenant: Tenant, **fields: Any) -> None:
    """Write a record as before records were bounded; the constraints of its columns hold."""
    values: dict[str, Any] = {
        "request_id": "r",
        "operation": "chat.completions",
        "status": "ok",
        "time": EARLIER,
        "prompt_tokens": LARGEST,
        "completion_tokens": LARGEST,
        "cost": Decimal("9999999999.9999999"),
        "currency": "USD",
    }
    CallRecord.objects.create(tenant=tenant, **values | fields)


@pytest.mark.django_db
def test_records_of_before_are_summed_with_bounds(tenant: Tenant, other: Tenant) -> None:
    with tenant_scope(tenant):
        for _number in range(3):
            write_as_before(tenant)
        unrolled = summaries.totals(tenant_id=tenant.pk, days=2, now=NOW)
    with tenant_scope(other):
        write_as_before(other, prompt_tokens=5, completion_tokens=None, cost=Decimal("0.5"))
    assert roll_up(now=NOW + timedelta(days=1)).failed == 0
    for owner, tokens, cost in ((tenant, 3 * MOST_TOKENS, 3 * MOST_COST), (other, 5, "0.5")):
        with tenant_scope(owner):
            total = summaries.totals(tenant_id=owner.pk, days=2, now=NOW)
            assert (total.prompt_tokens, total.costs[0].amount) == (tokens, Decimal(cost))
            day = UsageRollup.objects.get(span=24)
            assert (day.prompt_tokens, day.cost_steps) == (tokens, Decimal(cost).scaleb(10))
            if owner is tenant:
                assert total == unrolled


@pytest.mark.django_db
def test_sums_of_any_number_of_calls_stay_within_64_bits(tenant: Tenant) -> None:
    """Sums of hours that hold the largest number that fits: of a day, and of the whole period."""
    with tenant_scope(tenant):
        for hour in range(24):
            write_as_before(tenant, time=EARLIER.replace(hour=0) - timedelta(hours=hour))
        roll_up(now=NOW)
        names = ("prompt_tokens", "completion_tokens", "cost_steps")
        UsageRollup.objects.filter(span=1).update(**dict.fromkeys(names, LARGEST))
        for start in UsageRollup.objects.filter(span=24).values_list("start", flat=True):
            rollups._sum_day(
                tenant.pk if connection.vendor == "postgresql" else tenant.pk.hex, start
            )
        for values in UsageRollup.objects.filter(span=24).values_list(*names):
            assert set(values) == {columns.MOST}
        row = summaries.totals(tenant_id=tenant.pk, days=3, now=NOW)
        assert row.prompt_tokens == columns.MOST


@pytest.mark.django_db
def test_a_workspace_that_fails_stops_no_other(
    tenant: Tenant, other: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for owner in (tenant, other):
        ledger.record_call(record_for(owner, time=EARLIER))
    first, second = sorted((tenant, other), key=lambda owner: owner.pk)
    sum_hour = rollups._sum_hour

    def fail_for_first(tenant_id: Any, start: datetime) -> None:
        sum_hour(tenant_id, start)
        if str(tenant_id).replace("-", "") == first.pk.hex:
            rollups.execute("SELECT no_such_column FROM quotas_usagerollup")

    with monkeypatch.context() as patch:
        patch.setattr(rollups, "_sum_hour", fail_for_first)
        assert roll_up(now=NOW) == rollups.Rolled(closed=1, failed=1)
    assert "Cannot roll up the usage of workspace" in caplog.text
    with tenant_scope(second):
        assert UsageRollup.objects.count() == 1
    with tenant_scope(first):
        assert not UsageRollup.objects.exists()  # rolled back as a whole
        assert summaries.totals(tenant_id=first.pk, days=2, now=NOW).calls == 1
        assert roll_up(now=NOW) == rollups.Rolled(closed=1)
        assert UsageRollup.objects.count() == 1


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_sums_of_before_are_made_again(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        write_as_before(tenant)
        ledger.record_call(record_for(tenant, time=EARLIER - timedelta(hours=1)))
        roll_up(now=NOW)
        StaleHour.objects.all().delete()
        try:
            migrate("quotas", "0006_latest_call_of_a_model")
            UsageRollup.objects.filter(start__hour=EARLIER.hour).update(prompt_tokens=LARGEST)
        finally:
            migrate_all()
        assert roll_up(now=NOW).redone == 1
        assert RolledUntil.objects.get().until == NOW - rollups.CLOSED_AFTER
        assert summaries.totals(tenant_id=tenant.pk, days=2, now=NOW).prompt_tokens == MOST_TOKENS
