"""Error codes that pages and commands show the words of, provoked: a form, a button, a command."""

from __future__ import annotations

import html
import io
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from core.errors import ServiceError
from models_catalog.facts import library, refresh
from models_catalog.models import CatalogSnapshot
from tenants.audit.trail import Actor
from tenants.auth.permissions import Role
from tenants.scope import all_tenants, tenant_scope
from tenants.services import invitations
from tests import factories
from tests.quotas.conftest import make_pool
from tests.sent_codes import Cases

CASES = Cases()
SETTINGS = "/t/acme/settings"
INVITATION = {"email": "grace@example.org", "role": "editor", "send": "1"}


@dataclass
class Stage:
    """A workspace, and a folder for files of commands."""

    space: factories.Workspace
    operator: Any
    folder: Path
    patch: pytest.MonkeyPatch
    settings: Any

    def post(self, user: Any, path: str, form: dict[str, Any] | None = None) -> str:
        """What a person reads after a button or a form."""
        client = Client()
        if user is not None:
            signed_in = {"username": user.email, "password": factories.PASSWORD}
            client.post("/accounts/login/", signed_in)
        return html.unescape(client.post(path, form or {}, follow=True).content.decode())

    def invitation(self) -> str:
        """The address of an open invitation for grace@example.org."""
        admin = self.space.admin
        with tenant_scope(self.space.tenant):
            token = invitations.invite(
                tenant=self.space.tenant,
                email="grace@example.org",
                role=Role.EDITOR,
                actor=Actor(admin.email, admin.pk, role=Role.ADMIN),
            )[1]
        return f"/accounts/invite/{token}/"

    def command(self, *arguments: str) -> str:
        """What an operator reads of a command that fails."""
        with pytest.raises(CommandError) as failed:
            call_command(*arguments, stdout=io.StringIO())
        return str(failed.value)

    def snapshot(self, *, days: int = 1, price: str = "") -> str:
        """A file of what is in effect, of another day; with `price`, one model costs that."""
        document = json.loads(json.dumps(refresh.export()))
        document["date"] = str(date.fromisoformat(document["date"]) + timedelta(days=days))
        if price:
            row = next(row for row in document["providers"]["openai"]["model"] if "price" in row)
            row["price"] = {"currency": "USD", "input": price, "output": price}
        path = self.folder / "snapshot.json"
        path.write_text(json.dumps(document))
        return str(path)


