"""New passwords by a link sent by e-mail: for the mailbox's owner only, and unseen by strangers."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tenants.auth.permissions import Role
from tenants.models import AuditEntry, Membership, User
from tenants.scope import tenant_scope
from tenants.services import accounts
from tenants.services.mail import wait_for_background
from tests.factories import PASSWORD, Workspace
from tests.tenants.views.test_workspace_pages import text_of

pytestmark = pytest.mark.django_db
FORGOTTEN, OWN = "/accounts/password_reset/", "a long walk in rain"
NEW = {"new_password1": OWN, "new_password2": OWN}


@pytest.fixture
def mails(settings: Any) -> list[Any]:
    settings.EMAIL_URL = "memory"
    settings.SITE_URL = "https://hub.test"
    return mail.outbox


def ask(email: str, address: str = "203.0.113.1", **headers: Any) -> Any:
    answer = Client().post(FORGOTTEN, {"email": email}, REMOTE_ADDR=address, headers=headers)
    wait_for_background()
    return answer


def link(mails: list[Any]) -> str:
    """The path in the newest e-mail."""
    found = re.search(r"https://hub\.test(/accounts/password_reset/\S+)", mails[-1].body)
    assert found is not None
    return found[1]


def choose(path: str, words: dict[str, str] = NEW) -> HttpResponse:
    """Open a link and send the form behind it."""
    client = Client()
    form = client.get(path)
    answer: Any = client.post(form["Location"], words) if form.status_code == 302 else form
    return answer


def signs_in(email: str, password: str) -> bool:
    client = Client()
    client.post("/accounts/login/", {"username": email, "password": password})
    return "_auth_user_id" in client.session


class TestTheLink:
    def test_sets_a_password_ends_sessions_and_is_told_everywhere(
        self, mails: list[Any], acme: Workspace, globex: Workspace
    ) -> None:
        person, before = acme.editor, Client()
        with tenant_scope(globex.tenant):
            Membership.objects.create(tenant=globex.tenant, user=person, role=Role.VIEWER)
        before.force_login(person)
        assert "Check your inbox" in text_of(ask(person.email.upper()))
        assert [message.to for message in mails] == [[person.email]]
        answer = choose(link(mails))
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")
        assert not signs_in(person.email, PASSWORD)
        assert signs_in(person.email, OWN)
        assert before.get("/t/acme/").status_code == 302
        for workspace in (acme, globex):
            with tenant_scope(workspace.tenant):
                [entry] = AuditEntry.objects.filter(action="member.password_reset")
                assert (entry.actor, entry.object_label) == (person.email, person.email)

    def test_works_once(self, mails: list[Any], acme: Workspace) -> None:
        ask(acme.editor.email)
        assert choose(link(mails)).status_code == 302
        answer = choose(link(mails))
        assert (answer.status_code, "This link does not work" in text_of(answer)) == (404, True)

    def test_works_once_for_two_who_have_opened_it(self, mails: list[Any], acme: Workspace) -> None:
        ask(acme.editor.email)
        two = Client(), Client()
        forms = [client.get(link(mails))["Location"] for client in two]
        answers = [client.post(form, NEW) for client, form in zip(two, forms, strict=True)]
        assert [answer.status_code for answer in answers] == [302, 404]

    @pytest.mark.parametrize("what", ["an hour", "a sign-in", "a new address", "a closed account"])
    def test_ends_with(self, mails: list[Any], acme: Workspace, settings: Any, what: str) -> None:
        person = acme.editor
        ask(person.email)
        if what == "an hour":
            settings.PASSWORD_RESET_TIMEOUT = -1
        elif what == "a sign-in":
            assert signs_in(person.email, PASSWORD)
        elif what == "a new address":
            User.objects.filter(pk=person.pk).update(email="other@acme.test")
        else:
            User.objects.filter(pk=person.pk).update(is_active=False)
        assert choose(link(mails)).status_code == 404

    def test_is_kept_nowhere_in_the_database(self, mails: list[Any], acme: Workspace) -> None:
        ask(acme.editor.email)
        client = Client()
        client.get(client.get(link(mails))["Location"])
        assert not Session.objects.exists()
        cookie = client.cookies["reset"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        for forged in ("", ".", cookie.value[:-1], f"x{cookie.value}", "\u00e9.\u00e9"):
            other = Client()
            other.cookies["reset"] = forged
            assert other.post(f"{FORGOTTEN}new/", NEW).status_code == 404
        assert client.post(f"{FORGOTTEN}new/", NEW).status_code == 302
        assert not client.cookies["reset"].value

    def test_is_for_one_account(self, mails: list[Any], acme: Workspace, stranger: User) -> None:
        ask(stranger.email)
        _start, of_stranger, token = link(mails).rstrip("/").rsplit("/", 2)
        ask(acme.owner.email)
        of_owner = link(mails).rstrip("/").rsplit("/", 2)[1]
        assert of_owner != of_stranger
        for uid in (of_owner, "", "AAAA", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ", "not base64 \u00e9"):
            assert choose(f"{FORGOTTEN}{uid}/{token}/").status_code == 404

    def test_takes_no_weak_password(self, mails: list[Any], acme: Workspace) -> None:
        ask(acme.editor.email)
        for weak in ("short", "password123", acme.editor.email, "Modelkeep-hub.test!"):
            answer = choose(link(mails), {"new_password1": weak, "new_password2": weak})
            assert answer.status_code == 422
        assert signs_in(acme.editor.email, PASSWORD)

    def test_proves_the_mailbox_and_ends_a_first_password(
        self, mails: list[Any], acme: Workspace
    ) -> None:
        person = acme.editor
        accounts.hand_out_password(person)
        person.made_by_link = person.password_by_link = timezone.now() - timedelta(days=1)
        person.save()
        ask(person.email)
        client = Client()
        form = client.get(link(mails))["Location"]
        assert "Then look through your app keys" in text_of(client.get(form))
        client.post(form, NEW)
        person.refresh_from_db()
        assert person.made_by_link is person.password_by_link is None
        assert person.first_password_until is None

    def test_names_the_servers_own_address(self, mails: list[Any], acme: Workspace) -> None:
        Client(SERVER_NAME="localhost").post(FORGOTTEN, {"email": acme.editor.email})
        wait_for_background()
        assert "localhost" not in mails[-1].body
        assert link(mails)

    def test_is_written_in_the_persons_language(self, mails: list[Any], acme: Workspace) -> None:
        ask(acme.editor.email, accept_language="zh-hans")
        User.objects.filter(pk=acme.viewer.pk).update(language="en")
        ask(acme.viewer.email, accept_language="zh-hans")
        assert "新密码" in mails[0].subject
        assert "new password" in mails[1].subject.lower()


class TestStrangers:
    def test_learn_nothing_of_who_has_an_account(self, mails: list[Any], acme: Workspace) -> None:
        closed, without = acme.viewer, acme.admin
        User.objects.filter(pk=closed.pk).update(is_active=False)
        without.set_unusable_password()
        without.save()
        answers = set()
        asked = (acme.editor.email, closed.email, without.email, "nobody@nowhere.test")
        for number, email in enumerate(asked):
            with CaptureQueriesContext(connection) as queries:
                answer = ask(email, f"203.0.113.{number + 1}")
            text = text_of(answer).replace(email, "ADDRESS")
            answers.add((answer.status_code, text, len(queries)))
        assert len(answers) == 1
        assert [message.to for message in mails] == [[acme.editor.email]]

    def test_get_a_few_links_per_account_and_from_one_network(
        self, mails: list[Any], acme: Workspace
    ) -> None:
        email = acme.editor.email
        codes = [ask(email, f"2001:db8:{number:x}::1").status_code for number in range(5)]
        assert codes == [200, 200, 200, 429, 429]
        assert len(mails) == 3
        unknown = [ask("nobody@nowhere.test", f"198.51.100.{n}") for n in range(4)]
        assert [answer.status_code for answer in unknown] == [200, 200, 200, 429]
        assert int(unknown[-1]["Retry-After"]) > 0
        many = [ask(f"{n}@nowhere.test", f"2001:db8:1:2::{n:x}").status_code for n in range(12)]
        assert many == [200] * 10 + [429] * 2

    @pytest.mark.slow
    def test_keep_no_owner_from_signing_in(self, mails: list[Any], acme: Workspace) -> None:
        for _time in range(6):
            ask(acme.owner.email)
        assert signs_in(acme.owner.email, PASSWORD)


class TestWithoutMail:
    def test_the_page_says_whom_to_ask(self, acme: Workspace) -> None:
        assert "Forgot your password?" in text_of(Client().get("/accounts/login/"))
        assert "Ask an operator of this server" in text_of(Client().get(FORGOTTEN))
        assert "Ask an operator of this server" in text_of(ask(acme.editor.email))
        assert mail.outbox == []

    def test_a_mail_server_that_is_away_is_not_seen(
        self, mails: list[Any], acme: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(self: Any, fail_silently: bool = False) -> int:
            raise ConnectionRefusedError

        monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
        assert "Check your inbox" in text_of(ask(acme.editor.email))
