"""The operators' site: what an operator changes takes a recent sign-in."""

from __future__ import annotations

import pytest
from django.test import Client

from tenants.models import Tenant, User
from tenants.scope import all_tenants
from tests.factories import Workspace

LOGIN = "/accounts/login/"


@pytest.fixture
def left_open(operator: User) -> Client:
    """An operator's browser, whose password was typed long ago."""
    client = Client()
    client.force_login(operator)
    session = client.session
    session["proven"] = 0
    session.save()
    return client


def suspend(client: Client, workspace: Workspace) -> str:
    """Suspend the workspace and return where the answer leads."""
    answer = client.post(
        "/admin/tenants/tenant/",
        {"action": "suspend", "_selected_action": workspace.tenant.pk, "confirmed": "yes"},
        headers={"referer": "http://testserver/admin/tenants/tenant/?q=a"},
    )
    return answer.headers["Location"]


def status(workspace: Workspace) -> str:
    with all_tenants():
        return str(Tenant.objects.get(pk=workspace.tenant.pk).status)


def test_an_old_sign_in_reads_but_changes_nothing(
    left_open: Client, acme: Workspace, globex: Workspace, stranger: User
) -> None:
    assert left_open.get("/admin/tenants/tenant/").status_code == 200
    assert suspend(left_open, acme) == f"{LOGIN}?next=/admin/tenants/tenant/%3Fq%3Da"
    password = f"/admin/tenants/user/{stranger.pk}/password/"
    for page in (password, "/admin/tenants/tenant/add/"):
        assert left_open.get(page).headers["Location"] == f"{LOGIN}?next={page}"
    typed = {"password1": "set by somebody 1", "password2": "set by somebody 1"}
    assert left_open.post(password, typed).headers["Location"] == f"{LOGIN}?next={password}"
    assert not User.objects.get(pk=stranger.pk).check_password("set by somebody 1")
    assert {status(acme), status(globex)} == {"active"}


def test_a_fresh_one_changes(
    left_open: Client, operator: User, acme: Workspace, globex: Workspace
) -> None:
    left_open.force_login(operator)
    assert not suspend(left_open, acme).startswith(LOGIN)
    assert (status(acme), status(globex)) == ("suspended", "active")


def test_signing_out_asks_for_nothing(left_open: Client) -> None:
    assert left_open.post("/admin/logout/").headers["Location"] == LOGIN
    assert "_auth_user_id" not in left_open.session
