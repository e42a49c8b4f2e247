"""Pages of a workspace in which everything is set up: what every page holds, how many queries it
takes, and what its forms do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from providers.models import ProviderCredential
from tenants.models import KeyOpening
from tenants.scope import all_tenants, tenant_scope
from tests import factories
from tests.browser.scene import furnish
from tests.core.pages import (
    MOST_QUERIES,
    PROVIDERS,
    SETTINGS,
    headings,
    parsed,
    signed_in,
    sorted_without_gaps,
    unlabelled,
)
from tests.module_rows import for_one_test, module_rows

pytestmark = pytest.mark.django_db
INSIDE = [
    "/t/acme/",
    f"{PROVIDERS}/",
    f"{PROVIDERS}/?q=open&type=embedding",
    f"{PROVIDERS}/?q=zzzz",
    f"{PROVIDERS}/openai/",
    f"{PROVIDERS}/openai/?q=gpt&state=off",
    f"{PROVIDERS}/openai/setup/",
    f"{PROVIDERS}/openai_compatible/setup/",
    f"{PROVIDERS}/demo/setup/",
    f"{PROVIDERS}/openai/credentials/",
    f"{PROVIDERS}/openai/models/gpt-5.5/",
    f"{PROVIDERS}/azure_openai/setup/",
    f"{PROVIDERS}/import/",
    f"{PROVIDERS}/openai_compatible/models/add/",
    f"{SETTINGS}/default-models/",
    f"{SETTINGS}/members/",
    f"{SETTINGS}/members/invite/",
    f"{SETTINGS}/app-keys/",
    f"{SETTINGS}/app-keys/new/",
    f"{SETTINGS}/audit/",
    "/t/acme/usage/",
    "/t/acme/usage/calls/",
    "/workspaces/",
    "/accounts/profile/",
]


@pytest.fixture(scope="module")
def made_workspace(django_db_setup: None, django_db_blocker: Any) -> Iterator[factories.Workspace]:
    with module_rows(django_db_blocker):
        workspace = factories.make_workspace("acme")
        furnish(workspace)
        assert workspace.app_key  # made here, so that all tests have it
        yield workspace


@pytest.fixture
def furnished(made_workspace: factories.Workspace) -> factories.Workspace:
    return for_one_test(made_workspace, made_workspace)


@pytest.fixture
def browser(furnished: factories.Workspace) -> Client:
    return signed_in(furnished.owner)


@pytest.mark.slow
@pytest.mark.one_database
@pytest.mark.parametrize("path", INSIDE)
def test_page_is_well_made(path: str, furnished: factories.Workspace, browser: Client) -> None:
    answer = browser.get(path)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", text), (
        "nothing inline"
    )
    tree = parsed(answer)
    assert tree.get("lang") == "en"
    assert len(tree.findall(".//main")) == 1
    assert (tree.findtext(".//title") or "").strip().endswith("Modelkeep")
    assert headings(tree) == sorted_without_gaps(headings(tree))
    assert all(nav.get("aria-label") for nav in tree.iter("nav"))
    ids = [one.get("id") for one in tree.iter() if isinstance(one.tag, str) and one.get("id")]
    assert len(ids) == len(set(ids)), [one for one in ids if ids.count(one) > 1]
    assert unlabelled(tree) == []
    assert [
        one.get("class")
        for one in tree.iter("button")
        if one.get("type") not in ("submit", "button")
    ] == []


@pytest.mark.slow
@pytest.mark.one_database
@pytest.mark.parametrize("path", INSIDE)
def test_policy_and_privacy_headers(path: str, browser: Client) -> None:
    answer = browser.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.slow
@pytest.mark.parametrize("path", INSIDE)
def test_page_takes_few_queries_and_opens_no_key(
    path: str, furnished: factories.Workspace, browser: Client
) -> None:
    browser.get(path)  # notes the visit, fills what is cached
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(path).status_code == 200
    assert len(queries) <= MOST_QUERIES, "\n".join(query["sql"][:160] for query in queries)
    with all_tenants():
        assert not KeyOpening.objects.exists()


def test_providers_stand_worst_first(furnished: factories.Workspace, browser: Client) -> None:
    text = browser.get(f"{PROVIDERS}/").content.decode()
    places = [
        text.index(f'id="provider-{slug}"')
        for slug in ("openai", "anthropic", "demo", "openai_compatible")
    ]
    assert places == sorted(places)
    assert 'role="meter"' in text
    assert "120 of 1,000" in text


def test_the_confirm_page_names_what_stops(furnished: factories.Workspace, browser: Client) -> None:
    with tenant_scope(furnished.tenant):
        row = ProviderCredential.objects.get(provider="demo")
    text = browser.get(f"{PROVIDERS}/demo/credentials/{row.pk}/delete/").content.decode()
    assert (
        "7 models, the default reasoning model and the default embedding model use it. They stop "
        "at once." in text
    )
    assert browser.post(f"{PROVIDERS}/demo/credentials/{row.pk}/delete/").status_code == 302
    with tenant_scope(furnished.tenant):
        assert not ProviderCredential.objects.filter(provider="demo").exists()


def test_a_switch_answers_itself_to_htmx_and_redirects_without(
    furnished: factories.Workspace, browser: Client
) -> None:
    path = f"{PROVIDERS}/demo/models/demo-chat/toggle/"
    answer = browser.post(path, {"enabled": "0"}, headers={"HX-Request": "true"})
    assert b'aria-checked="false"' in answer.content
    assert b"<html" not in answer.content
    answer = browser.post(path, {"enabled": "1", "back": "q=chat"})
    assert answer.headers["Location"] == f"{PROVIDERS}/demo/?q=chat"


def test_retired_models_are_struck_through_with_their_successor(
    furnished: factories.Workspace, browser: Client
) -> None:
    text = browser.get(f"{PROVIDERS}/openai/?q=text-davinci-003").content.decode()
    assert re.search(r'class="model-name retired">text-davinci-003<', text)
    assert "Retired on 2024-01-04." in text
    assert "Successor:" in text


def test_defaults_are_saved_with_fallbacks_and_cleared(
    furnished: factories.Workspace, browser: Client
) -> None:
    from models_catalog import queries

    path = f"{SETTINGS}/default-models/"
    form = {
        "reasoning-model": "demo/demo-chat",
        "reasoning-fallback0": "openai/gpt-4o-mini",
        "embedding-model": "",
    }
    answer = browser.post(path, form, follow=True)
    assert b"Default models saved." in answer.content
    with tenant_scope(furnished.tenant):
        chosen = queries.defaults(tenant_id=furnished.tenant.pk)
    assert chosen["reasoning"].fallbacks == ("openai/gpt-4o-mini",)
    assert chosen["embedding"].model == ""


def test_a_model_named_twice_is_refused_beside_its_field(
    furnished: factories.Workspace, browser: Client
) -> None:
    form = {
        "reasoning-model": "demo/demo-chat",
        "reasoning-fallback0": "demo/demo-chat",
        "embedding-model": "demo/demo-embedding",
    }
    answer = browser.post(f"{SETTINGS}/default-models/", form)
    assert answer.status_code == 422
    assert b"List each model only once." in answer.content


def test_a_default_is_tested_with_a_call(furnished: factories.Workspace, browser: Client) -> None:
    answer = browser.post(f"{SETTINGS}/default-models/reasoning/test/", follow=True)
    assert re.search(r"demo/demo-chat answered in \d+ ms", answer.content.decode())


@pytest.mark.parametrize(
    ("scenario", "model"),
    [
        ("embedding", "demo-embedding"),
        ("speech-to-text", "demo-transcribe"),
        ("rerank", "demo-rerank"),
        ("text-to-speech", "demo-speech"),
        ("moderation", "demo-moderation"),
        ("image", "demo-image"),
    ],
)
def test_a_default_of_any_scenario_is_chosen_and_tested(
    furnished: factories.Workspace, browser: Client, scenario: str, model: str
) -> None:
    path = f"{SETTINGS}/default-models/"
    assert browser.post(path, {f"{scenario}-model": f"demo/{model}"}).status_code == 302
    answer = browser.post(f"{path}{scenario}/test/", follow=True)
    assert re.search(rf"demo/{model} answered in \d+ ms", answer.content.decode())


def test_a_viewer_sees_no_buttons_that_would_be_refused(furnished: factories.Workspace) -> None:
    viewer = signed_in(furnished.viewer)
    text = viewer.get(f"{PROVIDERS}/").content.decode()
    assert "Set up" not in text.replace("Set up a provider below", "").replace("Not set up", "")
    answer = viewer.get(f"{PROVIDERS}/openai/setup/")
    assert answer.status_code == 403
    assert "Your role (Viewer) cannot change providers." in answer.content.decode()


def test_usage_shows_sums_and_says_what_is_unpriced(
    furnished: factories.Workspace, browser: Client
) -> None:
    text = browser.get("/t/acme/usage/?days=90").content.decode()
    assert "160" in text
    assert "calls unpriced" in text
    text = browser.get("/t/acme/usage/calls/?status=error").content.decode()
    assert "provider_auth_failed" in text
    assert browser.get("/t/acme/usage/calls/?after=nonsense&source=bad").status_code == 200


def test_operators_see_figures_under_the_same_policy(
    furnished: factories.Workspace, operator: Any
) -> None:
    answer = signed_in(operator).get("/admin/")
    assert answer.status_code == 200
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    text = answer.content.decode()
    for label in (
        "Workspaces",
        "Providers with errors",
        "Calls today",
        "Error rate today",
        "Trials over 80 %",
        "Key pairs older than a year",
    ):
        assert label in text
