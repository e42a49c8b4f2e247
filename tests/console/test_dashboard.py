"""The operators' first page says when the last backup was made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tenants import installation
from tenants.models import InstallationNote, User


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
