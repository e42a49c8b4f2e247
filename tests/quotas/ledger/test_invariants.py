"""audit() finds each kind of damage, and nothing in a ledger that is in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection

from quotas import ports
from quotas.ledger import invariants
from quotas.models import CreditPool
from tenants.models import Tenant
from tenants.scope import all_tenants
from tests import ledger
from tests.quotas.conftest import make_pool, record_for, request_for

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def worked(pool: CreditPool, other: Tenant):
    """Two workspaces, each with a settled, a voided and an open hold, and a call with an own
    key.
    """
    with all_tenants():
        for one in (pool, make_pool(other)):
            record = {"tenant_id": one.tenant_id}
            ids = [
                ledger.hold(request_for(one, key, amount=2), now=NOW).hold_id
                for key in ("k1", "k2", "k3")
            ]
            ledger.settle(hold_id=ids[0], record=record_for(other, **record))
            ledger.void(
                hold_id=ids[1], record=record_for(other, status="error", **record), reason="x"
            )
            ledger.record_call(record_for(other, **record))
        yield


def damage(sql: str, *params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        assert cursor.rowcount > 0


def found() -> set[str]:
    return {violation.invariant for violation in invariants.audit(now=NOW)}


def test_a_ledger_in_order_has_no_violation() -> None:
    assert invariants.audit(now=NOW) == []


def test_an_empty_ledger_has_none(pool: CreditPool) -> None:
    damage("DELETE FROM quotas_grant")
    assert found() == {"I5"}


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        ("UPDATE quotas_creditpool SET held = held + 1 WHERE id = %s", {"I2"}),
        ("UPDATE quotas_creditpool SET held = held - 1 WHERE id = %s", {"I2"}),
        ("UPDATE quotas_creditpool SET settled = settled + 1 WHERE id = %s", {"I3"}),
        ("UPDATE quotas_hold SET used = 1 WHERE state = 'settled' AND pool_id = %s", {"I3"}),
        (
            "UPDATE quotas_hold SET state = 'settled', used = 2 WHERE state = 'held' AND pool_id "
            "= %s",
            {"I2", "I3", "I4"},
        ),
        (
            "UPDATE quotas_hold SET state = 'voided' WHERE state = 'held' AND pool_id = %s",
            {"I2", "I4"},
        ),
        ('UPDATE quotas_creditpool SET "limit" = "limit" + 1 WHERE id = %s', {"I5"}),
        ("UPDATE quotas_grant SET amount = amount - 1 WHERE pool_id = %s", {"I5"}),
    ],
)
def test_each_damage_is_found_and_its_pool_named(
    pool: CreditPool, sql: str, broken: set[str]
) -> None:
    damage(sql, pool.pk)
    violations = invariants.audit(now=NOW)
    assert {one.invariant for one in violations} == broken
    assert {one.pool_id for one in violations} <= {pool.pk, None}
    assert any(one.pool_id == pool.pk and one.tenant_id == pool.tenant_id for one in violations)


def test_damage_that_cancels_out_in_total_is_found_per_pool(pool: CreditPool) -> None:
    damage("UPDATE quotas_creditpool SET held = held + 1 WHERE id = %s", pool.pk)
    damage("UPDATE quotas_creditpool SET held = held - 1 WHERE id <> %s", pool.pk)
    assert len(invariants.audit(now=NOW)) == 2


def test_a_hold_of_another_workspace_is_found(pool: CreditPool, other: Tenant) -> None:
    other_id = other.pk if connection.vendor == "postgresql" else other.pk.hex
    damage(
        "UPDATE quotas_hold SET tenant_id = %s WHERE state = 'held' AND pool_id = %s",
        other_id,
        pool.pk,
    )
    assert found() == {"I3"}


def test_open_holds_become_late_two_reaper_periods_after_their_expiry() -> None:
    expiry = NOW + timedelta(seconds=660)
    grace = 2 * settings.MODELKEEP_REAPER_PERIOD
    assert invariants.audit(now=expiry + timedelta(seconds=grace - 1)) == []
    late = invariants.audit(now=expiry + timedelta(seconds=grace + 1))
    assert [one.invariant for one in late] == ["I6", "I6"]


def test_the_database_itself_refuses_more_than_the_limit(pool: CreditPool) -> None:
    from django.db import IntegrityError, transaction

    with pytest.raises(IntegrityError), transaction.atomic():
        damage('UPDATE quotas_creditpool SET held = "limit" + 1 - settled WHERE id = %s', pool.pk)


def test_a_hold_of_a_batch_needs_an_open_batch(
    pool: CreditPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a hold expires after weeks, so that nothing else would tell."""
    asked = request_for(pool, "batch", deadline_seconds=10**6, facts={"operation": "batches"})
    ledger.hold(asked, now=NOW)
    (violation,) = invariants.audit(now=NOW)
    assert (violation.invariant, violation.pool_id) == ("I6", pool.pk)
    assert str(asked.hold_id) in violation.message
    monkeypatch.setattr(ports.holds_of_open_batches, "_answer", lambda: [asked.hold_id])
    assert invariants.audit(now=NOW) == []
    ledger.settle(hold_id=asked.hold_id, record=record_for(pool.tenant), used=0)
    monkeypatch.setattr(ports.holds_of_open_batches, "_answer", list)
    assert invariants.audit(now=NOW) == []
