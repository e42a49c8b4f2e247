"""Machines notice that they don't have the same SECRET_KEY."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from tenants.crypto import keys
from tenants.installation import secret_key_problem
from tenants.models import InstallationNote

pytestmark = pytest.mark.django_db
OTHER = override_settings(SECRET_KEY="another-machine-0123456789-0123456789-0123456789")


def test_a_new_installation_says_nothing() -> None:
    assert secret_key_problem(adopt=True) == ""
    assert not InstallationNote.objects.exists()


def test_a_machine_with_another_key_is_told_and_so_are_the_others(settings: Any) -> None:
    keys.current_digest_key()
    assert secret_key_problem(adopt=True) == ""
    assert secret_key_problem(adopt=True) == ""
    with OTHER:
        assert "Give all machines the same" in secret_key_problem()
        assert "Give all machines the same" in secret_key_problem(adopt=True)
        assert secret_key_problem() == "", "a replaced key is known from then on"
    assert "Give all machines the same" in secret_key_problem()


def test_what_is_noted_does_not_show_the_key(settings: Any) -> None:
    keys.current_digest_key()
    secret_key_problem(adopt=True)
    [value] = InstallationNote.objects.values_list("value", flat=True)
    assert settings.SECRET_KEY not in str(value)
    assert len(value["check"]) == 64


def test_wrong_master_keys_are_reported_by_others(settings: Any) -> None:
    keys.current_digest_key()
    settings.MODELKEEP_MASTER_KEYS = ""
    assert secret_key_problem(adopt=True) == ""
