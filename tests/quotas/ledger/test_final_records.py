"""The database refuses to change or delete a call record, whoever asks, and tests can still empty
their tables.
"""

from __future__ import annotations

import pytest
from django.core.management.color import no_style
from django.db import DatabaseError, connection, transaction

from quotas.models import CallRecord, CreditPool
from tenants.models import Tenant
from tenants.scope import all_tenants
from tests import ledger
from tests.quotas.conftest import make_pool, record_for, request_for

REFUSED = [
    "UPDATE quotas_callrecord SET cost = 0, currency = 'USD'",
    "UPDATE quotas_callrecord SET status = status",
    "DELETE FROM quotas_callrecord",
]


@pytest.fixture
def written(pool: CreditPool, tenant: Tenant) -> None:
    hold = ledger.hold(request_for(pool))
    ledger.settle(hold_id=hold.hold_id, record=record_for(tenant))
    ledger.record_call(record_for(tenant))


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("statement", REFUSED)
def test_sql_is_refused(statement: str) -> None:
    with (
        pytest.raises(DatabaseError, match="call records are final"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    with all_tenants():
        assert CallRecord.objects.filter(status="ok", cost=None).count() == 2


@pytest.mark.usefixtures("written")
def test_the_orm_is_refused(tenant: Tenant) -> None:
    with all_tenants():
        row = CallRecord.objects.order_by("id").first()
        row.credits = 0
        for change in (
            row.save,
            row.delete,
            CallRecord.objects.all().delete,
            lambda: CallRecord.objects.update(model="x"),
        ):
            with pytest.raises(DatabaseError, match="call records are final"), transaction.atomic():
                change()
        assert CallRecord.objects.filter(credits=1).count() == 1


@pytest.mark.usefixtures("written")
def test_emptying_the_table_is_refused() -> None:
    """TRUNCATE on PostgreSQL, DELETE on SQLite: what `manage.py flush` would run."""
    connection.check_constraints()  # deferred ones would stand in the way of TRUNCATE
    tables = ["quotas_callrecord", "quotas_costcorrection"]  # which refers to the first
    statements = connection.ops.sql_flush(no_style(), tables)
    with (
        pytest.raises(DatabaseError, match="call records are final"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statements[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("run", [1, 2])
def test_tables_are_emptied_between_tests_and_the_triggers_are_back(run: int) -> None:
    tenant = Tenant.objects.create(slug="flushed", name="Flushed")
    pool = make_pool(tenant)
    hold = ledger.hold(request_for(pool))
    ledger.settle(hold_id=hold.hold_id, record=record_for(tenant))
    with all_tenants():
        assert CallRecord.objects.count() == 1
        with pytest.raises(DatabaseError, match="call records are final"):
            CallRecord.objects.all().delete()
