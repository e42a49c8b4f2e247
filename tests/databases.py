"""The database of each test process: a copy of one that is migrated once in a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from tests.installation import locked, run_folder


@contextmanager
def own_database(process: str) -> Iterator[None]:
    """Within: all of Django's connections open a database that only `process` uses."""
    creation = connection.creation
    with locked("migrated"):
        connection.settings_dict["NAME"] = _migrated()
        creation.clone_test_db(process, verbosity=0)
    connection.settings_dict.update(creation.get_test_db_clone_settings(process))
    yield
    creation.destroy_test_db(verbosity=0)


def _migrated() -> str:
    """The name of the database that is copied; nobody has it open."""
    told = run_folder() / "migrated.txt"
    if not told.is_file():
        name = connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        connection.close()
        told.write_text(str(name))
    return told.read_text()
