"""Long lists in batches: whole, in order, and by an index."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.db import batches
from core.db.batches import newest_first
from quotas.models import CallRecord
from tenants.models import AuditEntry
from tenants.scope import all_tenants
from tests.factories import Workspace

pytestmark = pytest.mark.django_db


def test_rows_of_the_same_time_come_once(acme: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "SIZE", 2)
    now = timezone.now()
    with all_tenants():
        for minutes in (0, 1, 1, 1, 1, 2):
            time = now - timedelta(minutes=minutes)
            AuditEntry.objects.create(tenant=acme.tenant, actor="a", action="x", time=time)
        rows = list(newest_first(AuditEntry.objects.all(), "pk", "time"))
        expected = AuditEntry.objects.order_by("-time", "-pk").values_list("pk", "time")
        assert rows == list(expected)


def test_calls_are_ordered_by_their_primary_key() -> None:
    """No index covers all workspaces' times, so each batch would sort the whole table."""
    with all_tenants(), CaptureQueriesContext(connection) as queries:
        assert list(newest_first(CallRecord.objects.all(), "model", by_time=False)) == []
    assert "ORDER BY" in queries[0]["sql"]
    assert "time" not in queries[0]["sql"]
