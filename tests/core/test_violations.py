"""Only a row that is there twice counts as a duplicate, not one that lacks a value; and only what
the database itself can't do counts as its absence.
"""

from __future__ import annotations

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from core.db.violations import is_duplicate, is_slow, is_unavailable
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


def refused(*statements: str) -> DatabaseError:
    *first, last = statements
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in first:
            cursor.execute(statement)
        with pytest.raises(DatabaseError) as caught:
            cursor.execute(last)
        transaction.set_rollback(True)
    return caught.value


def test_a_statement_that_is_wrong_is_its_own_fault() -> None:
    for error in (refused("SELECT 1 FROM"), broken(mkid="m9", check_value=None)):
        if connection.vendor == "postgresql":  # SQLite has one class for both
            assert not is_unavailable(error)
        assert not is_slow(error)


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no such limit")
def test_a_database_that_is_read_only_or_slow_is_to_blame() -> None:
    change = "UPDATE tenants_masterkeycheck SET mkid = mkid"
    read_only = refused("SET TRANSACTION READ ONLY", change)
    assert (is_unavailable(read_only), is_slow(read_only)) == (True, False)
    late = refused("SET LOCAL statement_timeout = 10", "SELECT pg_sleep(9)")
    assert (is_unavailable(late), is_slow(late)) == (True, True)


def test_no_error_is_nobodys_fault() -> None:
    assert not is_unavailable(None)
    assert not is_slow(None)
