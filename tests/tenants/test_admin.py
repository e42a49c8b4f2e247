"""The operators' pages about workspaces and people."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from tenants import services
from tenants.models import AppKey, AuditEntry, KeyPair, Membership, SignInFailures, Tenant, User
from tenants.scope import all_tenants, tenant_scope
from tests.factories import Workspace

PAGES = ("tenant", "user", "appkey", "keypair", "auditentry")


@pytest.fixture
def client(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def action(client: Client, model: str, name: str, *rows: Any) -> Any:
    return client.post(f"/admin/tenants/{model}/", {"action": name, "_selected_action": [row.pk for row in rows]}, follow=True)


def test_every_list_and_row_opens_and_shows_no_secret(client: Client, acme: Workspace) -> None:
    row, text = acme.app_key
    with all_tenants():
        secrets = [row.digest, text, *KeyPair.objects.values_list("private_sealed", flat=True)]
        firsts = {
            "tenant": acme.tenant,
            "user": acme.owner,
            "appkey": row,
            "keypair": KeyPair.objects.get(),
            "auditentry": AuditEntry.objects.first(),
        }
    for page in PAGES:
        for url in (f"/admin/tenants/{page}/", f"/admin/tenants/{page}/{firsts[page].pk}/change/"):
            answer = client.get(url)
            assert answer.status_code == 200, url
            body = answer.content.decode()
            assert not [secret for secret in secrets if secret in body], url


def test_nothing_can_be_deleted_and_what_the_product_makes_not_added(client: Client, acme: Workspace) -> None:
    row, _text = acme.app_key
    with all_tenants():
        firsts = {
            "tenant": acme.tenant,
            "user": acme.owner,
            "appkey": row,
            "keypair": KeyPair.objects.get(),
            "auditentry": AuditEntry.objects.first(),
        }
    for page in PAGES:
        assert client.post(f"/admin/tenants/{page}/{firsts[page].pk}/delete/", {"post": "yes"}).status_code == 403
        assert b"delete_selected" not in client.get(f"/admin/tenants/{page}/").content
    for page in ("appkey", "keypair", "auditentry"):
        assert client.get(f"/admin/tenants/{page}/add/").status_code == 403
        assert client.post(f"/admin/tenants/{page}/{firsts[page].pk}/change/", {"name": "x"}).status_code == 403
    with all_tenants():
        assert all(model.objects.exists() for model in (AppKey, KeyPair, AuditEntry, Tenant))


def test_what_operators_have_no_page_for(db: None) -> None:
    registered = {model for model in admin.site._registry if model._meta.app_label in ("tenants", "auth")}
    assert registered == {Tenant, User, AppKey, KeyPair, AuditEntry}
    assert SignInFailures not in registered
    assert Membership not in registered


def test_suspending_and_resuming(client: Client, acme: Workspace, globex: Workspace) -> None:
    action(client, "tenant", "suspend", acme.tenant)
    assert dict(Tenant.objects.filter(is_system=False).values_list("slug", "status")) == {"acme": "suspended", "globex": "active"}
    action(client, "tenant", "resume", acme.tenant, globex.tenant)
    assert set(Tenant.objects.values_list("status", flat=True)) == {"active"}
    with tenant_scope(acme.tenant):
        actors = set(AuditEntry.objects.filter(action__in=("workspace.suspended", "workspace.resumed")).values_list("actor", flat=True))
    assert actors == {"operator@hub.test"}


def test_a_workspace_is_made_by_the_same_service(client: Client) -> None:
    answer = client.post("/admin/tenants/tenant/add/", {"name": "Made here", "slug": "made-here", "_save": "Save"}, follow=True)
    assert answer.status_code == 200
    tenant = Tenant.objects.get(slug="made-here")
    with tenant_scope(tenant):
        assert AuditEntry.objects.filter(action="workspace.created").count() == 1
    client.post(f"/admin/tenants/tenant/{tenant.pk}/change/", {"name": "Renamed", "slug": "other", "status": "suspended"})
    tenant.refresh_from_db()
    assert (tenant.name, tenant.slug, tenant.status) == ("Renamed", "made-here", "active")


@pytest.mark.parametrize("slug", ["acme", "Bad_Slug", services.SYSTEM_SLUG])
def test_a_bad_address_is_said_on_the_form(client: Client, acme: Workspace, slug: str) -> None:
    services.system_tenant()
    answer = client.post("/admin/tenants/tenant/add/", {"name": "x", "slug": slug})
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["slug"]


def test_the_operators_own_row_is_not_listed(client: Client) -> None:
    tenant = services.system_tenant()
    assert services.SYSTEM_SLUG not in client.get("/admin/tenants/tenant/").content.decode()
    assert client.get(f"/admin/tenants/tenant/{tenant.pk}/change/").status_code == 302


def test_members_of_a_workspace_are_counted(client: Client, acme: Workspace, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(12):
        rows = client.get("/admin/tenants/tenant/").context["cl"].result_list
    assert [row.member_count for row in rows] == [4]


def test_people(client: Client, acme: Workspace) -> None:
    body = client.get(f"/admin/tenants/user/{acme.editor.pk}/change/").content.decode()
    assert "Acme" in body
    action(client, "user", "deactivate", acme.editor)
    acme.editor.refresh_from_db()
    assert not acme.editor.is_active
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
    action(client, "appkey", "revoke", row)
    with tenant_scope(acme.tenant):
        row.refresh_from_db()
        assert row.revoked is not None
        assert AuditEntry.objects.get(action="app_key.revoked").actor == "operator@hub.test"
