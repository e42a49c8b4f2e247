"""Operators see masks and states, and neither keys nor a way to them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from models_catalog.models import DefaultModel, TenantModel
from providers.models import CredentialState, ProviderCredential
from providers.transport import sync_client as transport
from tenants.models import User
from tenants.scope import all_tenants, tenant_scope
from tests.answers import Answers, openai_error
from tests.factories import Workspace, make_credential, marked_secret


@pytest.fixture
def site(client: Client, operator: User) -> Client:
    client.force_login(operator)
    return client


def act(site: Client, model: str, action: str, *rows: Any) -> Any:
    url = reverse(f"admin:{model}_changelist")
    return site.post(
        url,
        {"action": action, "_selected_action": [str(row.pk) for row in rows], "confirmed": "yes"},
        follow=True,
    )


def asked(site: Client, model: str, action: str, *rows: Any) -> str:
    url = reverse(f"admin:{model}_changelist")
    return site.post(
        url, {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    ).content.decode()


def test_only_masks_are_shown(site: Client, acme: Workspace, globex: Workspace) -> None:
    secret = marked_secret("openai api_key")
    rows = [make_credential(one.tenant, values={"api_key": secret}) for one in (acme, globex)]
    listed = site.get(reverse("admin:providers_providercredential_changelist")).content.decode()
    shown = site.get(
        reverse("admin:providers_providercredential_change", args=[rows[0].pk])
    ).content.decode()
    for page in (listed, shown):
        assert rows[0].mask in page
        assert secret not in page
        assert rows[0].sealed not in page
    assert site.get(reverse("admin:providers_providercredential_add")).status_code == 403
    assert 'name="sealed"' not in shown


def test_operators_check_again_and_deactivate(
    site: Client, acme: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers(openai_error(401, "invalid_api_key"))
    monkeypatch.setattr(transport, "send", answers.send)
    first, second = (
        make_credential(acme.tenant),
        make_credential(acme.tenant, name="Standby", is_active=False),
    )
    act(site, "providers_providercredential", "check_again", first)
    assert "takes over at once" in asked(site, "providers_providercredential", "deactivate", first)
    with all_tenants():
        first.refresh_from_db()
    assert first.is_active
    act(site, "providers_providercredential", "deactivate", first)
    with all_tenants():
        first.refresh_from_db()
        second.refresh_from_db()
    assert (first.state, first.is_active, second.is_active) == (
        CredentialState.REJECTED,
        False,
        True,
    )
    with tenant_scope(acme.tenant):
        second.delete()
    assert (
        "only credential. Add another one first"
        in act(site, "providers_providercredential", "deactivate", first).content.decode()
    )


def test_operators_switch_models(site: Client, acme: Workspace) -> None:
    with tenant_scope(acme.tenant):
        row = TenantModel.objects.create(
            tenant=acme.tenant, provider="openai", model="gpt-6-luna", type="reasoning"
        )
        DefaultModel.objects.create(
            tenant=acme.tenant, scenario="reasoning", model="openai/gpt-6-luna"
        )
    act(site, "models_catalog_tenantmodel", "disable", row)
    with all_tenants():
        row.refresh_from_db()
    assert not row.enabled
    act(site, "models_catalog_tenantmodel", "enable", row)
    for name in ("models_catalog_tenantmodel", "models_catalog_defaultmodel"):
        assert site.get(reverse(f"admin:{name}_changelist")).status_code == 200
        assert site.get(reverse(f"admin:{name}_add")).status_code == 403


@pytest.mark.parametrize("who", ["stranger", "owner"])
def test_nobody_else_comes_in(client: Client, acme: Workspace, stranger: User, who: str) -> None:
    make_credential(acme.tenant)
    client.force_login(stranger if who == "stranger" else acme.owner)
    assert client.get(reverse("admin:providers_providercredential_changelist")).status_code in (
        302,
        403,
        404,
    )
    with all_tenants():
        assert ProviderCredential.objects.count() == 1
