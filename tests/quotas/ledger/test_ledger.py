"""Hold, mark as sent, settle, void, record: what each writes, and what a repeat does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, transaction

from quotas.ledger.states import HoldRequest, HoldState, UnknownHold, UnknownPool
from quotas.models import CallRecord, CreditPool, Hold
from tenants.models import Tenant
from tenants.scope import all_tenants
from tests import ledger
from tests.quotas.conftest import make_plan, make_pool, record_for, request_for

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def everyone(db: None):
    with all_tenants():
        yield


def held(pool: CreditPool, key: str = "k1", **fields) -> UUID:
    result = ledger.hold(request_for(pool, key, **fields))
    assert result.state is HoldState.HELD
    assert result.hold_id is not None
    return result.hold_id


def credits(pool: CreditPool) -> tuple[int, int, int]:
    pool.refresh_from_db()
    return pool.limit, pool.settled, pool.held


def test_hold_reserves_and_is_read_by_the_orm(pool: CreditPool) -> None:
    request = request_for(pool, amount=3, facts={"operation": "embeddings", "stream": False})
    result = ledger.hold(request, now=NOW)

    assert (result.state, result.settled, result.held, result.left) == (HoldState.HELD, 0, 3, 7)
    hold = Hold.objects.get()
    assert hold.pk == result.hold_id == request.hold_id
    assert (hold.tenant_id, hold.pool_id, hold.key, hold.fingerprint) == (
        pool.tenant_id,
        pool.pk,
        "k1",
        "f" * 64,
    )
    assert (hold.amount, hold.used, hold.state, hold.reason, hold.sent, hold.model) == (
        3,
        0,
        "held",
        "",
        False,
        "small",
    )
    assert hold.facts == {"operation": "embeddings", "stream": False}
    assert (hold.created, hold.expires) == (NOW, NOW + timedelta(seconds=660))


def test_the_database_s_clock_counts_without_an_injected_one(pool: CreditPool) -> None:
    before = datetime.now(UTC)
    held(pool)
    hold = Hold.objects.get()
    assert abs(hold.created - before) < timedelta(seconds=5)
    assert abs(hold.expires - hold.created - timedelta(seconds=660)) < timedelta(milliseconds=5)


def test_a_pool_gives_its_limit_and_no_more(pool: CreditPool) -> None:
    held(pool, "k1", amount=5)
    held(pool, "k2", amount=5)
    result = ledger.hold(request_for(pool, "k3"))

    assert (result.state, result.hold_id) == (HoldState.EXHAUSTED, None)
    assert (result.settled, result.held, result.left) == (0, 10, 0)
    assert Hold.objects.count() == 2
    assert credits(pool) == (10, 0, 10)


def test_a_dearer_model_is_refused_where_a_cheaper_one_fits(pool: CreditPool) -> None:
    held(pool, "k1", amount=7)
    assert ledger.hold(request_for(pool, "k2", amount=4)).state is HoldState.EXHAUSTED
    assert ledger.hold(request_for(pool, "k3", amount=3)).state is HoldState.HELD


def test_a_repeat_holds_nothing_more_and_says_how_the_first_stands(
    pool: CreditPool, tenant: Tenant
) -> None:
    first = held(pool, amount=2)
    repeat = ledger.hold(request_for(pool, amount=2))
    assert (repeat.state, repeat.hold_id, repeat.held) == (HoldState.IN_PROGRESS, first, 2)

    ledger.settle(hold_id=first, record=record_for(tenant))
    repeat = ledger.hold(request_for(pool, amount=2))
    assert (repeat.state, repeat.hold_id, repeat.used, repeat.settled, repeat.left) == (
        HoldState.DONE,
        first,
        2,
        2,
        8,
    )

    assert ledger.hold(request_for(pool, fingerprint="e" * 64)).state is HoldState.MISMATCH
    assert credits(pool) == (10, 2, 0)


def test_a_repeat_is_told_apart_from_exhaustion_in_a_full_pool(pool: CreditPool) -> None:
    first = held(pool, amount=10)
    repeat = ledger.hold(request_for(pool, amount=10))
    assert (repeat.state, repeat.hold_id) == (HoldState.IN_PROGRESS, first)


def test_the_same_key_in_another_pool_is_another_request(pool: CreditPool, other: Tenant) -> None:
    held(pool)
    held(make_pool(other))


def test_settle_moves_the_credits_and_writes_the_record(pool: CreditPool, tenant: Tenant) -> None:
    hold_id = held(pool, amount=5)
    record = record_for(
        tenant,
        app_key_id=uuid4(),
        app_key_name="CI",
        user_id=None,
        scenario="reasoning",
        provider="openai",
        model="gpt-3.5-turbo",
        source="trial:openai",
        stream=True,
        prompt_tokens=12,
        completion_tokens=40,
        usage_source="reported",
        cost=Decimal("0.0000123456"),
        currency="USD",
        attempts=2,
        attempt_log=[{"provider": "openai", "ms": 12}],
        latency_ms=812,
        first_token_ms=120,
        finish_reason="stop",
        time=NOW + timedelta(microseconds=5),
    )
    result = ledger.settle(hold_id=hold_id, record=record)

    assert (
        result.applied,
        result.state,
        result.used,
        result.settled,
        result.held,
        result.left,
    ) == (True, "settled", 5, 5, 0, 5)
    row = CallRecord.objects.get()
    for name in record.__dataclass_fields__:
        assert getattr(row, name) == (getattr(record, name)), name
    assert (row.hold_id, row.credits) == (hold_id, 5)
    assert (row.hold.state, row.hold.used) == ("settled", 5)


def test_less_than_held_may_be_charged(pool: CreditPool, tenant: Tenant) -> None:
    result = ledger.settle(hold_id=held(pool, amount=5), record=record_for(tenant), used=2)
    assert (result.used, result.settled, result.held, result.left) == (2, 2, 0, 8)
    assert CallRecord.objects.get().credits == 2


def test_more_than_held_is_refused_and_changes_nothing(pool: CreditPool, tenant: Tenant) -> None:
    hold_id = held(pool, amount=2)
    with pytest.raises(IntegrityError), transaction.atomic():
        ledger.settle(hold_id=hold_id, record=record_for(tenant), used=3)
    assert Hold.objects.get().state == "held"
    assert credits(pool) == (10, 0, 2)


def test_void_gives_the_credits_back_and_writes_the_record(
    pool: CreditPool, tenant: Tenant
) -> None:
    hold_id = held(pool, amount=5)
    record = record_for(tenant, status="error", error_code="provider_rate_limited", http_status=429)
    result = ledger.void(hold_id=hold_id, record=record, reason="provider_rate_limited")

    assert (result.applied, result.state, result.used, result.left) == (True, "voided", 0, 10)
    row = CallRecord.objects.get()
    assert (row.credits, row.status, row.error_code, row.http_status) == (
        0,
        "error",
        "provider_rate_limited",
        429,
    )
    assert (row.hold.state, row.hold.used, row.hold.reason) == (
        "voided",
        0,
        "provider_rate_limited",
    )


@pytest.mark.parametrize("first", ["settle", "void"])
@pytest.mark.parametrize("second", ["settle", "void"])
def test_a_hold_is_finished_once(pool: CreditPool, tenant: Tenant, first: str, second: str) -> None:
    def finish(how: str):
        if how == "settle":
            return ledger.settle(hold_id=hold_id, record=record_for(tenant))
        return ledger.void(
            hold_id=hold_id, record=record_for(tenant, status="error"), reason="provider_error"
        )

    hold_id = held(pool, amount=3)
    finish(first)
    after_first = credits(pool)
    repeat = finish(second)

    assert (repeat.applied, repeat.state) == (False, "settled" if first == "settle" else "voided")
    assert repeat.used == (3 if first == "settle" else 0)
    assert credits(pool) == after_first
    assert CallRecord.objects.count() == 1


def test_settling_nothing_there_raises(pool: CreditPool, tenant: Tenant) -> None:
    with pytest.raises(UnknownHold):
        ledger.settle(hold_id=uuid4(), record=record_for(tenant))
    assert CallRecord.objects.count() == 0


def test_marked_as_sent_once_held_and_never_after(pool: CreditPool, tenant: Tenant) -> None:
    hold_id = held(pool)
    assert ledger.mark_sent(tenant_id=tenant.pk, hold_id=hold_id) is True
    assert Hold.objects.get().sent is True
    ledger.void(hold_id=hold_id, record=record_for(tenant, status="error"), reason="provider_error")
    assert ledger.mark_sent(tenant_id=tenant.pk, hold_id=hold_id) is False


def test_a_record_without_a_hold_is_written_once(tenant: Tenant) -> None:
    record = record_for(tenant, source="credential:Main", cost=None)
    assert ledger.record_call(record) is True
    assert ledger.record_call(record) is False
    row = CallRecord.objects.get()
    assert (row.hold_id, row.credits, row.cost, row.source) == (None, 0, None, "credential:Main")


def test_another_tenant_s_pool_and_hold_are_not_there(
    pool: CreditPool, tenant: Tenant, other: Tenant
) -> None:
    hold_id = held(pool)
    with pytest.raises(UnknownPool):
        ledger.hold(request_for(pool, "k2", tenant_id=other.pk))
    with pytest.raises(UnknownPool):
        ledger.hold(request_for(pool, "k1", tenant_id=other.pk))
    with pytest.raises(UnknownHold):
        ledger.settle(hold_id=hold_id, record=record_for(other))
    with pytest.raises(UnknownHold):
        ledger.void(hold_id=hold_id, record=record_for(other), reason="x")
    assert ledger.mark_sent(tenant_id=other.pk, hold_id=hold_id) is False
    assert (Hold.objects.get().state, Hold.objects.get().sent) == ("held", False)
    assert credits(pool) == (10, 0, 1)
    assert CallRecord.objects.count() == 0


@pytest.mark.parametrize("amount", [0, -1])
def test_a_hold_of_nothing_is_a_mistake(pool: CreditPool, amount: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ledger.hold(request_for(pool, amount=amount))


def test_an_empty_pool_refuses(tenant: Tenant) -> None:
    empty = make_pool(tenant, limit=0, plan=make_plan("none", limit=0))
    assert ledger.hold(request_for(empty)).state is HoldState.EXHAUSTED


def test_hold_ids_are_made_by_whoever_asks() -> None:
    made = {
        HoldRequest(
            tenant_id=uuid4(),
            pool_id=1,
            key="k",
            fingerprint="f",
            amount=1,
            model="m",
            request_id="r",
            deadline_seconds=1,
        ).hold_id
        for _ in range(9)
    }
    assert len(made) == 9
