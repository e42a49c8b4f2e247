"""An installation as its first start leaves it: made once in a run of the tests, copied for every
server.

`python -m tests.installation WORKSPACE OWNER` makes one from the environment's settings and prints
what `init --json` prints.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

REPOSITORY = Path(__file__).resolve().parent.parent
WORKSPACE, OWNER = "main", "owner@example.test"


@functools.cache
def run_folder() -> Path:
    """What all processes of one run of the tests share; tests/settings.py names it."""
    if named := os.environ.get("MODELKEEP_TEST_RUN"):
        return Path(named)
    own = tempfile.TemporaryDirectory(prefix="modelkeep-run-")
    atexit.register(own.cleanup)
    return Path(own.name)


@dataclass(frozen=True)
class Installation:
    """folder: DATA_DIR. database_url: where its database is. first: what `init --json` printed."""

    folder: Path
    database_url: str
    first: dict[str, Any]


def settings_of(folder: Path, database_url: str) -> dict[str, str]:
    """The variables that an installation on this machine needs."""
    return {
        "MODELKEEP_READ_DOTENV": "0",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
    }


def install_copy(folder: Path, environment: dict[str, str], postgres: str = "") -> Installation:
    """Install into `folder`, which is empty.

    Args:
        environment: Of the process that makes the original.
        postgres: URL of a database of the server on which one more is made; without it the
            database is a file in the folder.
    """
    name = f"installation-{hashlib.sha256(postgres.encode()).hexdigest()[:12]}"
    with locked(name):
        original = _original(run_folder() / name, environment, postgres)
        template = original.database_url.rpartition("/")[2]
        database_url = _new_database(postgres, template) if postgres else _file_in(folder)
    shutil.copytree(original.folder, folder, dirs_exist_ok=True)
    return Installation(folder, database_url, original.first)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Within: no other process of the run is within the lock of this name."""
    with (run_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _original(folder: Path, environment: dict[str, str], postgres: str) -> Installation:
    told = folder.with_suffix(".json")
    data = folder / "data"
    if not told.is_file():
        shutil.rmtree(folder, ignore_errors=True)  # left by an attempt that failed
        data.mkdir(parents=True, mode=0o700)
        database_url = _new_database(postgres) if postgres else _file_in(data)
        done = subprocess.run(
            [sys.executable, "-m", "tests.installation", WORKSPACE, OWNER],
            cwd=REPOSITORY,
            env=environment | settings_of(data, database_url),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        told.write_text(
            json.dumps({"database_url": database_url, "first": json.loads(done.stdout)})
        )
    return Installation(data, **json.loads(told.read_text()))


def _file_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'modelkeep.sqlite3'}"


def _new_database(url: str, template: str = "template1") -> str:
    """Make a database on the server of `url`; its URL."""
    name = f"modelkeep_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return f"{url.rpartition('/')[0]}/{name}"


def main(workspace: str, owner: str) -> None:
    from config import first_start

    first_start.main()
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    call_command("init", workspace=workspace, owner=owner, json=True)
    from tenants.models import User

    # Tests sign in as people who have chosen a password before.
    User.objects.update(first_password_until=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
