"""The operators' first page says when the last backup was made, and how old the ledger is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core.ids import first_of
from tenants import installation
from tenants.models import Archive, InstallationNote, User
from tests.factories import Workspace, make_call


@pytest.fixture
def figure(operator: User) -> Any:
    client = Client()
    client.force_login(operator)
    return lambda: client.get("/admin/").context["figures"][-1]


def test_the_last_backup(figure: Any) -> None:
    assert (figure().value, figure().is_bad) == ("–", False)
    installation.note(installation.BACKUP, {})
    assert str(timezone.localdate().year) in figure().value
    assert not figure().is_bad
    InstallationNote.objects.update(time=timezone.now() - timedelta(days=8))
    assert figure().is_bad


def test_the_ledger(
    operator: User, acme: Workspace, globex: Workspace, settings: Any, client: Client
) -> None:
    client.force_login(operator)

    def figure() -> Any:
        figures = client.get("/admin/").context["figures"]
        return next(figure for figure in figures if figure.label == "Size of the ledger")

    assert (figure().note, figure().is_bad) == ("", False)
    old = timezone.now() - timedelta(days=100)
    make_call(globex.tenant)
    make_call(acme.tenant, id=first_of(old), time=old)
    assert str(old.year) in figure().note
    settings.MODELKEEP_KEEP_CALL_DAYS = 90
    assert not figure().is_bad
    settings.MODELKEEP_KEEP_CALL_DAYS = 30
    assert figure().is_bad
    Archive.objects.create(number=1, kind="calls", file="f", rows=1, size=1, sha256="s")
    assert "Last archive" in figure().note
    assert figure().value.endswith(("KB", "MB"))
