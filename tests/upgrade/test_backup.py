"""A backup that was made under load restores on either database, whole and verified, or changes
nothing.

The installation is that of release 0.1, upgraded: two workspaces with sealed keys, a trial with
settled, released and open holds, and call records.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from core.backup import archive
from tests.command_server import CommandServer
from tests.postgres import Postgres
from tests.server import SETTINGS
from tests.upgrade.test_upgrade import SECRETS, Installation

pytestmark = [pytest.mark.slow, pytest.mark.one_database]
PRIVATE, PUBLIC = archive.new_identity()
# What the commands themselves change.
NOTED = {"tenants_installationnote", "tenants_keyopening", "django_migrations", "sqlite_sequence"}


@dataclass
class Place:
    """A DATA_DIR, and the commands run with it."""

    folder: Path
    url: str
    commands: CommandServer

    def manage(self, *arguments: str) -> tuple[int, str]:
        done = self.commands.run("manage.py", *arguments)
        return done.returncode, done.stdout + done.stderr

    def ok(self, *arguments: str) -> str:
        code, text = self.manage(*arguments)
        assert code == 0, text
        return text


@pytest.fixture(scope="module")
def places() -> Iterator[Any]:
    """Makes places; ends their processes."""
    made: list[Place] = []

    def make(folder: Path, url: str = "", **more: str) -> Place:
        folder.mkdir(mode=0o700, exist_ok=True)
        url = url or f"sqlite:///{folder / 'modelkeep.sqlite3'}"
        environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        environment |= {
            "DATA_DIR": str(folder),
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "MODELKEEP_READ_DOTENV": "0",
            "SECRET_KEY": "of-the-test-" + "0123456789" * 5,
            "MODELKEEP_BACKUP_KEY": PUBLIC,
        } | more
        made.append(Place(folder, url, CommandServer(environment)))
        return made[-1]

    yield make
    for place in made:
        place.commands.__exit__(None, None, None)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory, places: Any) -> Place:
    folder = tmp_path_factory.mktemp("origin")
    Installation(folder)
    (folder / "secret_key").unlink()
    place: Place = places(folder)
    place.ok("migrate", "--verbosity", "0")
    place.ok("reap_holds")
    return place


@pytest.fixture(scope="module")
def backup(origin: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made while others write."""
    path = tmp_path_factory.mktemp("backups") / "modelkeep.backup"
    over = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(origin.folder / "modelkeep.sqlite3", timeout=20)) as opened:
            number = 0
            while not over.is_set():
                number += 1
                for statement in PAIR:
                    opened.execute(statement, [f"x{number}"])
                opened.commit()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        origin.ok("backup", str(path), "--with-master-keys")
    finally:
        over.set()
        thread.join()
    return path


# Two rows that are only there together.
PAIR = (
    "INSERT INTO tenants_signinfailures (key, count, since) VALUES (?, 1, '2026-01-01 00:00:00')",
    "INSERT INTO tenants_installationnote (name, value, time) "
    "VALUES (?, '{}', '2026-01-01 00:00:00.500000')",
)


def content(folder: Path) -> dict[str, list[Any]]:
    """All rows of a SQLite installation by table."""
    with closing(sqlite3.connect(folder / "modelkeep.sqlite3")) as opened:
        names = opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: sorted(
                str(list(map(as_read, row))) for row in opened.execute(f'SELECT * FROM "{name}"')
            )
            for (name,) in names
            if name not in NOTED
        }


