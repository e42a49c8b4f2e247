"""The operators' searches and filters of calls and holds take as long in a large ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from core.ids import first_of
from quotas.admin import calls
from quotas.models import CreditPool
from tenants.models import Tenant, User
from tenants.scope import all_tenants
from tests import ledger
from tests.quotas.conftest import make_pool, record_for, request_for

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
Found = Callable[..., set[str]]


@pytest.fixture
def found(operator: User) -> Found:
    """The keys of the rows that a list shows."""
    client = Client()
    client.force_login(operator)

    def keys(model: str, **query: str) -> set[str]:
        answer = client.get(f"/admin/quotas/{model}/", query)
        assert answer.status_code == 200
        return {str(row.pk) for row in answer.context["cl"].result_list}

    return keys


@pytest.fixture
def pools(tenant: Tenant, other: Tenant) -> tuple[CreditPool, CreditPool]:
    return make_pool(tenant), make_pool(other)


def test_holds_by_request_and_by_key(pools: tuple[CreditPool, CreditPool], found: Found) -> None:
    held = [
        ledger.hold(request_for(pool, key=f"key-{number}", request_id="shared")).hold_id
        for number, pool in enumerate(pools)
    ]
    with all_tenants():
        tenant = Tenant.objects.get(pk=pools[0].tenant_id)
    assert held[0] is not None
    ledger.settle(hold_id=held[0], record=record_for(tenant, request_id="shared"))
    assert found("hold", q="shared") == {str(pk) for pk in held}
    assert found("hold", q="key-1") == {str(held[1])}
    assert found("hold", q="nothing") == set()


def at(tenant: Tenant, time: datetime, *, after: timedelta, **fields: str) -> UUID:
    """Record a call that took `after`."""
    pk = UUID(int=first_of(time + after).int | int.from_bytes(tenant.pk.bytes[:4]))
    ledger.record_call(record_for(tenant, id=pk, time=time, **fields))
    return pk


def test_a_day_has_its_calls_also_those_that_ended_on_the_next(
    tenant: Tenant, other: Tenant, found: Found
) -> None:
    midnight = NOON + timedelta(hours=12)
    late = midnight - timedelta(seconds=5)
    ours = [at(owner, late, after=timedelta(minutes=5)) for owner in (tenant, other)]
    theirs = at(tenant, midnight, after=timedelta())
    day = {"time__year": "2026", "time__month": "11", "time__day": "20"}
    assert found("callrecord", **day) == set(map(str, ours))
    day["time__day"] = "21"
    assert found("callrecord", **day) == {str(theirs)}


def test_what_no_index_covers_is_looked_for_in_the_newest_calls(
    tenant: Tenant, other: Tenant, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [
        str(
            at(
                owner,
                NOON + timedelta(hours=hour),
                after=timedelta(),
                model="gpt-9",
                provider="trial",
                status="error" if hour < 30 else "ok",
            )
        )
        for hour, owner in ((0, tenant), (1, other), (30, tenant), (31, other))
    ]
    queries = (
        {"q": "gpt-9"},
        {"provider": "trial"},
        {"tokens": "none"},
    )
    for query in queries:
        assert found("callrecord", **query) == set(keys)
    monkeypatch.setattr(calls, "MOST_SEARCHED", 2)
    for query in queries:
        assert found("callrecord", **query) >= set(keys[2:])
        assert keys[0] not in found("callrecord", **query)
    # A period has newest calls of its own, and failed calls have an index.
    day = {"time__year": "2026", "time__month": "11", "time__day": "20"}
    assert found("callrecord", **day, provider="trial") == set(keys[:2])
    assert found("callrecord", status__exact="error") == set(keys[:2])


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_failed_calls_are_found_by_their_index(tenant: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM quotas_callrecord WHERE status = 'error' ORDER BY id DESC"
        )
        plan = " ".join(line for (line,) in cursor.fetchall())
    assert "call_not_ok" in plan
    assert "Sort" not in plan
