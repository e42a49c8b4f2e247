"""What an upgrade keeps."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tenants.models import SentInvitation
from tenants.scope import tenant_scope
from tests import factories
from tests.migrating import migrate, migrate_all


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_invitations_of_the_last_day_still_count(acme: factories.Workspace) -> None:
    now = timezone.now()
    try:
        entries = migrate("tenants", "0002_workspace_pages").get_model("tenants", "AuditEntry")
        for hours, sent in ((1, "e-mail"), (23, "e-mail"), (25, "e-mail"), (1, "link")):
            entries.objects.create(
                tenant_id=acme.tenant.pk,
                actor="a@acme.test",
                action="member.invited",
                time=now - timedelta(hours=hours),
                details={"sent": sent},
            )
    finally:
        migrate_all()
    with tenant_scope(acme.tenant):
        times = SentInvitation.objects.order_by("time").values_list("time", flat=True)
        assert [round((now - time).total_seconds() / 3600) for time in times] == [23, 1]
