"""Django's `migrate`, by one process at a time, without making calls wait long for a lock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.core.management.commands import migrate
from django.db import OperationalError, connection

from core.db.exclusive import preparing

# A statement that waits for a table's lock makes every later one wait behind it.
LOCK_SECONDS: Final = 2
PAUSE_SECONDS: Final = 1.0
TRIES: Final = 100
LOCK_NOT_AVAILABLE: Final = "55P03"


class Command(migrate.Command):
    help = (
        f"{migrate.Command.help} One process at a time does so, and if a table is in use, each "
        f"try gives up after {LOCK_SECONDS} seconds so that calls go on."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with preparing(), short_lock_waits():
            for _try in range(TRIES - 1):
                try:
                    super().handle(*args, **options)
                    return
                except OperationalError as error:
                    if getattr(error.__cause__, "sqlstate", "") != LOCK_NOT_AVAILABLE:
                        raise
                self.stderr.write("A table is in use; trying again ...")
                time.sleep(PAUSE_SECONDS)
            super().handle(*args, **options)


@contextmanager
def short_lock_waits() -> Iterator[None]:
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    try:
        yield
    finally:
        if connection.connection is not None:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
