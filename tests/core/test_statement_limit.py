"""No statement of a server outlives the reader of its page."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created

from core.db import connection as module

pytestmark = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="SQLite has no such limit"
)


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A new connection of a process that limits its statements to a second."""
    monkeypatch.setattr(module, "STATEMENT_SECONDS", 1)
    module.limit_statements()
    new = module.separate()
    try:
        new.ensure_connection()
        yield new
    finally:
        new.close()
        connection_created.disconnect(dispatch_uid="limit_statements")


@pytest.mark.slow
@pytest.mark.django_db
def test_a_slow_statement_is_ended_and_the_connection_goes_on(limited: Any) -> None:
    with limited.cursor() as cursor:
        with pytest.raises(OperationalError):
            cursor.execute("SELECT pg_sleep(20)")
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("1s",)


@pytest.mark.django_db
def test_commands_are_not_limited() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