def as_read(value: Any) -> Any:
    """A value as the product reads it: times and JSON can be written in several ways."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", value):
        return datetime.fromisoformat(value)
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.dumps(json.loads(value), sort_keys=True)
    return value


def test_there_and_back_again(origin: Place, backup: Path, places: Any, tmp_path: Path) -> None:
    """Into PostgreSQL, and from there into SQLite again: every row is as it was."""
    private = tmp_path / "key"
    private.write_text(PRIVATE)
    before = content(origin.folder)
    assert len(before["quotas_callrecord"]) > 2
    with Postgres(durable=False) as server:
        there = places(tmp_path / "there", server.url)
        told = there.ok("restore", str(backup), "--key-file", str(private))
        assert "Credits: consistent. Key pairs: 3, sealed keys: 7, app keys: 2." in told
        assert stat.S_IMODE((there.folder / "master_keys").stat().st_mode) == 0o600
        with psycopg.connect(server.url) as opened:
            pairs = "SELECT count(*) FROM {} WHERE {} LIKE 'x%'"
            counts = [
                opened.execute(pairs.format(table, column)).fetchone()
                for table, column in (
                    ("tenants_signinfailures", "key"),
                    ("tenants_installationnote", "name"),
                )
            ]
            assert counts[0] == counts[1]
            with pytest.raises(psycopg.errors.IntegrityError, match="final"):
                opened.execute("DELETE FROM quotas_callrecord")
        there = places(there.folder, server.url)  # with the master keys that it has now
        there.ok("init", "--workspace", "new", "--owner", "new@example.test")  # numbers go on
        second = tmp_path / "second.backup"
        there.ok("backup", str(second))
    back = places(tmp_path / "back", MODELKEEP_MASTER_KEYS=SECRETS["master_keys"])
    assert "Credits: consistent" in back.ok("restore", str(second), "--key-file", str(private))
    after = content(back.folder)
    for table, rows in before.items():
        missing = [row for row in rows if row not in after[table]]
        assert table == "tenants_signinfailures" or missing == [], table
    assert len(after["quotas_callrecord"]) == len(before["quotas_callrecord"])
    assert after["quotas_stalehour"] == before["quotas_stalehour"], "no trigger ran"
    back.ok("verify_keys")


def damaged(backup: Path, how: str) -> bytes:
    whole = backup.read_bytes()
    if how == "cut":
        return whole[: len(whole) // 2]
    if how == "changed":
        middle = len(whole) // 2
        return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    return b"not a backup"


def digest(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file() and not path.name.endswith(("-wal", "-shm", ".preparing"))
    }


@pytest.mark.parametrize("how", ["cut", "changed", "other"])
def test_a_damaged_file_changes_nothing(
    how: str, backup: Path, places: Any, tmp_path: Path
) -> None:
    place = places(tmp_path / "data", MODELKEEP_BACKUP_KEY=PRIVATE)
    (tmp_path / "damaged").write_bytes(damaged(backup, how))
    code, text = place.manage("restore", str(tmp_path / "damaged"))
    assert code == 1
    assert "damaged" in text
    assert "Traceback" not in text
    assert not (place.folder / "master_keys").exists()
    assert not (place.folder / "modelkeep.sqlite3").exists()


def test_what_does_not_fit_changes_nothing(
    origin: Place, backup: Path, places: Any, tmp_path: Path
) -> None:
    other = archive.new_identity()[0]
    place = places(tmp_path / "data", MODELKEEP_BACKUP_KEY=other)
    assert "another backup key" in place.manage("restore", str(backup))[1]
    place = places(tmp_path / "data", MODELKEEP_BACKUP_KEY=PUBLIC)
    assert "needs the private backup key" in place.manage("restore", str(backup))[1]
    wrong = "m1:" + "QUJD" * 10 + "QUI="
    place = places(tmp_path / "data", MODELKEEP_BACKUP_KEY=PRIVATE, MODELKEEP_MASTER_KEYS=wrong)
    code, text = place.manage("restore", str(backup))
    assert code == 1
    assert "aster key" in text
    used = places(origin.folder, MODELKEEP_BACKUP_KEY=PRIVATE)
    before = digest(origin.folder)
    assert "not empty" in used.manage("restore", str(backup))[1]
    assert digest(origin.folder) == before


def test_a_backup_is_secret_and_never_overwritten(origin: Place, backup: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    whole = backup.read_bytes()
    assert b"owner" not in whole
    assert SECRETS["master_keys"].strip().encode() not in whole
    code, text = origin.manage("backup", str(backup))
    assert (code, backup.read_bytes()) == (1, whole)
    assert "already exists" in text
    assert list(backup.parent.iterdir()) == [backup]


def test_without_master_keys_there_are_none_in_it(origin: Place, tmp_path: Path) -> None:
    path = tmp_path / "without"
    assert "without the master keys" in origin.ok("backup", str(path))
    everything = b"".join(text for _name, text in archive.read(path, archive.identity_of(PRIVATE)))
    assert b"quotas_callrecord" in everything
    for key in SECRETS["master_keys"].strip().split(","):
        assert key.partition(":")[2].encode() not in everything


def test_one_of_a_newer_release_changes_nothing(backup: Path, places: Any, tmp_path: Path) -> None:
    def newer(member: archive.Member) -> archive.Member:
        return member[0], member[1].replace(b'"0018_installation', b'"0999_installation')

    place = places(tmp_path / "data", MODELKEEP_BACKUP_KEY=PRIVATE)
    path = tmp_path / "newer"
    members = archive.read(backup, archive.identity_of(PRIVATE))
    archive.write(path, map(newer, members), archive.recipient_of(PUBLIC))
    code, text = place.manage("restore", str(path))
    assert code == 1
    assert "newer release" in text
