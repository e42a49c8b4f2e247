"""What pages say in states that pass: an empty log, a paused sign-in, a password that is too short,
codes that have words.
"""

from __future__ import annotations

import re

import psycopg
import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.utils.translation import override

from core.web import errors
from tenants.audit.trail import Actor
from tenants.auth.permissions import Role
from tenants.scope import tenant_scope
from tenants.services import invitations, settings
from tests import factories

AUDIT = "/t/{}/settings/audit/"
CHINESE = {"Accept-Language": "zh-hans"}


@pytest.fixture
def browser(acme: factories.Workspace) -> Client:
    client = Client()
    client.post("/accounts/login/", {"username": acme.owner.email, "password": factories.PASSWORD})
    return client


def test_an_empty_log_offers_no_filters_to_clear(
    acme: factories.Workspace, browser: Client
) -> None:
    page = browser.get(AUDIT.format(acme.slug)).content.decode()
    assert "Nothing has changed yet" in page
    assert 'role="search"' not in page
    filtered = browser.get(AUDIT.format(acme.slug) + "?q=zzzz").content.decode()
    assert "No entry matches these filters" in filtered
    assert 'role="search"' in filtered


def test_the_log_calls_scenarios_and_providers_by_their_names(
    acme: factories.Workspace, browser: Client
) -> None:
    from models_catalog.services import defaults

    factories.make_credential(acme.tenant, provider="demo", name="Default")
    actor = Actor(acme.owner.email, acme.owner.pk, role=Role.OWNER)
    with tenant_scope(acme.tenant):
        defaults.set_default(
            tenant=acme.tenant, actor=actor, scenario="reasoning", model="demo/demo-chat"
        )
    page = browser.get(AUDIT.format(acme.slug)).content.decode()
    assert "System reasoning model" in page
    assert "Provider: Demo (built in)" in page
    chinese = browser.get(AUDIT.format(acme.slug), headers=CHINESE).content.decode()
    assert "系统推理模型" in chinese


def test_the_logs_of_two_workspaces_stay_apart(
    acme: factories.Workspace, globex: factories.Workspace, browser: Client
) -> None:
    with tenant_scope(globex.tenant):
        settings.rename_workspace(
            tenant=globex.tenant,
            name="Globe",
            actor=Actor(globex.owner.email, globex.owner.pk, role=Role.OWNER),
        )
    assert "Nothing has changed yet" in browser.get(AUDIT.format(acme.slug)).content.decode()
    assert browser.get(AUDIT.format(globex.slug)).status_code == 404


def test_a_paused_sign_in_keeps_the_address_and_no_password(acme: factories.Workspace) -> None:
    typed = {"username": acme.owner.email, "password": factories.marked_secret("wrong password")}
    client = Client()
    answers = [client.post("/accounts/login/", typed) for _attempt in range(6)]
    assert answers[-1].status_code == 429
    page = answers[-1].content.decode()
    assert f'value="{acme.owner.email}"' in page
    assert typed["password"] not in page


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "It needs at least 10 characters."), ("zh-hans", "密码太短，至少需要 10 个字符。")],
)
def test_a_short_password_is_refused_in_the_readers_language(
    acme: factories.Workspace, language: str, words: str
) -> None:
    actor = Actor(acme.owner.email, acme.owner.pk, role=Role.OWNER)
    with tenant_scope(acme.tenant):
        _row, token = invitations.invite(
            tenant=acme.tenant, email="new@example.org", role=Role.VIEWER, actor=actor
        )
    form = {"name": "New", "password": "short"}
    answer = Client().post(
        f"/accounts/invite/{token}/", form, headers={"Accept-Language": language}
    )
    assert answer.status_code == 422
    assert words in answer.content.decode()


def test_languages_are_named_in_themselves() -> None:
    page = Client().get("/help/", headers=CHINESE).content.decode()
    assert re.search(r'lang="en">\s*English\s*</button>', page)
    assert "简体中文" in page


def test_the_page_of_an_error_says_which_language_it_speaks() -> None:
    request = RequestFactory().get("/")
    with override("zh-hans"):
        page = errors.server_error(request).content.decode()
    assert '<html lang="zh-hans">' in page
    assert "服务器" in page


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_page_says_that_the_database_is_away(language: str) -> None:
    request = RequestFactory().get("/")
    with override(language):
        try:
            raise OperationalError("couldn't get a connection after 5.00 sec")
        except OperationalError:
            answer = errors.server_error(request)
    page = answer.content.decode()
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert ("not available right now" if language == "en" else "数据库暂时不可用") in page
    assert "couldn't get" not in page


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_page_that_took_too_long_says_so(language: str) -> None:
    request = RequestFactory().get("/")
    with override(language):
        try:
            raise OperationalError("canceling statement") from psycopg.errors.QueryCanceled()
        except OperationalError:
            answer = errors.server_error(request)
    page = answer.content.decode()
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert ("This page took too long" if language == "en" else "此页面耗时过长") in page
    assert "canceling" not in page
