"""Only a row that is there twice counts as a duplicate, not one that lacks a value."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from core.db.violations import is_duplicate
from tenants.models import MasterKeyCheck

pytestmark = pytest.mark.django_db


def broken(**values: object) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        MasterKeyCheck.objects.create(**values)
    return caught.value


def test_a_row_that_is_there_already() -> None:
    row = MasterKeyCheck.objects.create(mkid="m9", check_value="0")
    assert is_duplicate(broken(mkid="m9", check_value="1"))
    assert is_duplicate(broken(pk=row.pk, mkid="m8", check_value="1"))


def test_a_row_without_a_value() -> None:
    assert not is_duplicate(broken(mkid="m9", check_value=None))
