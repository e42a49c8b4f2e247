"""What the log shows of a request: nothing that lets its reader in, and always the request's id."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from django.test import Client

from core.logging.lines import RequestIdFilter, TextFormatter, loggable_path
from tenants.audit.trail import Actor
from tenants.auth.permissions import Role
from tenants.scope import tenant_scope
from tenants.services import invitations
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def console() -> Iterator[io.StringIO]:
    """What the console handler of the settings would write."""
    handler = logging.StreamHandler(io.StringIO())
    handler.addFilter(RequestIdFilter())
    handler.setFormatter(TextFormatter())
    logging.getLogger().addHandler(handler)
    yield handler.stream
    logging.getLogger().removeHandler(handler)


def test_no_line_about_a_refused_request_shows_a_token(
    console: io.StringIO, client: Client
) -> None:
    """A password that is too short leaves the invitation open: whoever reads the log must not be
    able to take it.
    """
    space = factories.make_workspace("acme")
    actor = Actor(space.owner.email, space.owner.pk, role=Role.OWNER)
    with tenant_scope(space.tenant):
        _row, token = invitations.invite(
            tenant=space.tenant, email="grace@example.org", role=Role.EDITOR, actor=actor
        )
    answer = client.post(f"/accounts/invite/{token}/", {"name": "Grace", "password": "short"})
    assert answer.status_code == 422
    client.get(f"/accounts/invite/{token[::-1]}/")
    written = console.getvalue()
    assert token not in written
    assert token[::-1] not in written
    assert (
        f"[{answer.headers['X-Request-Id']}] Unprocessable Entity: /accounts/invite/***/" in written
    )
    assert "Not Found: /accounts/invite/***/" in written


def test_a_missing_permission_is_one_line(console: io.StringIO, client: Client) -> None:
    space = factories.make_workspace("acme")
    client.force_login(space.viewer)
    assert client.get("/t/acme/settings/audit/").status_code == 403
    lines = [
        line
        for line in console.getvalue().splitlines()
        if "django.request" in line or "Traceback" in line
    ]
    assert len(lines) == 1
    assert "Forbidden" in lines[0]


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/invite/{token}/",
        "/accounts/invite/{token}",
        "//accounts//invite///{token}/",
        "/Accounts/Invite/{token}/",
        "/modelkeep/accounts/invite/{token}/",
        "/accounts/invite/{token}/more",
        "/accounts/invite/{token};x",
        "/accounts/password_reset/MQ/{token}/",
        "//accounts/Password_Reset//MQ/{token}",
    ],
)
@pytest.mark.parametrize("token", ["TyvQxKTtohqKHcOSmPRZ_-CYjtGMiTtdXXUtUQs_OAc", "short", "1234"])
def test_a_token_is_masked_by_its_place_not_by_its_looks(path: str, token: str) -> None:
    assert token not in loggable_path(path.format(token=token))


def test_keys_are_masked_wherever_they_stand_in_a_path() -> None:
    for text in (f"mk_live_{'a' * 49}", f"x{'mk_live_'}{'B' * 49}"):
        assert "a" * 9 not in loggable_path(f"/v1/{text}").lower().replace("b", "a")


@pytest.mark.parametrize(
    "path",
    [
        "/t/acme/settings/members/invite/",
        "/t/acme/settings/app-keys/0190b5a4-7c1d-7d6a-8f2e-3b5c6d7e8f90/",
        "/v1/chat/completions",
    ],
)
def test_other_paths_are_logged_as_they_are(path: str) -> None:
    assert loggable_path(path) == path
