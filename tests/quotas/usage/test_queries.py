"""Call records and sums: each workspace its own, exact in every currency, by index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection

from quotas.models import CallRecord
from quotas.trials import queries
from quotas.usage import call_list, summaries
from quotas.usage.summaries import Cost
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests import ledger
from tests.quotas.conftest import make_pool, record_for, request_for

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def write(tenant: Tenant, **fields) -> None:
    ledger.record_call(
        record_for(
            tenant,
            **(
                {"time": NOW, "provider": "openai", "model": "gpt", "source": "credential:Main"}
                | fields
            ),
        )
    )


@pytest.fixture
def written(tenant: Tenant, other: Tenant):
    """Nine calls of one workspace in two currencies on three days, and one of another that must be
    in no answer.
    """
    for _number in range(5):
        write(
            tenant,
            cost=Decimal("0.1"),
            currency="USD",
            prompt_tokens=10,
            completion_tokens=4,
            app_key_name="CI",
        )
    write(
        tenant,
        cost=Decimal("0.0000000001"),
        currency="USD",
        time=NOW - timedelta(days=1),
        model="gpt/mini",
    )
    write(
        tenant,
        cost=Decimal("7.25"),
        currency="CNY",
        provider="tongyi",
        model="qwen",
        time=NOW - timedelta(days=6),
    )
    write(tenant, status="error", error_code="provider_timeout", http_status=504)
    write(tenant, status="cancelled", time=NOW - timedelta(days=40), source="trial:openai")
    write(other, cost=Decimal("1000"), currency="USD", prompt_tokens=99999, model="theirs")
    with tenant_scope(tenant):
        yield


@pytest.mark.usefixtures("written")
def test_sums_are_exact_and_currencies_are_kept_apart(tenant: Tenant) -> None:
    row = summaries.totals(tenant_id=tenant.pk, days=30, now=NOW)
    assert (
        row.calls,
        row.errors,
        row.cancelled,
        row.prompt_tokens,
        row.completion_tokens,
        row.unpriced,
    ) == (8, 1, 0, 50, 20, 0)
    assert row.costs == [Cost("CNY", Decimal("7.25")), Cost("USD", Decimal("0.5000000001"))]
    before = summaries.totals(tenant_id=tenant.pk, days=30, periods_back=1, now=NOW)
    assert (before.calls, before.cancelled, before.trial_calls, before.unpriced, before.costs) == (
        1,
        1,
        1,
        1,
        [],
    )


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("model", [("openai/gpt", 6), ("openai/gpt/mini", 1), ("tongyi/qwen", 1)]),
        ("provider", [("openai", 7), ("tongyi", 1)]),
        ("app_key", [("CI", 5), ("", 3)]),
        ("source", [("credential:Main", 8)]),
        ("error_code", [("provider_timeout", 1)]),
    ],
)
def test_grouped_sums(
    tenant: Tenant, by: str, expected: list[tuple[str, int]], django_assert_num_queries
) -> None:
    with django_assert_num_queries(2):
        found = summaries.summary(tenant_id=tenant.pk, days=30, by=by, now=NOW)
    assert [(row.key, row.calls) for row in found.rows] == expected


@pytest.mark.usefixtures("written")
def test_each_day_has_a_row(tenant: Tenant) -> None:
    found = summaries.summary(tenant_id=tenant.pk, days=7, by="day", now=NOW)
    assert found.since == datetime(2026, 11, 16, tzinfo=UTC)
    assert [(row.key, row.calls) for row in found.rows] == [
        ("2026-11-16", 1),
        ("2026-11-17", 0),
        ("2026-11-18", 0),
        ("2026-11-19", 0),
        ("2026-11-20", 0),
        ("2026-11-21", 1),
        ("2026-11-22", 6),
    ]


def test_usage_is_grouped_by_known_columns_only(tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="not grouped"), tenant_scope(tenant):
        summaries.summary(tenant_id=tenant.pk, by="tenant_id")


@pytest.mark.usefixtures("written")
def test_calls_newest_first_in_pages_without_gaps(tenant: Tenant) -> None:
    pages, after = [], None
    while page := call_list.calls(tenant_id=tenant.pk, after=after, limit=4):
        pages.append(len(page))
        after = page[-1].pk
    assert pages == [4, 4, 1]
    order = [(row.time, row.pk) for row in call_list.calls(tenant_id=tenant.pk)]
    assert order == sorted(order, reverse=True)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("filters", "number"),
    [
        ({"model": "gpt"}, 7),
        ({"model": "openai/gpt"}, 7),
        ({"model": "gpt/mini"}, 1),
        ({"model": "openai/gpt/mini"}, 1),
        ({"model": "tongyi/gpt"}, 0),
        ({"model": "theirs"}, 0),
        ({"source": "trial"}, 1),
        ({"source": "trial:openai"}, 1),
        ({"source": "credential"}, 8),
        ({"source": "tria_"}, 0),
        ({"provider": "tongyi"}, 1),
        ({"status": "error"}, 1),
        ({"since": NOW}, 6),
    ],
)
def test_filters(tenant: Tenant, filters: dict, number: int) -> None:
    assert len(call_list.calls(tenant_id=tenant.pk, **filters)) == number


@pytest.mark.usefixtures("written")
def test_a_stranger_s_call_is_not_there(tenant: Tenant, other: Tenant) -> None:
    assert call_list.calls(tenant_id=other.pk) == []
    assert call_list.call(tenant_id=tenant.pk, pk=uuid4()) is None
    with tenant_scope(other):
        [theirs] = call_list.calls(tenant_id=other.pk)
    assert call_list.call(tenant_id=tenant.pk, pk=theirs.pk) is None
    assert summaries.summary(tenant_id=other.pk, by="model", now=NOW).rows == []


def test_forecast_is_the_pace_of_seven_days(tenant: Tenant) -> None:
    pool = make_pool(tenant, limit=100)
    with tenant_scope(tenant):
        assert queries.forecast(tenant_id=tenant.pk, now=NOW) == {"trial": None}
        for number in range(14):
            hold = ledger.hold(request_for(pool, str(number)))
            ledger.settle(
                hold_id=hold.hold_id,
                record=record_for(tenant, source="trial:trial", time=NOW - timedelta(days=number)),
            )
        assert queries.forecast(tenant_id=tenant.pk, now=NOW) == {"trial": 86 * 7 // 8}


def test_lists_and_sums_use_the_indexes_of_the_workspace(tenant: Tenant) -> None:
    with tenant_scope(tenant):
        listed = CallRecord.objects.filter(tenant_id=tenant.pk, id__lt=uuid4()).order_by("-id")[:50]
        summed = CallRecord.objects.filter(tenant_id=tenant.pk, time__gte=NOW).order_by()
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL enable_seqscan = off")
                cursor.execute("SET LOCAL enable_sort = off")
        assert "call_tenant_newest" in listed.explain()
        assert "call_tenant_time" in summed.explain()
