"""The commands that make, show and rotate; and the secrets of a first start."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tenants.auth.permissions import Role, Scope
from tenants.auth.principal import find_principal
from tenants.crypto.master_keys import parse
from tenants.models import AppKey, AuditEntry, KeyPair, Membership, Tenant, User
from tenants.scope import tenant_scope
from tests.factories import Workspace
from tests.tenants.conftest import opened

ROOT = Path(__file__).resolve().parents[2]


def run(name: str, *args: str, **options: Any) -> str:
    out = io.StringIO()
    call_command(name, *args, stdout=out, **options)
    return out.getvalue()


def run_json(name: str, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(name, *args, "--json"))
    return found


class TestInit:
    ARGS = ("--workspace", "main", "--owner", "Owner@Example.org")

    def test_the_first_time(self, db: None) -> None:
        made = run_json("init", *self.ARGS)
        assert (made["workspace"], made["owner"]) == ("main", "owner@example.org")
        owner = User.objects.get(email="owner@example.org")
        assert owner.check_password(made["password"])
        assert not owner.is_staff
        principal = find_principal({"authorization": f"Bearer {made['app_key']}"})
        assert (principal.tenant_slug, principal.scopes) == ("main", frozenset(Scope))
        operator = User.objects.get(is_staff=True)
        assert operator.email == made["operator"] == "operator@example.org"
        assert operator.check_password(made["operator_password"])
        with tenant_scope(Tenant.objects.get(slug="main")):
            assert Membership.objects.get().role == Role.OWNER
            assert KeyPair.objects.get().state == KeyPair.State.CURRENT

    def test_again_it_changes_nothing(self, db: None) -> None:
        run("init", *self.ARGS)
        before = list(User.objects.order_by("pk").values()), list(Tenant.objects.values())
        assert run_json("init", *self.ARGS) == {"workspace": "main", "owner": "owner@example.org"}
        assert (list(User.objects.order_by("pk").values()), list(Tenant.objects.values())) == before
        with tenant_scope(Tenant.objects.get(slug="main")):
            assert (
                AppKey.objects.count() == KeyPair.objects.count() == Membership.objects.count() == 1
            )

    def test_for_people_it_says_where_to_go(self, db: None, settings: Any) -> None:
        settings.SITE_URL = "https://hub.example.org"
        text = run("init", *self.ARGS)
        assert "https://hub.example.org/t/main/" in text
        assert "shown only now" in text
        assert "shown only now" not in run("init", *self.ARGS)

    def test_a_second_workspace_for_the_same_owner(self, db: None) -> None:
        run("init", *self.ARGS)
        made = run_json("init", "--workspace", "second", "--owner", "owner@example.org")
        assert set(made) == {"workspace", "owner", "app_key"}

    def test_a_key_that_was_revoked_is_not_made_again(self, db: None) -> None:
        run("init", *self.ARGS)
        with tenant_scope(Tenant.objects.get(slug="main")):
            AppKey.objects.update(revoked="2026-01-01T00:00:00Z")
        assert "app_key" not in run_json("init", *self.ARGS)

    def test_no_passwords_twice_alike(self, db: None) -> None:
        made = run_json("init", *self.ARGS)
        assert len({made["password"], made["operator_password"], made["app_key"]}) == 3
        assert len(made["password"]) >= 20

    @pytest.mark.parametrize(
        "args",
        [
            ("--workspace", "Bad Slug", "--owner", "a@b.test"),
            ("--workspace", "main", "--owner", "nobody"),
        ],
    )
    def test_what_is_wrong_is_said_and_nothing_is_left(
        self, db: None, args: tuple[str, ...]
    ) -> None:
        with pytest.raises(CommandError):
            run("init", *args)
        assert not User.objects.exists()
        assert not Tenant.objects.filter(is_system=False).exists()

    def test_without_a_master_key_nothing_is_made(self, db: None, settings: Any) -> None:
        settings.MODELKEEP_MASTER_KEYS = ""
        with pytest.raises(CommandError, match="MODELKEEP_MASTER_KEYS is empty"):
            run("init", *self.ARGS)
        assert not User.objects.exists()


class TestAppKey:
    def test_it_is_printed_once(self, acme: Workspace) -> None:
        made = run_json(
            "app_key",
            "acme",
            "--name",
            "ci",
            "--scopes",
            "use,read",
            "--models",
            "demo/chat",
            "--days",
            "3",
        )
        assert (made["workspace"], made["name"], made["scopes"]) == ("acme", "ci", ["read", "use"])
        principal = find_principal({"x-api-key": made["app_key"]})
        assert principal.allowed_models == {"demo/chat"}
        assert run("app_key", "acme", "--name", "cd", "--scopes", "use").startswith("mk_live_")

    @pytest.mark.parametrize(
        "args",
        [
            ("nowhere", "--name", "x", "--scopes", "use"),
            ("acme", "--name", "x", "--scopes", "all"),
            ("acme", "--name", "x", "--scopes", ""),
        ],
    )
    def test_what_is_wrong_is_said(self, acme: Workspace, args: tuple[str, ...]) -> None:
        with pytest.raises(CommandError):
            run("app_key", *args)


class TestRotateAndVerify:
    def test_all_workspaces(
        self, acme: Workspace, globex: Workspace, vault: Callable[..., Any]
    ) -> None:
        rows = [vault(acme, "sk-a"), vault(globex, "sk-g")]
        report = run_json("rotate_keys")
        assert (report["succeeded"], report["failed"]) == (2, 0)
        assert [opened(row) for row in rows] == ["sk-a", "sk-g"]
        verified = run_json("verify_keys")
        assert (
            verified["key_pairs"],
            verified["sealed"],
            verified["sealed_failed"],
            verified["key_pairs_failed"],
        ) == (4, 2, 0, 0)

    def test_one_workspace(self, acme: Workspace, globex: Workspace) -> None:
        run("rotate_keys", "acme")
        for workspace, number in ((acme, 2), (globex, 1)):
            with tenant_scope(workspace.tenant):
                assert KeyPair.objects.count() == number
        with pytest.raises(CommandError, match="no workspace"):
            run("rotate_keys", "nowhere")

    def test_what_does_not_open_fails_the_command(
        self, acme: Workspace, vault: Callable[..., Any]
    ) -> None:
        row = vault(acme, "sk-a")
        with tenant_scope(acme.tenant):
            type(row).objects.update(base_url="https://evil.example.com")
        out = io.StringIO()
        with pytest.raises(CommandError):
            call_command("verify_keys", "acme", stdout=out)
        assert "1 checked, 1 do not open" in out.getvalue()
        assert "sk-a" not in out.getvalue()
        with pytest.raises(CommandError, match="could not be re-sealed"):
            call_command("rotate_keys", stdout=io.StringIO())

    def test_a_new_master_key(
        self, db: None, request: Any, vault: Callable[..., Any], master_keys: Callable[..., None]
    ) -> None:
        master_keys(1)
        acme: Workspace = request.getfixturevalue("acme")
        row = vault(acme, "sk-a")
        master_keys(2, 1)
        report = run_json("rotate_keys", "--master-only")
        assert report["master_keys_unneeded"] == ["m1"]
        master_keys(2)
        assert opened(row) == "sk-a"
        assert run_json("verify_keys")["master_key_problems"] == []

    def test_the_wrong_master_key(
        self, db: None, request: Any, master_keys: Callable[..., None]
    ) -> None:
        master_keys(1)
        request.getfixturevalue("acme")
        master_keys(2)
        with pytest.raises(CommandError, match="m1 is missing"):
            run("rotate_keys")
        out = io.StringIO()
        with pytest.raises(CommandError):
            call_command("verify_keys", stdout=out)
        assert "Master key m1 is missing" in out.getvalue()


class TestDemoData:
    def test_people_of_every_role_and_a_key(self, db: None) -> None:
        made = run_json("demo_data")
        assert set(made["people"]) == set(Role)
        for email in made["people"].values():
            assert User.objects.get(email=email).check_password(made["password"])
        assert find_principal({"x-api-key": made["app_key"]}).tenant_slug == "demo"
        again = run_json("demo_data")
        assert set(again) == {"workspace", "people"}
        with tenant_scope(Tenant.objects.get(slug="demo")):
            assert Membership.objects.count() == 4


@pytest.mark.slow
class TestFirstStart:
    """In a process of its own: it runs before Django."""

    def start(self, folder: Path, *args: str, **variables: str) -> str:
        env = {
            "PATH": os.environ["PATH"],
            "MODELKEEP_READ_DOTENV": "0",
            "DATA_DIR": str(folder),
            **variables,
        }
        command = [sys.executable, "-m", "config.first_start", *args]
        return subprocess.run(
            command, cwd=ROOT, env=env, check=True, capture_output=True, text=True
        ).stdout

    def test_secrets_for_the_owners_eyes_only(self, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "data"
        assert self.start(folder) == ""
        assert sorted(path.name for path in folder.iterdir()) == ["master_keys", "secret_key"]
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        secret_key = (folder / "secret_key").read_text().strip()
        assert len(secret_key) >= 50
        assert parse((folder / "master_keys").read_text().strip(), secret_key).ids == ("m1",)

    def test_what_is_there_stays(self, tmp_path: Path) -> None:
        self.start(tmp_path)
        before = {path.name: path.read_text() for path in tmp_path.iterdir()}
        self.start(tmp_path)
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before

    def test_what_the_environment_gives_is_not_made(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").write_text("m1:" + "A" * 44)
        data = tmp_path / "data"
        self.start(
            data, SECRET_KEY="x" * 50, MODELKEEP_MASTER_KEYS_FILE=str(tmp_path / "elsewhere")
        )
        assert list(data.iterdir()) == []

    def test_a_new_master_key_can_be_printed(self, tmp_path: Path) -> None:
        first, second = (self.start(tmp_path, "--print-master-key").strip() for _time in range(2))
        assert first != second
        parse(f"{first},{second}")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
def test_a_password_set_by_command_is_told_in_the_persons_workspaces(
    acme: Workspace, globex: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: "set by a command 1")
    call_command("changepassword", acme.editor.email, stdout=io.StringIO())
    assert User.objects.get(pk=acme.editor.pk).check_password("set by a command 1")
    told = []
    for workspace in (acme, globex):
        with tenant_scope(workspace.tenant):
            rows = AuditEntry.objects.filter(action="member.password_set")
            told.append(list(rows.values_list("actor", "object_label")))
    assert told == [[("command", acme.editor.email)], []]
