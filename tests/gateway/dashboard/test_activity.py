"""The page of what a provider was used for: its own calls and changes, nobody else's, for those who
may see them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from models_catalog.services import models
from providers.credentials import services as providers
from quotas.models import CallRecord
from tenants.audit.trail import COMMAND
from tenants.scope import tenant_scope
from tests import walk
from tests.factories import Workspace, make_credential, make_user
from tests.page_text import folded

pytestmark = pytest.mark.django_db
PATH = "/t/acme/settings/model-providers/openai/activity/"


def call(workspace: Workspace, number: int, provider: str = "openai", **fields: Any) -> None:
    values = {
        "model": f"{provider}-{number}",
        "status": "ok",
        "source": "credential:Main",
        "latency_ms": 100 + number,
    } | fields
    with tenant_scope(workspace.tenant):
        CallRecord.objects.create(
            tenant=workspace.tenant,
            time=timezone.now() - timedelta(minutes=number),
            request_id=f"r{number}",
            provider=provider,
            **values,
        )


@pytest.fixture
def page(acme: Workspace, globex: Workspace) -> Client:
    with tenant_scope(acme.tenant):
        row = make_credential(acme.tenant, provider="openai", name="Production")
        providers.rename_credential(
            tenant=acme.tenant, actor=COMMAND, credential=row, name="Renamed key"
        )
        models.set_enabled(
            tenant=acme.tenant, actor=COMMAND, provider="openai", model="gpt-5.5", enabled=False
        )
        other = make_credential(
            acme.tenant,
            provider="openai_compatible",
            name="Server",
            base_url="https://models.example/v1",
        )
        providers.rename_credential(
            tenant=acme.tenant, actor=COMMAND, credential=other, name="Other key"
        )
    make_credential(globex.tenant, provider="openai", name="Foreign key")
    return walk.browser(acme.admin)


def test_the_last_twenty_calls_and_the_changes_of_this_provider(
    page: Client, acme: Workspace, globex: Workspace
) -> None:
    for number in range(25):
        call(
            acme,
            number,
            status="error" if number == 3 else "ok",
            error_code="provider_timeout" if number == 3 else "",
        )
    call(acme, 0, provider="openai_compatible")
    call(globex, 0, model="foreign-model")
    call(acme, 60 * 24 * 30, model="long-ago")
    text = folded(page.get(PATH))
    assert text.count("/usage/calls/") == 21, "twenty, and the way to all of them"
    assert 'href="/t/acme/usage/calls/?provider=openai"' in text
    assert "openai-19<" in text
    assert "openai-20<" not in text
    assert not [
        word
        for word in ("openai_compatible-0", "foreign-model", "Foreign key", "Other key")
        if word in text
    ]
    assert "Renamed key" in text
    assert "openai/gpt-5.5" in text
    assert "<dt>Calls</dt><dd>25</dd>" in text, "of a week"
    assert '<dt>Failed</dt><dd class="bad-text">1</dd>' in text
    assert 'href="/t/acme/settings/model-providers/openai/activity/" aria-current="page"' in text


def test_changes_are_for_those_who_may_read_the_audit_log(page: Client, acme: Workspace) -> None:
    call(acme, 1)
    for person in (acme.viewer, acme.editor):
        text = folded(walk.browser(person).get(PATH))
        assert "openai-1<" in text
        assert "Recent changes" not in text
        assert "/settings/audit/" not in text
    assert walk.browser(make_user("stranger@nowhere.test")).get(PATH).status_code == 404
    assert page.get("/t/acme/settings/model-providers/nobody/activity/").status_code == 404


def test_a_page_without_calls_says_what_will_be_there(page: Client, acme: Workspace) -> None:
    assert "No calls yet." in folded(page.get(PATH)), "changes there are"
    viewer = folded(walk.browser(acme.viewer).get(PATH))
    assert "No activity yet" in viewer
    unused = folded(page.get("/t/acme/settings/model-providers/deepseek/activity/"))
    assert "Once the provider is set up" in unused
    assert 'href="/t/acme/settings/model-providers/deepseek/setup/">Set up' in unused


def test_few_queries_whatever_has_happened(
    page: Client, acme: Workspace, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        call(acme, 60 * number)
    page.get(PATH)
    cache.clear()
    with django_assert_max_num_queries(12):
        assert page.get(PATH).status_code == 200
