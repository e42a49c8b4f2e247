"""Operators' pages: plans are changed by the services, credits by grants with a reason, the ledger by nobody."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from quotas import services
from quotas.models import CallRecord, CreditPool, Grant, TrialPlan
from tenants.models import Tenant
from tenants.scope import all_tenants
from tests.factories import marked_secret
from tests.quotas.conftest import make_pool, record_for, request_for


@pytest.fixture
def page(client: Client, operator) -> Client:
    client.force_login(operator)
    return client


@pytest.fixture(autouse=True)
def everyone(db: None):
    with all_tenants():
        yield


def url(model: str, page: str = "changelist", *args) -> str:
    return reverse(f"admin:quotas_{model}_{page}", args=args)


def test_a_plan_is_set_up_on_its_page(page: Client, tenant: Tenant) -> None:
    plan = TrialPlan.objects.get(slug="openai")
    secret = marked_secret()
    form = {"label": "OpenAI", "limit": "20", "is_on": "on", "models": "gpt-4o\nft:x=5\n", "credential_api_key": secret}
    answer = page.post(url("trialplan", "change", plan.pk), form)
    assert answer.status_code == 302, answer.content.decode()
    plan.refresh_from_db()
    assert (plan.limit, plan.is_on) == (20, True)
    assert {row.model: row.credits for row in plan.models.all()} == {"gpt-4o": 1, "ft:x": 5}
    assert services.open_plan_credential(plan_id=plan.pk).values == {"api_key": secret}
    assert CreditPool.objects.get(tenant=tenant).limit == 20
    shown = page.get(url("trialplan", "change", plan.pk)).content.decode()
    assert secret not in shown
    assert plan.mask in shown


def test_a_plan_is_made_and_nonsense_refused(page: Client) -> None:
    form = {"slug": "extra", "label": "Extra", "provider": "openai", "limit": "3", "models": "a=x"}
    assert "neither MODEL nor" in page.post(url("trialplan", "add"), form).content.decode()
    assert page.post(url("trialplan", "add"), form | {"models": "a=2"}).status_code == 302
    assert TrialPlan.objects.get(slug="extra").models.get().credits == 2


def grant(page: Client, pool: CreditPool, **form: str) -> str:
    data = {"action": "grant_credits", "index": "0", "_selected_action": [pool.pk]} | form
    return page.post(url("creditpool"), data, follow=True).content.decode()


def test_credits_are_granted_with_a_reason_only(page: Client, tenant: Tenant) -> None:
    pool = make_pool(tenant)
    assert "Say in up to 200 characters" in grant(page, pool, credits="5", reason="")
    assert "other than 0" in grant(page, pool, credits="", reason="goodwill")
    assert "cannot fall below" in grant(page, pool, credits="-11", reason="too much")
    assert Grant.objects.count() == 1
    assert "Granted to 1 workspace" in grant(page, pool, credits="5", reason="goodwill")
    pool.refresh_from_db()
    assert (pool.limit, Grant.objects.get(amount=5).actor) == (15, "operator@hub.test")
    assert services.audit() == []


def test_ledger_pages_show_and_change_nothing(page: Client, tenant: Tenant) -> None:
    pool = make_pool(tenant)
    hold = services.hold(request_for(pool))
    services.settle(hold_id=hold.hold_id, record=record_for(tenant))
    record = CallRecord.objects.get()
    for model, key in (("callrecord", record.pk), ("hold", hold.hold_id), ("creditpool", pool.pk)):
        assert page.get(url(model)).status_code == 200
        assert page.get(url(model, "change", key)).status_code == 200
        assert page.post(url(model, "change", key), {"credits": "0"}).status_code == 403
        assert page.post(url(model, "delete", key), {"post": "yes"}).status_code == 403
        assert page.get(url(model, "add")).status_code == 403
    assert page.get(url("callrecord") + "?q=req-1&status__exact=ok").status_code == 200
    assert page.get(url("trialplan")).status_code == 200


def test_a_stranger_sees_none_of_it(client: Client, stranger) -> None:
    client.force_login(stranger)
    for model in ("trialplan", "creditpool", "hold", "callrecord"):
        assert client.get(url(model)).status_code == 302
