"""An installation of release 0.1 keeps its data, its URLs and its commands.

`release_0_1/database.sql` is a dump of a real installation of that release: two workspaces with
sealed credentials, refused keys, a trial with settled, released and open holds, and call records.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.management import get_commands
from django.urls import URLPattern, get_resolver

from tests.server import SETTINGS
from tests.source import ROOT

RELEASE = Path(__file__).parent / "release_0_1"
SECRETS: dict[str, Any] = json.loads((RELEASE / "secrets.json").read_text(encoding="utf-8"))
# Tables in which an upgrade adds rows of its own.
GROWING = {"auth_permission", "django_content_type", "django_migrations", "sqlite_sequence"}


def counts(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(database)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]
            for (name,) in names
        }


class Installation:
    """A data folder with the release's database and secrets."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "modelkeep.sqlite3"
        self.env = {name: value for name, value in os.environ.items() if name not in SETTINGS} | {
            "DATA_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "MODELKEEP_READ_DOTENV": "0",
        }
        for name in ("master_keys", "secret_key"):
            (folder / name).write_text(SECRETS[name], encoding="utf-8")
            (folder / name).chmod(0o600)
        with closing(sqlite3.connect(self.database)) as connection:
            connection.executescript((RELEASE / "database.sql").read_text(encoding="utf-8"))

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


class Upgrade(NamedTuple):
    """The upgraded installation, and its row counts before and after `migrate`."""

    installation: Installation
    before: dict[str, int]
    after: dict[str, int]


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Upgrade:
    installation = Installation(tmp_path_factory.mktemp("release"))
    before = counts(installation.database)
    installation.run("manage.py", "migrate", "--verbosity", "0")
    installation.run("manage.py", "collectstatic", "--noinput", "--verbosity", "0")
    return Upgrade(installation, before, counts(installation.database))


@pytest.fixture(scope="module")
def seen(upgraded: Upgrade) -> dict[str, Any]:
    output = upgraded.installation.run("-m", "tests.upgrade.installation", json.dumps(SECRETS))
    report: dict[str, Any] = json.loads(output.splitlines()[-1])
    return report


@pytest.mark.slow
def test_every_row_is_kept(upgraded: Upgrade) -> None:
    before = {name: rows for name, rows in upgraded.before.items() if name not in GROWING}
    assert {name: upgraded.after.get(name) for name in before} == before


@pytest.mark.slow
def test_keys_open_and_credits_add_up(upgraded: Upgrade, seen: dict[str, Any]) -> None:
    verified = upgraded.installation.run("manage.py", "verify_keys", "--json")
    assert json.loads(verified)["sealed"] == 7
    upgraded.installation.run("manage.py", "reap_holds")  # the dump's open holds expired long ago
    upgraded.installation.run("manage.py", "audit_credits")


@pytest.mark.slow
def test_old_credentials_and_app_keys_work(seen: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in seen["credentials"]}
    assert (rows["Main"]["state"], rows["Spare"]["state"]) == ("connected", "rejected")
    assert (seen["neighbour"], seen["stranger"]) == (404, 401)


@pytest.mark.slow
def test_old_calls_trials_and_defaults_are_there(seen: dict[str, Any]) -> None:
    assert {call["request_id"] for call in seen["calls"]} == {"r0", "r1", "own"}
    [trial] = seen["trials"]
    assert (trial["settled"], trial["held"]) == (1, 1)
    chosen = {row["scenario"]: row["model"] for row in seen["defaults"]}
    assert chosen["reasoning"] == "openai/gpt-4o-mini"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["overview", "credentials", "calls", "audit"])
def test_owners_see_their_pages_and_nobody_elses(seen: dict[str, Any], name: str) -> None:
    page = seen["pages"][name]
    assert page["acme"][0] == 200
    assert page["globex"][0] == 404
    assert page["stranger"][0] == 302
    if name == "credentials":
        assert "Incorrect API key provided. (401 invalid_api_key)" in page["acme"][1]


def routes(patterns: list[Any], prefix: str = "") -> set[str]:
    known = set()
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            known.add(f"{pattern.name or '-'} {route}")
        else:
            known |= routes(pattern.url_patterns, route)
    return known


def in_table(route: str) -> str:
    """The route as it stands in the tables now: those of the REST API have no slash at their end,
    with which they are answered as well (api/test_common.py).
    """
    return route.removesuffix("/") if route.startswith("- api/v1/") else route


def test_old_links_lead_where_they_led() -> None:
    released = (RELEASE / "urls.txt").read_text(encoding="utf-8").splitlines()
    assert len(released) > 150
    assert set(map(in_table, released)) - routes(get_resolver().url_patterns) == set()


def test_old_commands_are_there() -> None:
    released = set((RELEASE / "commands.txt").read_text(encoding="utf-8").split())
    assert released
    assert released - set(get_commands()) == set()
