"""The operators' searches look whole values up, or a part of a workspace's name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.admin import base
from core.admin.base import CappedPaginator
from tenants.models import AppKey, AuditEntry, Tenant, User
from tenants.scope import all_tenants
from tests.factories import Workspace, make_app_key

Search = Callable[[str, str], set[str]]


@pytest.fixture
def search(operator: User) -> Search:
    client = Client()
    client.force_login(operator)

    def found(model: str, text: str) -> set[str]:
        answer = client.get(f"/admin/tenants/{model}/", {"q": text})
        assert answer.status_code == 200
        return {str(row.pk) for row in answer.context["cl"].result_list}

    return found


def test_app_keys(acme: Workspace, globex: Workspace, search: Search) -> None:
    (ours, _text), (theirs, _other) = (
        make_app_key(workspace.tenant, name=f"{workspace.slug} key") for workspace in (acme, globex)
    )
    AppKey.objects.model._base_manager.filter(pk=theirs.pk).update(prefix="mk_live_zzzz")
    own = {str(ours.pk)}
    for entered in (ours.prefix, f" {ours.prefix} ", "acme key", acme.slug, acme.tenant.name[:3]):
        assert search("appkey", entered) == own, entered
    for entered in ("key", "mk_live_", f"{ours.prefix[:-1]}", ours.digest, "%"):
        assert search("appkey", entered) == set(), entered


def test_the_audit_trail(acme: Workspace, globex: Workspace, search: Search) -> None:
    with all_tenants():
        AuditEntry.objects.all().delete()
        ours, theirs = (
            AuditEntry.objects.create(
                tenant=space.tenant,
                actor=space.owner.email,
                action="member.added",
                object_label=f"label of {space.slug}",
            )
            for space in (acme, globex)
        )
    for entered in (acme.owner.email, acme.slug, "label of acme"):
        assert search("auditentry", entered) == {str(ours.pk)}, entered
    assert search("auditentry", "label") == set()
    assert search("auditentry", globex.owner.email) == {str(theirs.pk)}


def test_no_list_counts_all_of_its_rows(
    search: Search, acme: Workspace, globex: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "MOST_COUNTED", 1)
    with CaptureQueriesContext(connection) as queries:
        search("tenant", "")
    counts = [query["sql"] for query in queries if query["sql"].startswith("SELECT COUNT(*)")]
    assert counts
    assert all("LIMIT 1" in sql for sql in counts)
    assert Tenant.objects.filter(is_system=False).count() > 1
    for page in admin.site._registry.values():
        assert issubclass(page.paginator, CappedPaginator), page
        assert page.show_facets is admin.ShowFacets.NEVER, page
        assert not page.show_full_result_count, page
