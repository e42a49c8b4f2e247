"""Pages about the workspace itself, its people, app keys and audit log: what they change, for whom,
and what they refuse.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core import mail
from django.test import AsyncClient, Client
from django.utils import timezone

from providers.models import ProviderCredential
from quotas.models import CallRecord
from tenants import queries
from tenants.audit.labels import SENTENCES
from tenants.audit.trail import COMMAND, Actor
from tenants.auth.permissions import Role
from tenants.crypto import keys
from tenants.models import (
    AppKey,
    AuditEntry,
    FormerAddress,
    Invitation,
    KeyPair,
    Membership,
    SentInvitation,
    Tenant,
    User,
)
from tenants.scope import all_tenants, tenant_scope
from tenants.services import invitations
from tenants.services import invitations as invitation_services
from tenants.services import settings as workspace_settings
from tests import factories
from tests.source import files, nodes

# On PostgreSQL, core/test_furnished_pages.py opens every page.
pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
SETTINGS = "/t/acme/settings"


def signed_in(user: Any) -> Client:
    client = Client()
    answer = client.post(
        "/accounts/login/", {"username": user.email, "password": factories.PASSWORD}
    )
    assert answer.status_code == 302
    return client


def actions(tenant: Tenant) -> list[str]:
    with tenant_scope(tenant):
        return list(AuditEntry.objects.order_by("time", "pk").values_list("action", flat=True))


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


async def collected(answer: Any) -> list[bytes]:
    return [piece async for piece in answer]


class TestSettings:
    def test_name_address_and_language(
        self, acme: factories.Workspace, globex: factories.Workspace
    ) -> None:
        browser = signed_in(acme.admin)
        form = {"name": "Acme Works", "slug": "acme-works", "default_language": "zh-hans"}
        answer = browser.post(f"{SETTINGS}/workspace/", form)
        assert answer["Location"] == "/t/acme-works/settings/workspace/"
        acme.tenant.refresh_from_db()
        assert (acme.tenant.name, acme.tenant.slug, acme.tenant.default_language) == (
            "Acme Works",
            "acme-works",
            "zh-hans",
        )
        assert actions(acme.tenant) == [
            "workspace.renamed",
            "workspace.language_changed",
            "workspace.moved",
        ]

    def test_allowed_origins(
        self, acme: factories.Workspace, globex: factories.Workspace, stranger: User
    ) -> None:
        form = {"name": "Acme", "slug": "acme", "default_language": ""}
        sent = form | {"allowed_origins": "https://B.example:443/\r\nhttp://localhost:3000"}
        browser = signed_in(acme.admin)
        assert browser.post(f"{SETTINGS}/workspace/", sent).status_code == 302
        with tenant_scope(acme.tenant):
            kept = queries.allowed_origins(tenant=acme.tenant)
        assert kept == ["http://localhost:3000", "https://b.example"]
        assert "https://b.example" in browser.get(f"{SETTINGS}/workspace/").content.decode()
        with tenant_scope(globex.tenant):
            assert queries.allowed_origins(tenant=globex.tenant) == []
        for other in (stranger, globex.owner):
            assert signed_in(other).post(f"{SETTINGS}/workspace/", sent).status_code == 404
        assert signed_in(acme.viewer).post(f"{SETTINGS}/workspace/", form).status_code == 403
        assert browser.post(f"{SETTINGS}/workspace/", form).status_code == 302
        with tenant_scope(acme.tenant):
            assert queries.allowed_origins(tenant=acme.tenant) == []
        assert actions(acme.tenant) == ["workspace.origins_changed"] * 2

    def test_what_calls_keep(
        self, acme: factories.Workspace, globex: factories.Workspace, stranger: User
    ) -> None:
        form = {"name": "Acme", "slug": "acme", "default_language": ""}
        browser = signed_in(acme.admin)
        for other in (stranger, globex.owner):
            answer = signed_in(other).post(f"{SETTINGS}/workspace/", form | {"kept_hours": "6"})
            assert answer.status_code == 404
        assert browser.post(f"{SETTINGS}/workspace/", form | {"kept_hours": "6"}).status_code == 302
        assert browser.post(f"{SETTINGS}/workspace/", form).status_code == 302
        acme.tenant.refresh_from_db()
        globex.tenant.refresh_from_db()
        assert (acme.tenant.kept_hours, globex.tenant.kept_hours) == (6, 0)
        assert actions(acme.tenant) == ["workspace.kept_hours_changed"]
        assert browser.post(f"{SETTINGS}/workspace/", form | {"kept_hours": "5"}).status_code == 422

    @pytest.mark.parametrize(
        "origin",
        ["*", "null", "example", "https://", "https://a/b", "https://*.example", "https://a:b@c"],
    )
    def test_what_is_no_origin_is_refused(self, origin: str, acme: factories.Workspace) -> None:
        form = {"name": "Acme", "slug": "acme", "default_language": "", "allowed_origins": origin}
        answer = signed_in(acme.admin).post(f"{SETTINGS}/workspace/", form)
        assert answer.status_code == 422
        assert "is not an origin" in text_of(answer)

    def test_nobody_collects_addresses(
        self, acme: factories.Workspace, globex: factories.Workspace
    ) -> None:
        with tenant_scope(acme.tenant):
            for number in range(10):
                workspace_settings.move_workspace(
                    tenant=acme.tenant, slug=f"acme-{number}", actor=COMMAND
                )
        browser = signed_in(acme.admin)
        form = {"name": "Acme", "slug": "one-more", "default_language": ""}
        answer = browser.post("/t/acme-9/settings/workspace/", form)
        assert answer.status_code == 422
        assert "has already had 10 addresses" in text_of(answer)
        assert (
            browser.post("/t/acme-9/settings/workspace/", form | {"slug": "acme"})["Location"]
            == "/t/acme/settings/workspace/"
        )
        assert (
            browser.post("/t/acme/settings/workspace/", form | {"slug": "acme-3"}).status_code
            == 302
        )
        assert (
            signed_in(globex.admin)
            .post("/t/globex/settings/workspace/", form | {"name": "Globex"})
            .status_code
            == 302
        )

    def test_a_former_address_leads_on_for_members_only(
        self, acme: factories.Workspace, globex: factories.Workspace, stranger: User
    ) -> None:
        with tenant_scope(acme.tenant):
            workspace_settings.move_workspace(tenant=acme.tenant, slug="moved", actor=COMMAND)
        answer = signed_in(acme.viewer).get("/t/acme/usage/?days=7")
        assert (answer.status_code, answer["Location"]) == (302, "/t/moved/usage/?days=7")
        assert signed_in(acme.admin).post("/t/acme/settings/members/invite/", {}).status_code == 307
        for other in (stranger, globex.owner):
            assert signed_in(other).get("/t/acme/usage/").status_code == 404

    def test_nobody_else_gets_a_former_address_but_its_workspace_does(
        self, acme: factories.Workspace, globex: factories.Workspace
    ) -> None:
        with tenant_scope(acme.tenant):
            workspace_settings.move_workspace(tenant=acme.tenant, slug="moved", actor=COMMAND)
        browser = signed_in(globex.owner)
        answer = browser.post(
            "/t/globex/settings/workspace/",
            {"name": "Globex", "slug": "acme", "default_language": ""},
        )
        assert answer.status_code == 422
        assert "This address is taken" in text_of(answer)
        with tenant_scope(acme.tenant):
            workspace_settings.move_workspace(tenant=acme.tenant, slug="acme", actor=COMMAND)
            assert list(FormerAddress.objects.values_list("slug", flat=True)) == ["moved"]

    @pytest.mark.parametrize("slug", ["", "Not an address", "-a", "operator-keys", "globex"])
    def test_all_or_nothing(
        self, slug: str, acme: factories.Workspace, globex: factories.Workspace
    ) -> None:
        answer = signed_in(acme.owner).post(
            f"{SETTINGS}/workspace/", {"name": "Changed", "slug": slug, "default_language": ""}
        )
        assert answer.status_code == 422
        acme.tenant.refresh_from_db()
        assert (acme.tenant.name, acme.tenant.slug) == ("Acme", "acme")
        assert actions(acme.tenant) == []

    def test_editors_read_and_do_not_write(self, acme: factories.Workspace) -> None:
        browser = signed_in(acme.editor)
        page = browser.get(f"{SETTINGS}/workspace/")
        assert page.status_code == 200
        assert b'name="slug"' not in page.content
        assert b"workspace/close/" not in page.content
        assert browser.post(f"{SETTINGS}/workspace/", {"name": "X", "slug": "x"}).status_code == 403
        assert browser.get(f"{SETTINGS}/workspace/close/").status_code == 403
        assert signed_in(acme.admin).get(f"{SETTINGS}/workspace/close/").status_code == 403


class TestRotation:
    def test_seals_everything_anew_and_says_how_far(
        self, acme: factories.Workspace, globex: factories.Workspace
    ) -> None:
        for name in ("One", "Two", "Three"):
            factories.make_credential(acme.tenant, name=name, is_active=False)
        factories.make_credential(globex.tenant)
        browser = signed_in(acme.admin)
        with tenant_scope(acme.tenant):
            before = queries.key_pair(tenant=acme.tenant).kid
        assert (
            browser.post(f"{SETTINGS}/workspace/key-pair/rotate/", {"typed": "globex"}).status_code
            == 422
        )
        answer = browser.post(f"{SETTINGS}/workspace/key-pair/rotate/", {"typed": "acme"})
        assert answer["Location"] == f"{SETTINGS}/workspace/key-pair/progress/"
        assert "0 of 3 credentials encrypted" in text_of(browser.get(answer["Location"]))
        assert "3 credentials are still under" in text_of(browser.get(f"{SETTINGS}/workspace/"))
        fragment = browser.post(answer["Location"], headers={"HX-Request": "true"})
        assert "3 of 3 credentials encrypted" in text_of(fragment)
        assert b"<html" not in fragment.content
        with tenant_scope(acme.tenant):
            assert queries.key_pair(tenant=acme.tenant).kid != before
            assert keys.progress(tenant=acme.tenant) == keys.Progress(3, 3)
        assert keys.verify(tenant=acme.tenant).failed == 0
        assert actions(acme.tenant)[-2:] == ["key_pair.rotated", "key_pair.resealed"]

    def test_an_interrupted_one_goes_on_where_it_was(self, acme: factories.Workspace) -> None:
        for name in ("One", "Two", "Three"):
            factories.make_credential(acme.tenant, name=name, is_active=False)
        with tenant_scope(acme.tenant):
            keys.begin_rotation(tenant=acme.tenant, actor=COMMAND)
            first = keys.continue_rotation(tenant=acme.tenant, actor=COMMAND, seconds=0)
            assert (first.complete, first.succeeded) == (False, 1)
            kid = queries.key_pair(tenant=acme.tenant).kid
            assert (
                keys.begin_rotation(tenant=acme.tenant, actor=COMMAND).left == 2
            )  # no further pair
            assert queries.key_pair(tenant=acme.tenant).kid == kid
            assert keys.continue_rotation(tenant=acme.tenant, actor=COMMAND).complete
            assert keys.progress(tenant=acme.tenant).left == 0

    def test_what_does_not_open_is_said_and_stops_nothing(self, acme: factories.Workspace) -> None:
        lost = factories.make_credential(acme.tenant, name="Lost", is_active=False)
        factories.make_credential(acme.tenant, name="Good", is_active=False)
        with tenant_scope(acme.tenant):
            ProviderCredential.objects.filter(pk=lost.pk).update(version=9)
        browser = signed_in(acme.owner)
        browser.post(f"{SETTINGS}/workspace/key-pair/rotate/", {"typed": "acme"})
        shown = browser.post(
            f"{SETTINGS}/workspace/key-pair/progress/", headers={"HX-Request": "true"}
        )
        assert "1 credential could not be decrypted" in text_of(shown)
        assert b"hx-trigger" not in shown.content
        plain = browser.post(f"{SETTINGS}/workspace/key-pair/progress/", follow=True)
        assert "could not be opened" in text_of(plain)


class TestTheEnd:
    def close(self, space: factories.Workspace) -> Any:
        return signed_in(space.owner).post(
            f"/t/{space.slug}/settings/workspace/close/", {"typed": space.slug}, follow=True
        )

    def test_closing_destroys_keys_and_keeps_records(
        self, acme: factories.Workspace, globex: factories.Workspace
    ) -> None:
        for space in (acme, globex):
            factories.make_credential(space.tenant)
            with tenant_scope(space.tenant):
                CallRecord.objects.create(
                    tenant=space.tenant,
                    request_id=f"r-{space.slug}",
                    operation="embeddings",
                    status="ok",
                )
                invitation_services.invite(
                    tenant=space.tenant, email="new@example.org", role=Role.VIEWER, actor=COMMAND
                )
        _row, text = acme.app_key
        answer = self.close(acme)
        assert "is closed" in text_of(answer)
        assert "closed: an operator can reopen it" in text_of(answer)
        with tenant_scope(acme.tenant):
            left = (ProviderCredential, KeyPair, Invitation)
            assert [model.objects.count() for model in left] == [0, 0, 0]
            assert AppKey.objects.filter(revoked=None).count() == 0
            assert CallRecord.objects.count() == 1
            entry = AuditEntry.objects.get(action="workspace.closed")
            assert entry.details == {"credentials": 1, "app_keys": 1, "invitations": 1}
        with tenant_scope(globex.tenant):
            assert (
                ProviderCredential.objects.count(),
                KeyPair.objects.count(),
                Invitation.objects.count(),
            ) == (1, 1, 1)
        assert Client().get("/api/v1/models/", **acme.headers(text)).status_code == 401
        assert "was closed by an owner" in text_of(signed_in(acme.admin).get("/t/acme/"))

    def test_an_operator_reopens_what_is_left(self, acme: factories.Workspace) -> None:
        self.close(acme)
        with tenant_scope(acme.tenant):
            acme.tenant.refresh_from_db()
            workspace_settings.suspend_workspace(tenant=acme.tenant, actor=COMMAND)
            assert Tenant.objects.get(pk=acme.tenant.pk).status == "closed"
            workspace_settings.resume_workspace(tenant=acme.tenant, actor=COMMAND)
        assert signed_in(acme.viewer).get("/t/acme/").status_code == 200
        factories.make_credential(acme.tenant)
        assert actions(acme.tenant)[-2] == "workspace.reopened"

    def test_only_an_owner_who_typed_the_address(self, acme: factories.Workspace) -> None:
        wrong = signed_in(acme.owner).post(f"{SETTINGS}/workspace/close/", {"typed": "Acme"})
        assert wrong.status_code == 422
        for person in (acme.admin, acme.editor, acme.viewer):
            assert (
                signed_in(person)
                .post(f"{SETTINGS}/workspace/close/", {"typed": "acme"})
                .status_code
                == 403
            )
        acme.tenant.refresh_from_db()
        assert acme.tenant.status == "active"

    def test_dangerous_acts_ask_for_the_password_again(self, acme: factories.Workspace) -> None:
        browser = signed_in(acme.owner)
        session = browser.session
        session["proven"] = 0
        session.save()
        for path in ("close/", "key-pair/rotate/"):
            answer = browser.post(f"{SETTINGS}/workspace/{path}", {"typed": "acme"})
            assert answer["Location"].startswith("/accounts/login/")
        acme.tenant.refresh_from_db()
        assert acme.tenant.status == "active"

    def test_leaving(self, acme: factories.Workspace) -> None:
        owner, viewer = signed_in(acme.owner), signed_in(acme.viewer)
        assert "Make someone else an owner first" in text_of(
            owner.get(f"{SETTINGS}/workspace/leave/")
        )
        refused = owner.post(f"{SETTINGS}/workspace/leave/", follow=True)
        assert "Make someone else owner first" in text_of(refused)
        assert viewer.post(f"{SETTINGS}/workspace/leave/")["Location"] == "/workspaces/"
        assert viewer.get("/t/acme/").status_code == 404
        with tenant_scope(acme.tenant):
            assert Membership.objects.filter(role=Role.OWNER).exists()


class TestInvitations:
    def invited(self, space: factories.Workspace, *, by_email: bool = False) -> str:
        with tenant_scope(space.tenant):
            actor = Actor(space.admin.email, space.admin.pk, role=Role.ADMIN)
            return invitations.invite(
                tenant=space.tenant,
                email="grace@example.org",
                role=Role.EDITOR,
                actor=actor,
                by_email=by_email,
            )[1]

    def join(self, token: str) -> Client:
        guest = Client()
        answer = guest.post(
            f"/accounts/invite/{token}/", {"name": "Grace", "password": "a long walk in rain"}
        )
        assert answer.status_code == 302, text_of(answer)
        return guest

    def test_a_password_through_the_link_is_said_until_it_is_changed(
        self, acme: factories.Workspace
    ) -> None:
        guest = self.join(self.invited(acme))
        mark = "Password set through the link"
        assert mark in text_of(signed_in(acme.owner).get(f"{SETTINGS}/members/"))
        assert "Invited by Acme admin" in text_of(signed_in(acme.owner).get(f"{SETTINGS}/members/"))
        assert mark not in text_of(signed_in(acme.viewer).get(f"{SETTINGS}/members/"))
        assert "Choose a new password" in text_of(guest.get("/accounts/profile/"))
        words = {
            "old_password": "a long walk in rain",
            "new_password1": "another long walk",
            "new_password2": "another long walk",
        }
        assert guest.post("/accounts/password_change/", words).status_code == 302
        assert mark not in text_of(signed_in(acme.owner).get(f"{SETTINGS}/members/"))
        assert "Choose a new password" not in text_of(guest.get("/accounts/profile/"))

    def test_operators_see_who_invited_and_that_the_password_came_through_a_link(
        self, acme: factories.Workspace, operator: User
    ) -> None:
        self.join(self.invited(acme))
        grace = User.objects.get(email="grace@example.org")
        shown = text_of(signed_in(operator).get(f"/admin/tenants/user/{grace.pk}/change/"))
        assert "admin@acme.test" in shown
        assert "Password set through a link" in shown

    def test_by_email_nobody_else_sees_the_link(
        self, acme: factories.Workspace, settings: Any
    ) -> None:
        settings.EMAIL_URL = "memory"
        answer = signed_in(acme.admin).post(
            f"{SETTINGS}/members/invite/",
            {"email": "grace@example.org", "role": "editor", "send": "1"},
            follow=True,
        )
        assert "/accounts/invite/" not in answer.content.decode()
        (message,) = mail.outbox
        assert message.to == ["grace@example.org"]
        token = re.search(r"/accounts/invite/([^/\s]+)/", message.body).group(1)
        self.join(token)
        assert User.objects.get(email="grace@example.org").password_by_link is None

    def test_an_email_that_does_not_leave_invites_nobody(
        self, acme: factories.Workspace, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(self: Any, fail_silently: bool = False) -> int:
            raise ConnectionRefusedError

        settings.EMAIL_URL = "memory"
        monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
        answer = signed_in(acme.admin).post(
            f"{SETTINGS}/members/invite/",
            {"email": "grace@example.org", "role": "editor", "send": "1"},
        )
        assert (answer.status_code, "could not be sent" in text_of(answer)) == (422, True)
        with tenant_scope(acme.tenant):
            assert not Invitation.objects.exists()

    def test_the_server_is_nobodys_way_to_write_to_strangers(
        self,
        acme: factories.Workspace,
        globex: factories.Workspace,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings.EMAIL_URL = "memory"
        monkeypatch.setattr(invitations, "MAX_EMAILS", 2)
        browser, address = signed_in(acme.admin), f"{SETTINGS}/members/invite/"
        form = {"email": "grace@example.org", "role": "editor", "send": "1"}
        assert [browser.post(address, form).status_code for _time in range(3)] == [
            302,
            302,
            422,
        ]  # the same one again and again
        assert "2 invitations by e-mail" in text_of(
            browser.post(address, form | {"email": "other@example.org"})
        )
        assert len(mail.outbox) == 2
        with tenant_scope(acme.tenant):
            SentInvitation.objects.update(time=timezone.now() - timedelta(days=1))
        assert browser.post(address, form).status_code == 302, "a day later"
        assert browser.post(address, form | {"send": ""}).status_code == 200, (
            "the link can be shown"
        )
        assert (
            signed_in(globex.admin).post("/t/globex/settings/members/invite/", form).status_code
            == 302
        )
        with tenant_scope(acme.tenant):
            assert Invitation.objects.count() == 1

    def test_an_address_with_an_account_is_asked_to_sign_in(
        self, acme: factories.Workspace
    ) -> None:
        factories.make_user("grace@example.org")
        token = self.invited(acme)
        page = Client().get(f"/accounts/invite/{token}/")
        assert "Sign in to join" in text_of(page)
        assert b'name="password"' not in page.content
        forced = Client().post(
            f"/accounts/invite/{token}/", {"name": "Other", "password": "a long walk in rain"}
        )
        assert forced.status_code == 200
        assert User.objects.get(email="grace@example.org").check_password(factories.PASSWORD)


class TestAppKeys:
    def test_limits_are_chosen_and_a_mistyped_model_is_not_taken(
        self, acme: factories.Workspace
    ) -> None:
        factories.make_credential(acme.tenant, provider="demo", name="Demo")
        browser = signed_in(acme.owner)
        form = {
            "name": "Bot",
            "scopes": ["use"],
            "days": "30",
            "providers": ["demo"],
            "operations": ["embeddings"],
        }
        wrong = browser.post(f"{SETTINGS}/app-keys/new/", {**form, "models": "demo/demo-embeding"})
        assert "Did you mean “demo/demo-embedding”?" in text_of(wrong)
        shown = browser.post(f"{SETTINGS}/app-keys/new/", {**form, "models": "demo/demo-embedding"})
        assert "/v1/embeddings" in text_of(shown)
        assert "&quot;model&quot;: &quot;demo/demo-embedding&quot;" in shown.content.decode()
        assert "no-store" in shown["Cache-Control"]
        with tenant_scope(acme.tenant):
            row = AppKey.objects.get(name="Bot")
            assert (row.allowed_providers, row.allowed_operations) == (["demo"], ["embeddings"])

    def test_a_key_is_changed_and_the_page_says_what_is_wrong(
        self, acme: factories.Workspace, globex: factories.Workspace
    ) -> None:
        factories.make_credential(acme.tenant, provider="demo", name="Demo")
        row, _text = factories.make_app_key(
            acme.tenant, name="Bot", allowed_models=["gone/model"], allowed_providers=["gone"]
        )
        address = f"{SETTINGS}/app-keys/{row.pk}/"
        browser = signed_in(acme.owner)
        page = browser.get(address)
        assert "Never, as it is now" in text_of(page)
        form = {"name": "Bot 2", "days": "-1", "models": "gone/model\ndemo/demo-embeding"}
        wrong = browser.post(address, form | {"providers": ["gone", "demo"]})
        assert "Did you mean “demo/demo-embedding”?" in text_of(wrong)
        saved = browser.post(
            address, form | {"providers": ["gone", "demo"], "models": "gone/model", "days": "30"}
        )
        assert saved.status_code == 302
        assert "“Bot 2” is saved" in text_of(browser.get(f"{SETTINGS}/app-keys/"))
        with tenant_scope(acme.tenant):
            row.refresh_from_db()
        assert (row.allowed_providers, row.allowed_models) == (["demo", "gone"], ["gone/model"])
        assert row.expires is not None
        assert signed_in(globex.owner).get(address).status_code == 404
        assert signed_in(acme.viewer).post(address, form).status_code == 403
        theirs = f"/t/globex/settings/app-keys/{row.pk}/"
        assert signed_in(globex.owner).post(theirs, form).status_code == 404

    def test_no_command_where_nothing_can_be_called(self, acme: factories.Workspace) -> None:
        shown = signed_in(acme.owner).post(
            f"{SETTINGS}/app-keys/new/", {"name": "Bot", "scopes": ["use"], "days": "0"}
        )
        assert "There is nothing to call yet" in text_of(shown)
        assert b"curl" not in shown.content

    def test_the_default_is_named_only_where_there_is_one(self, acme: factories.Workspace) -> None:
        from models_catalog.services import defaults

        factories.make_credential(acme.tenant, provider="demo", name="Demo")
        browser = signed_in(acme.owner)
        first = browser.post(
            f"{SETTINGS}/app-keys/new/", {"name": "One", "scopes": ["use"], "days": "0"}
        )
        assert "demo/demo-chat" in first.content.decode()
        with tenant_scope(acme.tenant):
            defaults.set_default(
                tenant=acme.tenant, actor=COMMAND, scenario="reasoning", model="demo/demo-chat"
            )
        second = browser.post(
            f"{SETTINGS}/app-keys/new/", {"name": "Two", "scopes": ["use"], "days": "0"}
        )
        assert "&quot;model&quot;: &quot;default&quot;" in second.content.decode()


class TestAudit:
    def entries(self, space: factories.Workspace) -> None:
        now = timezone.now()
        with tenant_scope(space.tenant):
            for days, actor, action, label in (
                (0, "ada@example.org", "member.added", "=HYPERLINK(1)"),
                (3, "command", "app_key.created", f"{space.slug} key"),
            ):
                AuditEntry.objects.create(
                    tenant=space.tenant,
                    time=now - timedelta(days=days),
                    actor=actor,
                    action=action,
                    object_label=label,
                )

    def rows(self, answer: Any) -> list[dict[str, str]]:
        text = b"".join(answer.streaming_content).decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text)))

    def test_filters_by_person_kind_and_day(self, acme: factories.Workspace) -> None:
        self.entries(acme)
        browser, today = signed_in(acme.admin), timezone.localdate()
        assert "acme key" not in text_of(browser.get(f"{SETTINGS}/audit/?actor=ada@example.org"))
        assert "HYPERLINK" not in text_of(browser.get(f"{SETTINGS}/audit/?kind=app_key."))
        assert "acme key" not in text_of(browser.get(f"{SETTINGS}/audit/?since={today}"))
        assert "HYPERLINK" not in text_of(
            browser.get(f"{SETTINGS}/audit/?until={today - timedelta(days=1)}")
        )
        assert browser.get(f"{SETTINGS}/audit/?since=never").status_code == 422

    def test_the_download_is_defused_audited_and_of_one_workspace(
        self, acme: factories.Workspace, globex: factories.Workspace, stranger: User
    ) -> None:
        self.entries(acme)
        self.entries(globex)
        answer = signed_in(acme.admin).get(f"{SETTINGS}/audit/export.csv?kind=member.")
        rows = self.rows(answer)
        assert [row["Object"] for row in rows] == ["'=HYPERLINK(1)"]
        assert actions(acme.tenant)[-1] == "audit.exported"
        everything = self.rows(signed_in(acme.admin).get(f"{SETTINGS}/audit/export.csv"))
        assert not [row for row in everything if "globex" in row["Object"]]
        assert signed_in(acme.editor).get(f"{SETTINGS}/audit/export.csv").status_code == 403
        for other in (stranger, globex.owner):
            assert signed_in(other).get(f"{SETTINGS}/audit/export.csv").status_code == 404

    def test_the_download_of_a_long_log_holds_each_entry_once(
        self, acme: factories.Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queries, "BATCH", 2)
        now = timezone.now()
        with tenant_scope(acme.tenant):
            for number in range(7):
                time = now - timedelta(days=number // 3)  # some at the same moment
                AuditEntry.objects.create(
                    tenant=acme.tenant,
                    time=time,
                    actor="ada",
                    action="member.joined",
                    object_label=f"no {number}",
                )
        rows = self.rows(signed_in(acme.admin).get(f"{SETTINGS}/audit/export.csv?kind=member."))
        assert sorted(row["Object"] for row in rows) == [f"no {number}" for number in range(7)]
        assert [row["Time (UTC)"] for row in rows] == sorted(
            (row["Time (UTC)"] for row in rows), reverse=True
        )

    @pytest.mark.parametrize("of", ["workspace", "calls", "operators"])
    def test_a_download_is_sent_while_it_is_made(self, of: str, acme: factories.Workspace) -> None:
        """Django collects what is not asynchronous before the first byte: of a long log a minute
        later, all of it in memory.

        What is asynchronous it compresses piece by piece, each an archive of its own: browsers take
        the first for the whole file.
        """
        browser = AsyncClient(headers={"accept-encoding": "gzip"})
        if of == "workspace":
            browser.force_login(acme.admin)
            self.entries(acme)
            answer = async_to_sync(browser.get)(f"{SETTINGS}/audit/export.csv")
        elif of == "calls":
            browser.force_login(acme.admin)
            with tenant_scope(acme.tenant):
                CallRecord.objects.create(
                    tenant=acme.tenant, request_id="r", operation="chat.completions", latency_ms=1
                )
            answer = async_to_sync(browser.get)("/t/acme/usage/calls/export.csv")
        else:
            browser.force_login(User.objects.create_superuser("op@example.org", factories.PASSWORD))
            with all_tenants():
                self.entries(acme)
                rows = [str(pk) for pk in AuditEntry.objects.values_list("pk", flat=True)]
            form = {
                "action": "export",
                "select_across": "1",
                "index": "0",
                "_selected_action": rows[:1],
            }
            answer = async_to_sync(browser.post)("/admin/tenants/auditentry/", form)
        assert answer.status_code == 200
        assert answer.is_async
        assert answer["Content-Encoding"] == "identity"
        assert b"".join(async_to_sync(collected)(answer)).decode("utf-8-sig").count("\n") > 1

    @pytest.mark.slow
    def test_every_action_has_words(self) -> None:
        """Whatever a service records for a workspace is said in words, not as a code."""
        import ast

        things = (
            "workspace|member|invitation|app_key|credential|provider|models?|default|"
            "default_model|key_pair|master_key|trial|usage|audit"
        )
        pattern = re.compile(rf"(?:{things})\.(?!csv$)[a-z_]+")  # usage.csv is a file
        written = {
            one.value
            for path in files("tenants", "providers", "models_catalog", "quotas")
            if path.name not in {"labels.py", "apps.py"}
            for node in nodes(path)
            if isinstance(node, ast.Call)
            for one in [*node.args, *(word.value for word in node.keywords if word.arg == "action")]
            if isinstance(one, ast.Constant)
            and isinstance(one.value, str)
            and pattern.fullmatch(one.value)
        }
        assert len(written) > 25
        assert sorted(written - set(SENTENCES)) == []


class TestOverview:
    @pytest.mark.parametrize(
        "broken",
        [
            "quotas.usage.call_list.calls",
            "quotas.usage.summaries.summary",
            "providers.queries.statuses",
        ],
    )
    def test_a_part_that_cannot_be_read_is_named(
        self, broken: str, acme: factories.Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(**arguments: Any) -> None:
            raise RuntimeError("away")

        monkeypatch.setattr(broken, fail)
        answer = signed_in(acme.owner).get("/t/acme/")
        assert answer.status_code == 200
        assert "Some of this page could not be loaded" in text_of(answer)

    def test_the_first_call_ticks_the_last_step(
        self, acme: factories.Workspace, globex: factories.Workspace
    ) -> None:
        browser = signed_in(acme.owner)
        with tenant_scope(globex.tenant):
            CallRecord.objects.create(
                tenant=globex.tenant, request_id="other", operation="embeddings", status="ok"
            )
        assert "0 of 4 done" in text_of(browser.get("/t/acme/"))
        with tenant_scope(acme.tenant):
            CallRecord.objects.create(
                tenant=acme.tenant, request_id="mine", operation="embeddings", status="ok"
            )
        assert "1 of 4 done" in text_of(browser.get("/t/acme/"))

    def test_problems_are_said_in_words_and_lead_to_their_call(
        self, acme: factories.Workspace
    ) -> None:
        with tenant_scope(acme.tenant):
            call = CallRecord.objects.create(
                tenant=acme.tenant,
                request_id="r",
                operation="embeddings",
                status="error",
                error_code="provider_rate_limited",
                model="m",
            )
        page = signed_in(acme.viewer).get("/t/acme/").content.decode()
        assert f"/t/acme/usage/calls/{call.pk}/" in page
        assert "Rate limit" in page
        assert "provider_rate_limited" not in page


class TestPerson:
    def test_times_are_those_of_the_persons_zone(self, acme: factories.Workspace) -> None:
        browser = signed_in(acme.owner)
        form = {"name": "Ada", "language": "", "theme": "", "time_zone": "Asia/Shanghai"}
        assert browser.post("/accounts/profile/", form).status_code == 302
        with tenant_scope(acme.tenant):
            when = timezone.now().replace(year=2026, month=3, day=1, hour=20, minute=30)
            AuditEntry.objects.create(
                tenant=acme.tenant, actor="x", action="member.added", time=when
            )
        assert "2026-03-02 04:30" in text_of(browser.get(f"{SETTINGS}/audit/"))
        assert (
            browser.post("/accounts/profile/", {**form, "time_zone": "Mars/Base"}).status_code
            == 422
        )

    def test_signing_out_everywhere_else(self, acme: factories.Workspace) -> None:
        here, there, other = signed_in(acme.owner), signed_in(acme.owner), signed_in(acme.admin)
        assert here.post("/accounts/sign_out_elsewhere/").status_code == 302
        assert here.get("/accounts/profile/").status_code == 200
        assert there.get("/accounts/profile/").status_code == 302
        assert other.get("/accounts/profile/").status_code == 200

    def test_a_session_that_ended_sends_the_whole_page_to_the_login(
        self, acme: factories.Workspace
    ) -> None:
        browser = signed_in(acme.owner)
        page = browser.get(f"{SETTINGS}/workspace/")
        assert page["Cache-Control"] == "no-store"  # nothing to go back to after signing out
        browser.logout()
        answer = browser.post(
            f"{SETTINGS}/workspace/key-pair/progress/", headers={"HX-Request": "true"}
        )
        assert (answer.status_code, answer["HX-Redirect"].partition("?")[0]) == (
            204,
            "/accounts/login/",
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "members/",
        "app-keys/",
        "app-keys/new/",
        "audit/",
        "workspace/",
        "workspace/leave/",
        "workspace/close/",
    ],
)
def test_few_queries_however_many_rows(
    path: str, acme: factories.Workspace, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        factories.make_app_key(acme.tenant, name=f"Key {number}")
    with all_tenants():
        for number in range(60):
            person = User.objects.create(email=f"person{number}@example.org")
            Membership.objects.create(
                tenant=acme.tenant, user=person, role="viewer", invited_by=acme.owner
            )
    browser = signed_in(acme.owner)
    browser.get(f"{SETTINGS}/{path}")
    with django_assert_max_num_queries(12):
        assert browser.get(f"{SETTINGS}/{path}").status_code == 200
