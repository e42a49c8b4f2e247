"""The operators' pages in words: nothing raw that has a name, nothing of a password, nothing typed
that can be chosen.
"""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tenants.models import User
from tests import factories


@pytest.fixture
def page(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def test_a_persons_page_shows_nothing_of_the_password(
    acme: factories.Workspace, page: Client
) -> None:
    shown = page.get(reverse("admin:tenants_user_change", args=[acme.viewer.pk])).content.decode()
    stored = [part for part in acme.viewer.password.split("$") if len(part) > 6]
    assert stored
    assert [part for part in stored if part[:6] in shown] == []
    assert "It is stored in a form that cannot be read." in shown


def test_codes_are_shown_in_the_readers_words(acme: factories.Workspace, page: Client) -> None:
    row, _text = acme.narrow_key
    factories.make_credential(acme.tenant, provider="openai")
    chinese = {"Accept-Language": "zh-hans"}
    for model, words in (
        ("appkey", "使用模型"),
        ("auditentry", "服务器命令"),
        ("keypair", "当前"),
        ("user", "用户"),
    ):
        shown = page.get(
            reverse(f"admin:tenants_{model}_changelist"), headers=chinese
        ).content.decode()
        assert words in shown, model
    assert (
        "[&quot;use"
        not in page.get(reverse("admin:tenants_appkey_change", args=[row.pk])).content.decode()
    )
    credentials = page.get(
        reverse("admin:providers_providercredential_changelist")
    ).content.decode()
    assert '<td class="field-provider">OpenAI</td>' in credentials


def test_a_plan_takes_a_provider_that_there_is(page: Client) -> None:
    address = reverse("admin:quotas_trialplan_add")
    assert '<option value="anthropic">Anthropic</option>' in page.get(address).content.decode()
    form = {"slug": "extra", "label": "Extra", "provider": "nobody", "limit": "5", "models": "one"}
    assert "nobody is not one of the available choices" in page.post(address, form).content.decode()
