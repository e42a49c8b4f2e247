"""The operators' pages about workspaces and people."""

from __future__ import annotations

import csv
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.utils import timezone

from tenants.models import AppKey, AuditEntry, KeyPair, Membership, SignInFailures, Tenant, User
from tenants.scope import all_tenants, tenant_scope
from tenants.services import settings, workspaces
from tests.factories import Workspace

PAGES = ("tenant", "user", "appkey", "keypair", "auditentry")


@pytest.fixture
def client(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def action(client: Client, model: str, name: str, *rows: Any, **form: str) -> Any:
    """As it is after the page that asks first was answered with yes."""
    data = {"action": name, "_selected_action": [row.pk for row in rows], "confirmed": "yes"} | form
    return client.post(f"/admin/tenants/{model}/", data, follow=True)


def asked(client: Client, model: str, name: str, *rows: Any) -> str:
    answer = client.post(
        f"/admin/tenants/{model}/", {"action": name, "_selected_action": [row.pk for row in rows]}
    )
    assert answer.status_code == 200
    return answer.content.decode()


def first_rows(acme: Workspace) -> dict[str, Any]:
    """A row of each of PAGES."""
    with all_tenants():
        return {
            "tenant": acme.tenant,
            "user": acme.owner,
            "appkey": acme.app_key[0],
            "keypair": KeyPair.objects.get(),
            "auditentry": AuditEntry.objects.first(),
        }


def test_every_list_and_row_opens_and_shows_no_secret(client: Client, acme: Workspace) -> None:
    row, text = acme.app_key
    with all_tenants():
        secrets = [row.digest, text, *KeyPair.objects.values_list("private_sealed", flat=True)]
    firsts = first_rows(acme)
    for page in PAGES:
        for url in (f"/admin/tenants/{page}/", f"/admin/tenants/{page}/{firsts[page].pk}/change/"):
            answer = client.get(url)
            assert answer.status_code == 200, url
            body = answer.content.decode()
            assert not [secret for secret in secrets if secret in body], url


def test_nothing_can_be_deleted_and_what_the_product_makes_not_added(
    client: Client, acme: Workspace
) -> None:
    firsts = first_rows(acme)
    for page in PAGES:
        assert (
            client.post(
                f"/admin/tenants/{page}/{firsts[page].pk}/delete/", {"post": "yes"}
            ).status_code
            == 403
        )
        assert b"delete_selected" not in client.get(f"/admin/tenants/{page}/").content
    for page in ("appkey", "keypair", "auditentry"):
        assert client.get(f"/admin/tenants/{page}/add/").status_code == 403
        assert (
            client.post(
                f"/admin/tenants/{page}/{firsts[page].pk}/change/", {"name": "x"}
            ).status_code
            == 403
        )
    with all_tenants():
        assert all(model.objects.exists() for model in (AppKey, KeyPair, AuditEntry, Tenant))


def test_what_operators_have_no_page_for(db: None) -> None:
    registered = {
        model for model in admin.site._registry if model._meta.app_label in ("tenants", "auth")
    }
    assert registered == {Tenant, User, AppKey, KeyPair, AuditEntry}
    assert SignInFailures not in registered
    assert Membership not in registered


def test_suspending_and_resuming(client: Client, acme: Workspace, globex: Workspace) -> None:
    page = asked(client, "tenant", "suspend", acme.tenant)
    assert "so do their applications" in page
    assert "<li>Acme</li>" in page
    assert "Globex" not in page
    assert set(Tenant.objects.values_list("status", flat=True)) == {"active"}, "asked only"
    action(client, "tenant", "suspend", acme.tenant)
    assert dict(Tenant.objects.filter(is_system=False).values_list("slug", "status")) == {
        "acme": "suspended",
        "globex": "active",
    }
    action(client, "tenant", "resume", acme.tenant, globex.tenant)
    assert set(Tenant.objects.values_list("status", flat=True)) == {"active"}
    with tenant_scope(acme.tenant):
        actors = set(
            AuditEntry.objects.filter(
                action__in=("workspace.suspended", "workspace.resumed")
            ).values_list("actor", flat=True)
        )
    assert actors == {"operator@hub.test"}


def test_a_workspace_is_made_by_the_same_service(client: Client) -> None:
    answer = client.post(
        "/admin/tenants/tenant/add/",
        {"name": "Made here", "slug": "made-here", "_save": "Save"},
        follow=True,
    )
    assert answer.status_code == 200
    tenant = Tenant.objects.get(slug="made-here")
    with tenant_scope(tenant):
        assert AuditEntry.objects.filter(action="workspace.created").count() == 1
    client.post(
        f"/admin/tenants/tenant/{tenant.pk}/change/",
        {"name": "Renamed", "slug": "other", "status": "suspended"},
    )
    tenant.refresh_from_db()
    assert (tenant.name, tenant.slug, tenant.status) == ("Renamed", "made-here", "active")


@pytest.mark.parametrize("slug", ["acme", "Bad_Slug", settings.SYSTEM_SLUG])
def test_a_bad_address_is_said_on_the_form(client: Client, acme: Workspace, slug: str) -> None:
    workspaces.system_tenant()
    answer = client.post("/admin/tenants/tenant/add/", {"name": "x", "slug": slug})
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["slug"]


def test_the_operators_own_row_is_not_listed(client: Client) -> None:
    tenant = workspaces.system_tenant()
    assert settings.SYSTEM_SLUG not in client.get("/admin/tenants/tenant/").content.decode()
    assert client.get(f"/admin/tenants/tenant/{tenant.pk}/change/").status_code == 302


def test_members_of_a_workspace_are_counted(
    client: Client, acme: Workspace, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(12):
        rows = client.get("/admin/tenants/tenant/").context["cl"].result_list
    assert [row.member_count for row in rows] == [4]


def test_people(client: Client, acme: Workspace) -> None:
    body = client.get(f"/admin/tenants/user/{acme.editor.pk}/change/").content.decode()
    assert "Acme" in body
    assert acme.editor.email in asked(client, "user", "deactivate", acme.editor)
    acme.editor.refresh_from_db()
    assert acme.editor.is_active
    with tenant_scope(acme.tenant):
        before = Tenant.objects.get(pk=acme.tenant.pk).config_version
        action(
            client, "user", "deactivate", acme.editor, User.objects.get(email="operator@hub.test")
        )
        acme.editor.refresh_from_db()
        assert not acme.editor.is_active
        assert User.objects.get(email="operator@hub.test").is_active, "nobody locks themselves out"
        assert AuditEntry.objects.get(action="member.deactivated").object_label == acme.editor.email
        assert Tenant.objects.get(pk=acme.tenant.pk).config_version > before
        action(client, "user", "reactivate", acme.editor)
        acme.editor.refresh_from_db()
        assert acme.editor.is_active
    assert (
        "is_active"
        not in client.get(f"/admin/tenants/user/{acme.editor.pk}/change/")
        .context["adminform"]
        .form.fields
    )
    client.post(
        "/admin/tenants/user/add/",
        {
            "email": "two@ops.test",
            "name": "Two",
            "usable_password": "true",
            "password1": "a long sentence 7",
            "password2": "a long sentence 7",
            "is_staff": "on",
        },
    )
    assert User.objects.get(email="two@ops.test").is_staff


def test_revoking_a_key(client: Client, acme: Workspace) -> None:
    row, _text = acme.app_key
    assert "cannot be undone" in asked(client, "appkey", "revoke", row)
    with tenant_scope(acme.tenant):
        row.refresh_from_db()
        assert row.revoked is None
    action(client, "appkey", "revoke", row)
    with tenant_scope(acme.tenant):
        row.refresh_from_db()
        assert row.revoked is not None
        assert AuditEntry.objects.get(action="app_key.revoked").actor == "operator@hub.test"


def test_rotating_a_key_pair(client: Client, acme: Workspace, globex: Workspace) -> None:
    with all_tenants():
        before = dict(KeyPair.objects.filter(state="current").values_list("tenant__slug", "kid"))
    assert "Calls keep working meanwhile" in asked(client, "tenant", "rotate_key_pair", acme.tenant)
    assert (
        "1 key pair rotated"
        in action(client, "tenant", "rotate_key_pair", acme.tenant).content.decode()
    )
    with all_tenants():
        after = dict(KeyPair.objects.filter(state="current").values_list("tenant__slug", "kid"))
        assert AuditEntry.objects.get(action="key_pair.rotated").actor == "operator@hub.test"
        pair = KeyPair.objects.get(state="current", tenant=globex.tenant)
    assert after["acme"] != before["acme"]
    assert after["globex"] == before["globex"]
    action(client, "keypair", "rotate", pair)
    with all_tenants():
        assert KeyPair.objects.get(state="current", tenant=globex.tenant).kid != pair.kid


def test_app_keys_are_found_by_their_condition(client: Client, acme: Workspace) -> None:
    row, _text = acme.app_key
    soon, long_ago = timezone.now() + timedelta(days=3), timezone.now() - timedelta(days=200)

    def found(condition: str) -> list[Any]:
        return list(
            client.get(f"/admin/tenants/appkey/?condition={condition}").context["cl"].result_list
        )

    assert (found("valid"), found("expiring"), found("unused"), found("revoked")) == (
        [row],
        [],
        [],
        [],
    )
    with all_tenants():
        AppKey.objects.filter(pk=row.pk).update(expires=soon, created=long_ago)
    assert (found("expiring"), found("unused")) == ([row], [row])
    with all_tenants():
        AppKey.objects.filter(pk=row.pk).update(revoked=long_ago)
    assert (found("valid"), found("expiring"), found("unused"), found("revoked")) == (
        [],
        [],
        [],
        [row],
    )


def test_workspaces_are_found_by_their_members_address(
    client: Client, acme: Workspace, globex: Workspace
) -> None:
    for term, expected in (
        ("owner@acme.test", ["acme"]),
        ("glob", ["globex"]),
        ("nobody@acme.test", []),
    ):
        assert [
            row.slug
            for row in client.get("/admin/tenants/tenant/", {"q": term}).context["cl"].result_list
        ] == expected


def test_the_audit_trail_is_downloaded_and_that_is_noted(client: Client, acme: Workspace) -> None:
    with tenant_scope(acme.tenant):
        made = AuditEntry.objects.create(
            tenant=acme.tenant, actor="=cmd|' /C calc'!A0", action="member.added", object_label="+1"
        )
    answer = action(client, "auditentry", "export", made)
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert answer["Content-Type"].startswith("text/csv")
    rows = list(csv.reader(text.splitlines()))
    assert rows[0][:4] == ["time", "workspace", "who", "action"]
    assert rows[1][1:4] == ["acme", "'=cmd|' /C calc'!A0", "member.added"]
    assert len(rows) == 2
    with all_tenants():
        assert AuditEntry.objects.get(action="operations.exported").actor == "operator@hub.test"
