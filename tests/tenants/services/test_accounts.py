"""Accounts that someone else may have made, first passwords, and names."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from core.errors import Conflict, NotAllowed, ServiceError
from tenants.audit.trail import COMMAND
from tenants.auth.permissions import Role
from tenants.models import Invitation, Membership, UnprovenMailbox, User
from tenants.scope import tenant_scope
from tenants.services import accounts, invitations, members, workspaces
from tests.factories import PASSWORD, Workspace, make_user
from tests.tenants.services.test_services import acting
from tests.tenants.test_commands import run, run_json
from tests.tenants.views.test_workspace_pages import text_of

CHANGE = "/accounts/password_change/"
ADA, CHOSEN, OWN = "ada@corp.example", "chosen by mallory 99", "a long walk in rain"


def invited(
    workspace: Workspace, role: Role = Role.VIEWER, *, by_email: bool = False, email: str = ADA
) -> str:
    """The token of an invitation by the owner."""
    with tenant_scope(workspace.tenant):
        return invitations.invite(
            tenant=workspace.tenant,
            email=email,
            role=role,
            actor=acting(workspace, Role.OWNER),
            by_email=by_email,
        )[1]


def signs_in(email: str, password: str) -> bool:
    client = Client()
    client.post("/accounts/login/", {"username": email, "password": password})
    return "_auth_user_id" in client.session


@pytest.fixture
def hijacked(globex: Workspace) -> User:
    """An account that globex made for Ada, with a password that globex chose."""
    member = invitations.accept_invitation(token=invited(globex), name="Ada", password=CHOSEN)
    return member.user


@pytest.fixture(params=["as it is", "password changed"])
def unproven(request: pytest.FixtureRequest, hijacked: User) -> User:
    """Whoever made the account may change its password; that proves nothing."""
    if request.param == "password changed":
        accounts.change_password(user=hijacked, password=CHOSEN)
    return User.objects.get(pk=hijacked.pk)


class TestAccountsThatSomeoneElseMade:
    def test_they_own_nothing(self, acme: Workspace, unproven: User) -> None:
        with pytest.raises(UnprovenMailbox):
            workspaces.create_workspace(slug="new", name="New", owner=unproven, actor=COMMAND)
        with tenant_scope(acme.tenant):
            with pytest.raises(UnprovenMailbox):
                members.add_member(
                    tenant=acme.tenant, user=unproven, role=Role.OWNER, actor=COMMAND
                )
            row = members.add_member(
                tenant=acme.tenant, user=unproven, role=Role.ADMIN, actor=COMMAND
            )
            with pytest.raises(UnprovenMailbox):
                members.change_role(
                    tenant=acme.tenant, membership_id=row.pk, role=Role.OWNER, actor=COMMAND
                )
            assert Membership.objects.get(pk=row.pk).role == Role.ADMIN

    def test_nor_do_they_become_operators(self, unproven: User, operator: User) -> None:
        for name in ("is_staff", "is_superuser"):
            user = User.objects.get(pk=unproven.pk)
            setattr(user, name, True)
            with pytest.raises(UnprovenMailbox):
                user.save()
        site = Client()
        site.force_login(operator)
        form = {"email": ADA, "name": "Ada", "is_staff": "on"}
        answer = site.post(f"/admin/tenants/user/{unproven.pk}/change/", form)
        assert "made through a link" in answer.content.decode()
        assert not User.objects.get(pk=unproven.pk).is_staff

    def test_no_owner_is_invited_through_a_link_that_others_see(
        self, acme: Workspace, stranger: User, hijacked: User
    ) -> None:
        for email in (ADA, "nobody-yet@corp.example"):
            with pytest.raises(UnprovenMailbox):
                invited(acme, Role.OWNER, email=email)
        token = invited(acme, Role.OWNER, email=stranger.email)
        assert invitations.accept_invitation(token=token, user=stranger).role == Role.OWNER

    def test_an_invitation_from_before_the_rule_makes_no_owner(
        self, acme: Workspace, hijacked: User
    ) -> None:
        token = invited(acme, Role.ADMIN)
        with tenant_scope(acme.tenant):
            Invitation.objects.update(role=Role.OWNER)
        with pytest.raises(UnprovenMailbox):
            invitations.accept_invitation(token=token, user=hijacked)
        with tenant_scope(acme.tenant):
            assert not Membership.objects.filter(user=hijacked).exists()

    def test_who_reads_the_mailbox_takes_the_account_over(
        self, acme: Workspace, unproven: User
    ) -> None:
        attacker = Client()
        attacker.post("/accounts/login/", {"username": ADA, "password": CHOSEN})
        token = invited(acme, Role.OWNER, by_email=True)
        page = Client().get(f"/accounts/invite/{token}/").content.decode()
        assert "signs out everyone who uses the account now" in " ".join(page.split())
        ada = Client()
        form = {"name": "Ada Lovelace", "password": OWN}
        assert ada.post(f"/accounts/invite/{token}/", form)["Location"] == "/t/acme/"
        assert attacker.get("/accounts/profile/").status_code == 302
        assert not signs_in(ADA, CHOSEN)
        assert signs_in(ADA, OWN)
        user = User.objects.get(pk=unproven.pk)
        assert (user.name, user.made_by_link) == ("Ada Lovelace", None)
        with tenant_scope(acme.tenant):
            assert Membership.objects.get(user=user).role == Role.OWNER

    def test_a_member_proves_the_mailbox_by_another_invitation(
        self, globex: Workspace, acme: Workspace, hijacked: User
    ) -> None:
        with pytest.raises(Conflict):
            invited(globex, Role.ADMIN)
        token = invited(globex, Role.OWNER, by_email=True)
        member = invitations.accept_invitation(token=token, name="Ada", password=OWN)
        assert (member.role, member.user.made_by_link) == (Role.OWNER, None)
        with pytest.raises(Conflict):
            invited(globex, Role.VIEWER, by_email=True)

    def test_it_lowers_no_role(self, globex: Workspace, hijacked: User) -> None:
        with tenant_scope(globex.tenant):
            Membership.objects.filter(user=hijacked).update(role=Role.ADMIN)
        token = invited(globex, Role.VIEWER, by_email=True)
        assert invitations.accept_invitation(token=token, password=OWN).role == Role.ADMIN

    def test_a_link_that_others_saw_takes_no_account_over(
        self, acme: Workspace, hijacked: User, stranger: User
    ) -> None:
        form = {"name": "x", "password": OWN}
        Client().post(f"/accounts/invite/{invited(acme)}/", form)
        by_email = invited(acme, by_email=True, email=stranger.email)
        Client().post(f"/accounts/invite/{by_email}/", form)
        assert not signs_in(ADA, OWN)
        assert not signs_in(stranger.email, OWN), "accounts of their own stay as they are"

    def test_an_operator_hands_out_a_new_password(self, hijacked: User, operator: User) -> None:
        site = Client()
        site.post("/accounts/login/", {"username": operator.email, "password": PASSWORD})
        form = {"password1": OWN, "password2": OWN, "usable_password": "true"}
        answer = site.post(f"/admin/tenants/user/{hijacked.pk}/password/", form)
        assert answer.status_code == 302, answer.content.decode()
        assert User.objects.get(pk=hijacked.pk).made_by_link is None

    def test_the_command_for_a_workspace_gives_the_owner_a_new_password(
        self, unproven: User
    ) -> None:
        made = run_json("init", "--workspace", "corp", "--owner", ADA)
        assert not signs_in(ADA, CHOSEN)
        assert signs_in(ADA, made["password"])
        assert set(run_json("init", "--workspace", "corp", "--owner", ADA)) == {
            "workspace",
            "owner",
        }


class TestInvitationsOverRest:
    def test_the_link_goes_by_email_where_there_is_mail(
        self, acme: Workspace, settings: Any
    ) -> None:
        from tests.api.conftest import Api

        settings.EMAIL_URL = "memory"
        api = Api(acme.app_key[1])
        answer = api.post("/invitations/", {"email": ADA, "role": "viewer"})
        assert (answer.status_code, answer.json()["url"]) == (201, None)
        assert "/accounts/invite/" not in answer.content.decode()
        (message,) = mail.outbox
        assert message.to == [ADA]
        token = re.search(r"/accounts/invite/([^/\s]+)/", message.body).group(1)  # type: ignore[union-attr]
        joined = invitations.accept_invitation(token=token, name="Ada", password=OWN)
        assert joined.user.made_by_link is None

    def test_nobody_is_invited_if_the_email_cannot_be_sent(
        self, acme: Workspace, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tests.api.conftest import Api, error

        def refuse(self: Any, fail_silently: bool = False) -> int:
            raise ConnectionRefusedError

        settings.EMAIL_URL = "memory"
        monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
        answer = Api(acme.app_key[1]).post("/invitations/", {"email": ADA, "role": "viewer"})
        error(answer, 502, "mail_not_sent")
        with tenant_scope(acme.tenant):
            assert not Invitation.objects.exists()


class TestFirstPasswords:
    ARGS = ("--workspace", "main", "--owner", ADA)

    def expire(self) -> None:
        User.objects.update(first_password_until=timezone.now() - timedelta(seconds=1))

    def test_they_must_be_changed_before_any_other_page(self, operator: User) -> None:
        made = run_json("init", *self.ARGS)
        client = Client()
        login = {"username": ADA, "password": made["password"], "next": "/t/main/usage/?days=7"}
        signed_in = client.post("/accounts/login/", login)
        assert signed_in["Location"] == "/t/main/usage/?days=7"
        for path in ("/", "/t/main/", "/accounts/profile/", "/help/", "/admin/", "/nowhere/"):
            assert client.get(path)["Location"].startswith(f"{CHANGE}?next=")
        assert client.post("/accounts/sign_out_elsewhere/")["Location"].startswith(CHANGE)
        htmx = client.get("/t/main/", headers={"HX-Request": "true"})
        assert htmx["HX-Redirect"].startswith(CHANGE)
        page = client.get(f"{CHANGE}?next=/t/main/usage/")
        assert "Choose a password of your own" in text_of(page)
        new = {"new_password1": OWN, "new_password2": OWN, "next": "/t/main/usage/"}
        assert client.post(CHANGE, new | {"old_password": "wrong"}).status_code == 422
        again = {"new_password1": made["password"], "new_password2": made["password"]}
        assert client.post(CHANGE, again | {"old_password": made["password"]}).status_code == 422
        changed = client.post(CHANGE, new | {"old_password": made["password"]})
        assert changed["Location"] == "/t/main/usage/"
        assert client.get("/t/main/").status_code == 200
        assert client.get(CHANGE)["Location"] == "/accounts/profile/#password"
        assert User.objects.get(email=ADA).first_password_until is None
        assert signs_in(ADA, OWN)

    def test_programs_go_on_with_the_app_key(self, db: None) -> None:
        from tests.api.conftest import Api

        key = run_json("init", *self.ARGS)["app_key"]
        assert Api(key).get("/workspace/").status_code == 200
        client = Client()
        login = {"username": ADA, "password": OWN}
        client.post("/accounts/login/", login)
        for headers in (
            {},
            {"authorization": f"Basic {b64encode(f'{ADA}:{OWN}'.encode()).decode()}"},
        ):
            answer = client.get("/api/v1/workspace/", headers=headers)
            assert answer.status_code == 401, "neither sessions nor passwords open the REST API"

    def test_operators_change_them_too(self, db: None) -> None:
        made = run_json("init", *self.ARGS)
        site = Client()
        login = {"username": made["operator"], "password": made["operator_password"]}
        site.post("/admin/login/", login)
        assert site.get("/admin/")["Location"].startswith(CHANGE)

    def test_they_end_whoever_has_them(self, db: None) -> None:
        made = run_json("init", *self.ARGS)
        client = Client()
        client.post("/accounts/login/", {"username": ADA, "password": made["password"]})
        self.expire()
        assert client.get("/t/main/").status_code == 302, "a session ends with it"
        for email, password in (
            (ADA, made["password"]),
            (made["operator"], made["operator_password"]),
        ):
            form = {"username": email, "password": password}
            answer = Client().post("/accounts/login/", form)
            assert (
                answer.status_code,
                "first password has expired" in answer.content.decode(),
            ) == (
                422,
                True,
            )
            assert not signs_in(email, password)
        wrong = Client().post("/accounts/login/", {"username": ADA, "password": "wrong"})
        assert "expired" not in wrong.content.decode()

    def test_the_command_makes_another_once_one_has_expired(self, db: None) -> None:
        first = run_json("init", *self.ARGS)["password"]
        assert "password" not in run_json("init", *self.ARGS)
        self.expire()
        second = run_json("init", *self.ARGS)["password"]
        assert second != first
        assert signs_in(ADA, second)

    def test_so_do_passwords_that_operators_choose(self, operator: User, stranger: User) -> None:
        site = Client()
        site.force_login(operator)
        form = {"password1": OWN, "password2": OWN, "usable_password": "true"}
        site.post("/admin/tenants/user/add/", form | {"email": ADA, "name": "Ada"})
        site.post(f"/admin/tenants/user/{stranger.pk}/password/", form)
        for email in (ADA, stranger.email):
            assert signs_in(email, OWN)
            assert User.objects.get(email=email).first_password_until > timezone.now()
        self.expire()
        assert not signs_in(ADA, OWN)

    def test_the_demo_gets_another_one_too(self, db: None) -> None:
        first = run_json("demo_data")["password"]
        assert "password" not in run_json("demo_data")
        self.expire()
        second = run_json("demo_data")["password"]
        assert second != first
        assert signs_in("owner@demo.example", second)

    def test_the_command_says_until_when(self, db: None) -> None:
        assert "within 7 days: you choose others then" in run("init", *self.ARGS)


class TestNames:
    BAD = ("Ada\r\nBcc: victim@corp.example", "Ada\u202e", "A\x00da", "Ada\u2028x", "A\x1b[31mda")

    @pytest.mark.parametrize("name", BAD)
    def test_no_way_takes_a_name_that_is_not_one_line(
        self, acme: Workspace, operator: User, name: str
    ) -> None:
        with pytest.raises(ServiceError):
            accounts.make_user(email=ADA, password=None, name=name)
        with pytest.raises(ServiceError):
            invitations.accept_invitation(token=invited(acme), name=name, password=OWN)
        client, site = Client(), Client()
        client.force_login(acme.viewer)
        site.force_login(operator)
        before = acme.viewer.name
        form = {"name": name, "language": "", "theme": "", "time_zone": ""}
        assert client.post("/accounts/profile/", form).status_code == 422
        join = {"name": name, "password": OWN}
        assert Client().post(f"/accounts/invite/{invited(acme)}/", join).status_code == 422
        person = {"email": acme.viewer.email, "name": name}
        site.post(f"/admin/tenants/user/{acme.viewer.pk}/change/", person)
        assert User.objects.get(pk=acme.viewer.pk).name == before
        assert not User.objects.filter(email=ADA).exists()

    def test_a_name_from_before_breaks_no_email(self, acme: Workspace, settings: Any) -> None:
        settings.EMAIL_URL = "memory"
        User.objects.filter(pk=acme.admin.pk).update(name=self.BAD[0])
        client = Client()
        client.force_login(acme.admin)
        session = client.session
        session["proven"] = int(timezone.now().timestamp())
        session.save()
        form = {"email": "grace@example.org", "role": "editor", "send": "1"}
        answer = client.post("/t/acme/settings/members/invite/", form)
        assert answer.status_code == 302
        assert "Ada Bcc: victim@corp.example invites you" in mail.outbox[0].subject

    def test_names_of_all_scripts_are_taken(self, db: None) -> None:
        for name in ("Ада Лавлейс", "李四", "José O\u2019Neil", "عائشة", "Ada 🙂", ""):
            user = make_user(f"{len(name)}{hash(name)}@example.org", name=name)
            user.full_clean(exclude=["password"])


def test_refusals_of_unproven_accounts_are_told_to_programs() -> None:
    assert issubclass(UnprovenMailbox, NotAllowed)
    assert (UnprovenMailbox().code, UnprovenMailbox().status) == ("mailbox_unproven", 403)
