"""Holds that nobody finished: given back when nothing was sent, charged as unknown when it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from quotas.ledger import invariants
from quotas.ledger.reap import Reaped, reap
from quotas.ledger.states import HoldState
from quotas.models import CallRecord, CreditPool, Hold
from tenants.models import Tenant
from tenants.scope import all_tenants
from tests import ledger
from tests.quotas.conftest import make_pool, record_for, request_for

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EXPIRED = START + timedelta(seconds=661)


@pytest.fixture(autouse=True)
def everyone(db: None):
    with all_tenants():
        yield


def hold_at_start(pool: CreditPool, key: str = "k1", *, sent: bool, **fields):
    hold = ledger.hold(request_for(pool, key, **fields), now=START)
    assert hold.state is HoldState.HELD
    if sent:
        assert ledger.mark_sent(tenant_id=pool.tenant_id, hold_id=hold.hold_id)
    return hold.hold_id


def test_never_sent_is_given_back(pool: CreditPool) -> None:
    hold_at_start(pool, sent=False, amount=5)
    assert reap(now=EXPIRED) == Reaped(voided=1)

    hold, record = Hold.objects.get(), CallRecord.objects.get()
    assert (hold.state, hold.used, hold.reason) == ("voided", 0, "not_sent")
    assert (record.hold_id, record.credits, record.status, record.error_code) == (
        hold.pk,
        0,
        "error",
        "not_sent",
    )
    pool.refresh_from_db()
    assert (pool.settled, pool.held) == (0, 0)
    assert invariants.audit(now=EXPIRED) == []


def test_sent_is_charged_in_full_as_unknown(pool: CreditPool) -> None:
    key_id = uuid4()
    facts = {
        "operation": "embeddings",
        "app_key_id": str(key_id),
        "app_key_name": "CI",
        "scenario": "embedding",
        "stream": True,
    }
    hold_at_start(pool, sent=True, amount=5, model="large", facts=facts)
    assert reap(now=EXPIRED) == Reaped(settled=1)

    hold, record = Hold.objects.get(), CallRecord.objects.get()
    assert (hold.state, hold.used, hold.reason) == ("settled", 5, "unknown")
    assert (record.credits, record.status, record.error_code, record.http_status) == (
        5,
        "error",
        "unknown",
        0,
    )
    assert (record.app_key_id, record.app_key_name, record.operation, record.scenario) == (
        key_id,
        "CI",
        "embeddings",
        "embedding",
    )
    assert (record.source, record.provider, record.model, record.stream) == (
        "trial:trial",
        "trial",
        "large",
        True,
    )
    assert (record.time, record.request_id, record.tenant_id) == (START, "req-k1", pool.tenant_id)
    assert (record.usage_source, record.prompt_tokens, record.cost) == ("none", None, None)
    assert invariants.audit(now=EXPIRED) == []


def test_nothing_is_touched_before_its_expiry(pool: CreditPool) -> None:
    hold_at_start(pool, sent=True)
    assert reap(now=START + timedelta(seconds=660)) == Reaped()
    assert reap(now=START + timedelta(seconds=660, milliseconds=1)) == Reaped(settled=1)


def test_without_an_injected_clock_the_database_s_counts(pool: CreditPool) -> None:
    ledger.hold(request_for(pool, "old"), now=datetime.now(UTC) - timedelta(seconds=662))
    ledger.hold(request_for(pool, "new"), now=datetime.now(UTC) - timedelta(seconds=650))
    assert reap() == Reaped(voided=1)
    assert set(Hold.objects.values_list("key", "state")) == {("old", "voided"), ("new", "held")}


def test_finished_holds_stay_as_they_are(pool: CreditPool, tenant: Tenant) -> None:
    ledger.settle(hold_id=hold_at_start(pool, "k1", sent=True), record=record_for(tenant))
    ledger.void(
        hold_id=hold_at_start(pool, "k2", sent=True),
        record=record_for(tenant, status="error"),
        reason="x",
    )
    assert reap(now=EXPIRED) == Reaped()
    assert CallRecord.objects.count() == 2


def test_a_late_settlement_after_the_reaper_changes_nothing(
    pool: CreditPool, tenant: Tenant
) -> None:
    hold_id = hold_at_start(pool, sent=True)
    reap(now=EXPIRED)
    result = ledger.settle(hold_id=hold_id, record=record_for(tenant))
    assert (result.applied, result.state, result.used) == (False, "settled", 1)
    assert CallRecord.objects.get().error_code == "unknown"


def test_a_worker_that_wakes_up_late_may_not_send(pool: CreditPool, tenant: Tenant) -> None:
    hold_id = hold_at_start(pool, sent=False)
    reap(now=EXPIRED)
    assert ledger.mark_sent(tenant_id=tenant.pk, hold_id=hold_id) is False


def test_every_tenant_s_holds_are_reaped_oldest_first(pool: CreditPool, other: Tenant) -> None:
    theirs = make_pool(other)
    hold_at_start(pool, "k1", sent=True)
    ledger.hold(request_for(theirs, "k2"), now=START - timedelta(seconds=10))
    assert reap(now=EXPIRED, limit=1) == Reaped(voided=1)
    assert reap(now=EXPIRED) == Reaped(settled=1)
    assert set(CallRecord.objects.values_list("tenant_id", "credits")) == {
        (other.pk, 0),
        (pool.tenant_id, 1),
    }
