"""Images are added up like tokens, also those that were made before rollups had them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from quotas.models import StaleHour, UsageRollup
from quotas.usage import exports, presentation, summaries
from quotas.usage.rollups import roll_up
from tenants.models import Tenant
from tenants.scope import tenant_scope
from tests import ledger
from tests.migrating import migrate, migrate_all
from tests.quotas.conftest import record_for

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=5)


def totals(tenant: Tenant) -> summaries.SummaryRow:
    with tenant_scope(tenant):
        return summaries.totals(tenant_id=tenant.pk, days=2, now=NOW)


def write(tenant: Tenant, *images: int | None, model: str = "image-1") -> None:
    with tenant_scope(tenant):
        for number in images:
            fields = {"time": EARLIER, "model": model, "images": number}
            ledger.record_call(record_for(tenant, **fields))


@pytest.mark.django_db
def test_they_are_added_up_and_shown(tenant: Tenant, other: Tenant) -> None:
    write(tenant, 1, 2, None)
    write(other, 9)
    unrolled = totals(tenant)
    roll_up(now=NOW)
    row = totals(tenant)
    assert row == unrolled
    assert (row.images, totals(other).images) == (3, 9)
    assert presentation.images(row).replace("\xa0", " ") == "3 images"
    assert presentation.images(summaries.SummaryRow("")) == ""
    written = dict(zip(exports.SUMMARY_COLUMNS, exports.summary_row(row), strict=True))
    assert written["images"] == 3


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_those_of_before_are_added_up_again(tenant: Tenant, other: Tenant) -> None:
    write(tenant, 1, 2)
    write(other, 9)
    write(other, None, model="chat-1")
    roll_up(now=NOW)
    with tenant_scope(tenant):
        StaleHour.objects.all().delete()
    with tenant_scope(other):
        StaleHour.objects.all().delete()
    try:
        migrate("quotas", "0010_call_request_without_a_lock")
    finally:
        migrate_all()
    assert (totals(tenant).images, totals(other).images) == (3, 9), "from the records"
    assert roll_up(now=NOW).redone == 2
    assert (totals(tenant).images, totals(other).images) == (3, 9), "from the rollups"
    with tenant_scope(other):
        assert not StaleHour.objects.exists()
        assert {row.images for row in UsageRollup.objects.all()} == {9, 0}
