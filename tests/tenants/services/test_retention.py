"""What is older than the settings say is deleted, of every workspace, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone

from tenants.models import Invitation, SentInvitation
from tenants.scope import all_tenants
from tenants.services import retention
from tenants.services.retention import prune
from tests.factories import Workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def old_and_new(acme: Workspace, globex: Workspace) -> None:
    """In each workspace an invitation of ten days ago, and of now; the same of sessions."""
    with all_tenants():
        for workspace in (acme, globex):
            for days in (10, 0):
                time = timezone.now() - timedelta(days=days)
                name = f"{workspace.tenant.slug}-{days}"
                SentInvitation.objects.create(tenant=workspace.tenant, time=time)
                Invitation.objects.create(
                    tenant=workspace.tenant, email=f"{name}@x.test", digest=name, expires=time
                )
                Session.objects.create(session_key=name, session_data="", expire_date=time)


def left() -> tuple[int, set[str], set[str]]:
    with all_tenants():
        return (
            SentInvitation.objects.count(),
            set(Invitation.objects.values_list("digest", flat=True)),
            set(Session.objects.values_list("session_key", flat=True)),
        )


ALL = {"acme-10", "acme-0", "globex-10", "globex-0"}
NEW = {"acme-0", "globex-0"}


def test_by_default_everything_is_kept(old_and_new: None) -> None:
    assert prune() == {}
    assert left() == (4, ALL, ALL)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("MODELKEEP_KEEP_INVITATION_DAYS", (2, NEW, ALL)),
        ("MODELKEEP_KEEP_SESSION_DAYS", (4, ALL, NEW)),
    ],
)
def test_each_kind_has_its_limit(
    old_and_new: None, settings: Any, setting: str, expected: tuple[Any, ...]
) -> None:
    setattr(settings, setting, 7)
    call_command("prune", verbosity=0)
    assert left() == expected


def test_a_run_of_the_server_is_bounded(
    old_and_new: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    settings.MODELKEEP_KEEP_SESSION_DAYS = 7
    assert prune(most_batches=1) == {"sessions": 1}
    assert prune(most_batches=None) == {"sessions": 1}
    assert prune() == {"sessions": 0}