@pytest.fixture
def stage(
    acme: factories.Workspace,
    operator: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> Iterator[Stage]:
    yield Stage(acme, operator, tmp_path, monkeypatch, settings)
    library.use({})
    refresh._loaded = None


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> list[ServiceError]:
    """Every refusal that a service makes in the test."""
    made: list[ServiceError] = []
    init = ServiceError.__init__

    def keep(self: ServiceError, *arguments: Any, **options: Any) -> None:
        init(self, *arguments, **options)
        made.append(self)

    monkeypatch.setattr(ServiceError, "__init__", keep)
    return made


# ------------------------------------------------------------------------------------------- pages


@CASES.sends("last_owner", 409)
def _(stage: Stage) -> str:
    return stage.post(stage.space.owner, f"{SETTINGS}/workspace/leave/")


@CASES.sends("not_your_key", 403)
def _(stage: Stage) -> str:
    row = stage.space.app_key[0]
    return stage.post(stage.space.editor, f"{SETTINGS}/app-keys/{row.pk}/revoke/")


@CASES.sends("too_many_emails", 429)
def _(stage: Stage) -> str:
    stage.settings.EMAIL_URL = "memory"
    stage.patch.setattr(invitations, "MAX_EMAILS", 0)
    return stage.post(stage.space.admin, f"{SETTINGS}/members/invite/", INVITATION)


@CASES.sends("mail_not_sent", 502)
def _(stage: Stage) -> str:
    stage.settings.EMAIL_URL = "smtp"
    stage.settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    stage.settings.EMAIL_HOST, stage.settings.EMAIL_PORT = "127.0.0.1", 9
    return stage.post(stage.space.admin, f"{SETTINGS}/members/invite/", INVITATION)


@CASES.sends("other_account", 403)
def _(stage: Stage) -> str:
    return stage.post(factories.make_user("ada@example.org"), stage.invitation())


@CASES.sends("sign_in_first", 409)
def _(stage: Stage) -> str:
    """The account is made after the page has looked for it."""
    factories.make_user("grace@example.org")
    stage.patch.setattr("tenants.views.account._has_account", lambda _invitation: False)
    form = {"name": "Grace", "password": "a long walk in rain"}
    return stage.post(None, stage.invitation(), form)


@CASES.sends("mailbox_unproven", 403)
def _(stage: Stage) -> str:
    form = {"email": "grace@example.org", "role": "owner"}
    return stage.post(stage.space.owner, f"{SETTINGS}/members/invite/", form)


@CASES.sends("weak_password", 400)
def _(stage: Stage) -> str:
    return stage.post(None, stage.invitation(), {"name": "Grace", "password": "12345"})


def pasted(stage: Stage, text: str, **more: Any) -> str:
    form = {"text": text, **more}
    return stage.post(stage.space.admin, f"{SETTINGS}/model-providers/import/", form)


@CASES.sends("too_long", 400)
def _(stage: Stage) -> str:
    """Neither the text nor the file is: both together are."""
    lines = "# comment\n" * 4000
    return pasted(stage, lines, file=SimpleUploadedFile("keys.env", lines.encode()))


@CASES.sends("too_many", 400)
def _(stage: Stage) -> str:
    return pasted(stage, "\n".join(f"A_{number}=b" for number in range(60)))


@CASES.sends("nothing_found", 400)
def _(stage: Stage) -> str:
    return pasted(stage, "# no value here")


# --------------------------------------------------------------------------------------- operators


def admin_action(stage: Stage, page: str, pk: Any, action: str, **form: str) -> str:
    data = {"action": action, "index": "0", "_selected_action": [pk], "confirmed": "yes"} | form
    client = Client()
    client.force_login(stage.operator)
    return html.unescape(client.post(reverse(page), data, follow=True).content.decode())


def grant(stage: Stage, credits: int) -> str:
    with all_tenants():
        pool = make_pool(stage.space.tenant)
    page = "admin:quotas_creditpool_changelist"
    return admin_action(
        stage, page, pool.pk, "grant_credits", credits=str(credits), reason="goodwill"
    )


@CASES.sends("only_credential", 409)
def _(stage: Stage) -> str:
    row = factories.make_credential(stage.space.tenant)
    page = "admin:providers_providercredential_changelist"
    return admin_action(stage, page, row.pk, "deactivate")


@CASES.sends("below_used", 409)
def _(stage: Stage) -> str:
    return grant(stage, -11)


@CASES.sends("bad_amount", 400)
def _(stage: Stage) -> str:
    return grant(stage, 3_000_000_000)


@CASES.sends("bad_limit", 400)
def _(stage: Stage) -> str:
    return stage.command("trial_plan", "openai", "--limit=-1")


@CASES.sends("bad_credits", 400)
def _(stage: Stage) -> str:
    return stage.command("trial_plan", "openai", "--model", "gpt-4o=0")


@CASES.sends("bad_model", 400)
def _(stage: Stage) -> str:
    return stage.command("trial_plan", "openai", "--model", "gpt\u20284o")


@CASES.sends("bad_scope", 400)
def _(stage: Stage) -> str:
    return stage.command("app_key", "acme", "--name", "New", "--scopes", "all")


@CASES.sends("no_scope", 400)
def _(stage: Stage) -> str:
    return stage.command("app_key", "acme", "--name", "New", "--scopes", ",")


@CASES.sends("no_snapshot", 409)
def _(stage: Stage) -> str:
    return stage.command("refresh_catalog", "--previous")


@CASES.sends("older", 409)
def _(stage: Stage) -> str:
    return stage.command("refresh_catalog", stage.snapshot(days=-1))


@CASES.sends("needs_accept", 409)
def _(stage: Stage) -> str:
    return stage.command("refresh_catalog", stage.snapshot(price="99999"))


@CASES.sends("busy", 409)
def _(stage: Stage) -> str:
    """Another process has put its snapshot into effect at the same moment."""

    def save(_row: CatalogSnapshot) -> None:
        cause = sqlite3.IntegrityError()
        cause.sqlite_errorname = "SQLITE_CONSTRAINT_UNIQUE"
        raise IntegrityError from cause

    stage.patch.setattr(CatalogSnapshot, "save", save)
    return stage.command("refresh_catalog", stage.snapshot())


@pytest.mark.parametrize(("code", "status"), [*CASES])
def test_the_words_of_the_code_are_shown(
    stage: Stage, refusals: list[ServiceError], code: str, status: int
) -> None:
    shown = CASES[code, status](stage)
    told = [str(one.message) for one in refusals if (one.code, one.status) == (code, status)]
    assert told, [(one.code, one.status) for one in refusals]
    assert told[-1] in shown


# -------------------------------------------------------------------------------------- playground

PLAYGROUND = Cases()


@PLAYGROUND.sends("unavailable", 503)
def _(stage: Stage) -> str:
    """Django runs by itself, without the server that makes calls."""
    factories.make_credential(stage.space.tenant)
    form = {"model": "openai/gpt-6-luna", "message": "Hello"}
    return stage.post(stage.space.editor, "/t/acme/playground/", form)


def test_the_playground_shows_the_code(stage: Stage) -> None:
    assert "HTTP 503 unavailable" in PLAYGROUND["unavailable", 503](stage)
