"""The page of all models: what it lists, how it is narrowed, and what it says of models that
nothing serves.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from models_catalog.listing import services
from models_catalog.models import TenantModel
from providers import ports
from providers.models import CredentialState, ProviderCredential
from providers.ports import TrialFacts
from quotas.models import CallRecord
from quotas.usage.rollups import roll_up
from tenants.scope import all_tenants, tenant_scope
from tests import walk
from tests.factories import Workspace, make_credential, make_user
from tests.page_text import folded

pytestmark = pytest.mark.django_db
PATH = "/t/acme/models/"
ROW = re.compile(
    r'<a class="model-link" href="/t/acme/settings/model-providers/(\w+)/models/([^"]+)/">'
)


@pytest.fixture
def page(acme: Workspace) -> Client:
    make_credential(acme.tenant, provider="openai", name="Production")
    make_credential(acme.tenant, provider="deepseek", name="Main")
    return walk.browser(acme.admin)


def shown(client: Client, **filters: Any) -> set[tuple[str, str]]:
    """Provider and model of every row of every page."""
    found: set[tuple[str, str]] = set()
    for number in range(1, 20):
        answer = client.get(PATH, {**filters, "page": number})
        assert answer.status_code == 200
        found |= set(ROW.findall(folded(answer)))
        if b'rel="next"' not in answer.content:
            return found
    raise AssertionError("no last page")


def slugs(found: set[tuple[str, str]]) -> set[str]:
    return {provider for provider, _model in found}


def add(acme: Workspace, *names: str, provider: str = "openai_compatible", **more: Any) -> None:
    with tenant_scope(acme.tenant):
        for name in names:
            TenantModel.objects.create(
                tenant=acme.tenant,
                provider=provider,
                model=name,
                type="reasoning",
                origin="added",
                **more,
            )


def test_all_models_of_all_providers_are_listed_with_their_pages(
    page: Client, acme: Workspace
) -> None:
    add(acme, "ours/one")
    found = shown(page)
    assert slugs(found) == {"openai", "deepseek", "openai_compatible"}
    assert ("openai_compatible", "ours/one") in found
    assert (
        page.get("/t/acme/settings/model-providers/openai_compatible/models/ours/one/").status_code
        == 200
    )
    answer = page.get(PATH)
    assert answer.content.count(b'<th scope="row">') == 50, "fifty on a page"
    assert b'href="/t/acme/models/" aria-current="page"' in answer.content


@pytest.mark.slow
def test_filters_narrow_and_work_together(page: Client, acme: Workspace) -> None:
    assert slugs(shown(page, provider="deepseek")) == {"deepseek"}
    assert {model for _slug, model in shown(page, q="WHISPER")} == {"whisper-1"}
    embeddings = shown(page, type="embedding")
    assert embeddings
    assert all("embedding" in model for _slug, model in embeddings)
    assert shown(page, type="embedding", provider="deepseek") == set()
    with tenant_scope(acme.tenant):
        TenantModel.objects.create(
            tenant=acme.tenant, provider="openai", model="gpt-5.5", enabled=False
        )
    assert shown(page, state="off") == {("openai", "gpt-5.5")}
    assert ("openai", "gpt-5.5") not in shown(page, state="on")
    assert ("openai", "gpt-4") in shown(page, state="retired")
    assert shown(page, state="nonsense", provider="nobody") == shown(page), (
        "what is no filter filters nothing"
    )


@pytest.mark.slow
def test_what_can_be_called_is_told_from_what_cannot(page: Client, acme: Workspace) -> None:
    with all_tenants():
        ProviderCredential.objects.filter(provider="openai").update(state=CredentialState.REJECTED)
    add(acme, "lonely")
    add(acme, "own-address", base_url="https://models.example/v1")
    blocked, ready = shown(page, state="blocked"), shown(page, state="ready")
    retired = shown(page, state="retired")
    assert slugs(blocked - retired) == {"openai", "openai_compatible"}
    assert slugs(ready) == {"deepseek", "openai_compatible"}
    assert ("openai_compatible", "lonely") in blocked
    assert ("openai_compatible", "own-address") in ready
    assert blocked | ready == shown(page)
    assert not blocked & ready
    text = folded(page.get(PATH, {"q": "gpt-5.5"}))
    assert "Key rejected" in text
    assert "/playground/?model=" not in text, "nothing to try"
    assert "Needs a key" in folded(page.get(PATH, {"q": "lonely"}))


def test_a_standby_key_that_works_serves_the_models(page: Client, acme: Workspace) -> None:
    with all_tenants():
        ProviderCredential.objects.filter(provider="openai").update(state=CredentialState.REJECTED)
    make_credential(acme.tenant, provider="openai", name="Backup", is_active=False)
    assert "openai" in slugs(shown(page, state="ready"))


@pytest.mark.parametrize(("left", "words"), [(3, ""), (0, "Trial used up")])
def test_a_trial_serves_its_models_while_calls_are_left(
    left: int, words: str, acme: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = TrialFacts("openai", 10, 10 - left, 0, left, {"gpt-5.5": 1})
    monkeypatch.setattr(ports.connected_trials, "_answer", lambda tenant_id: {"openai": trial})
    with tenant_scope(acme.tenant):
        found = {one.entry.model: one for one in services.listed(tenant_id=acme.tenant.pk)}
    assert str(found["gpt-5.5"].obstacle) == words
    assert found["gpt-5.5"].can_be_called is (left > 0)
    assert str(found["gpt-5.4"].obstacle) == "Not in the trial"
    assert not found["gpt-5.4"].can_be_called


def test_a_switch_leads_back_to_the_list_as_it_was(page: Client, acme: Workspace) -> None:
    text = folded(page.get(PATH, {"q": "gpt-5.5", "page": "1"}))
    assert '<input type="hidden" name="all" value="q=gpt-5.5&amp;page=1">' in text
    toggle = "/t/acme/settings/model-providers/openai/models/gpt-5.5/toggle/"
    answer = page.post(toggle, {"enabled": "0", "all": "q=gpt-5.5&page=1"})
    assert answer.headers["Location"] == f"{PATH}?q=gpt-5.5&page=1"
    part = folded(
        page.post(
            toggle, {"enabled": "1", "all": "q=gpt-5.5&page=1"}, headers={"HX-Request": "true"}
        )
    )
    assert 'name="all" value="q=gpt-5.5&amp;page=1"' in part, (
        "also after a switch that changed nothing but itself"
    )
    assert 'aria-checked="true"' in part


def test_models_of_one_name_at_two_providers_are_told_apart(page: Client, acme: Workspace) -> None:
    add(acme, "gpt-5.5")
    text = folded(page.get(PATH, {"q": "gpt-5.5"}))
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert {"switch-openai/gpt-5.5", "switch-openai_compatible/gpt-5.5"} <= set(ids)


def test_nothing_found_and_nothing_there_are_two_things(page: Client, globex: Workspace) -> None:
    text = folded(page.get(PATH, {"q": "zzzz"}))
    assert "No model matches." in text
    assert "Clear search" in text
    empty = folded(walk.browser(globex.admin).get("/t/globex/models/"))
    assert "No models yet" in empty
    assert 'href="/t/globex/settings/model-providers/">Set up a provider' in empty
    assert "Set up a provider" not in folded(walk.browser(globex.viewer).get("/t/globex/models/"))


def test_who_may_look_sees_no_switch_and_strangers_nothing(
    page: Client, acme: Workspace, globex: Workspace
) -> None:
    add(acme, "acme-only")
    viewer = walk.browser(acme.viewer).get(PATH)
    assert viewer.status_code == 200
    assert b'role="switch"' not in viewer.content
    assert walk.browser(make_user("stranger@nowhere.test")).get(PATH).status_code == 404
    assert walk.browser(globex.admin).get(PATH).status_code == 404
    make_credential(
        globex.tenant,
        provider="openai_compatible",
        name="Server",
        base_url="https://models.example/v1",
    )
    assert b"acme-only" not in walk.browser(globex.admin).get("/t/globex/models/").content


@pytest.mark.slow
def test_five_hundred_models_of_several_providers_take_few_queries(
    page: Client, acme: Workspace, django_assert_max_num_queries: Any
) -> None:
    make_credential(
        acme.tenant,
        provider="openai_compatible",
        name="Server",
        base_url="https://models.example/v1",
    )
    for provider in ("openai_compatible", "openai", "deepseek"):
        add(acme, *(f"m-{number:03}" for number in range(200)), provider=provider)
    for path in (PATH, f"{PATH}?state=ready&q=m-1", f"{PATH}?page=9"):
        page.get(path)
        cache.clear()
        with django_assert_max_num_queries(12):
            assert page.get(path).status_code == 200


# --------------------------------------------------------------------- when a model was called last


def call(workspace: Workspace, at: datetime, model: str = "gpt-5.5") -> None:
    with tenant_scope(workspace.tenant):
        CallRecord.objects.create(
            tenant=workspace.tenant,
            time=at,
            request_id="r",
            operation="chat",
            provider="openai",
            model=model,
            status="ok",
        )


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, "today"),
        (1, "yesterday"),
        (2, "{0.day} {0:%b}"),
        (400, "{0.day} {0:%b} {0:%Y}"),
        (None, "never"),
    ],
)
def test_the_last_use_is_said_on_every_page_of_the_model(
    days: int | None, words: str, page: Client, acme: Workspace, globex: Workspace
) -> None:
    call(globex, timezone.now())
    day = timezone.localtime().replace(hour=0, minute=0, second=1)
    if days is not None:
        call(acme, day - timedelta(days=days))
        roll_up()
        words = words.format(day - timedelta(days=days))
        if days == 2 and (day - timedelta(days=2)).year != day.year:
            words += f" {day.year - 1}"
    for path in (f"{PATH}?q=gpt-5.5", "/t/acme/settings/model-providers/openai/?q=gpt-5.5"):
        cells = re.findall(r'data-label="Last used">([^<]*)</td>', folded(page.get(path)))
        assert cells[0] == words
        assert set(cells[1:]) <= {"never"}, "of the other models that bear the name"
    shown = folded(page.get("/t/acme/settings/model-providers/openai/models/gpt-5.5/"))
    assert f"<dt>Last used</dt><dd><span>{words}</span>" in shown
    assert ('href="/t/acme/usage/calls/?model=openai%2Fgpt-5.5"' in shown) is (days is not None)
