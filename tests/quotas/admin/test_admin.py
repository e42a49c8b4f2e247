"""Operators' pages: plans are changed by the services, credits by grants with a reason, the ledger
by nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from quotas import ports
from quotas.ledger import invariants
from quotas.models import CallRecord, CreditPool, Grant, TrialPlan
from quotas.trials import plans
from tenants.audit.trail import COMMAND
from tenants.models import Tenant
from tenants.scope import all_tenants
from tests import ledger
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
    form = {
        "label": "OpenAI",
        "limit": "20",
        "is_on": "on",
        "models": "gpt-4o\nft:x=5\n",
        "credential_api_key": secret,
    }
    answer = page.post(url("trialplan", "change", plan.pk), form)
    assert answer.status_code == 302, answer.content.decode()
    plan.refresh_from_db()
    assert (plan.limit, plan.is_on) == (20, True)
    assert {row.model: row.credits for row in plan.models.all()} == {"gpt-4o": 1, "ft:x": 5}
    assert plans.open_plan_credential(plan_id=plan.pk).values == {"api_key": secret}
    assert CreditPool.objects.get(tenant=tenant).limit == 20
    shown = page.get(url("trialplan", "change", plan.pk)).content.decode()
    assert secret not in shown
    assert plan.mask in shown


def test_a_plan_is_made_and_nonsense_refused(page: Client) -> None:
    form = {"slug": "extra", "label": "Extra", "provider": "openai", "limit": "3", "models": "a=x"}
    assert "must be MODEL or MODEL=" in page.post(url("trialplan", "add"), form).content.decode()
    assert page.post(url("trialplan", "add"), form | {"models": "a=2"}).status_code == 302
    assert TrialPlan.objects.get(slug="extra").models.get().credits == 2


def grant(page: Client, pool: CreditPool, action: str = "grant_credits", **form: str) -> str:
    data = {
        "action": action,
        "index": "0",
        "_selected_action": [pool.pk],
        "confirmed": "yes",
    } | form
    return page.post(url("creditpool"), data, follow=True).content.decode()


def test_credits_are_granted_with_a_reason_only(page: Client, tenant: Tenant) -> None:
    pool = make_pool(tenant)
    first = page.post(
        url("creditpool"), {"action": "grant_credits", "index": "0", "_selected_action": [pool.pk]}
    )
    assert 'name="reason"' in first.content.decode()
    assert "This field is required" in grant(page, pool, credits="5", reason="")
    assert "other than 0" in grant(page, pool, credits="0", reason="goodwill")
    assert "cannot be lower than" in grant(page, pool, credits="-11", reason="too much")
    assert Grant.objects.count() == 1
    assert "Credits of 1 workspace changed" in grant(page, pool, credits="5", reason="goodwill")
    pool.refresh_from_db()
    assert (pool.limit, Grant.objects.get(amount=5).actor) == (15, "operator@hub.test")
    assert invariants.audit() == []


def test_a_trial_is_filled_up_to_its_plan(page: Client, tenant: Tenant) -> None:
    pool = make_pool(tenant)
    hold = ledger.hold(request_for(pool))
    ledger.settle(hold_id=hold.hold_id, record=record_for(tenant))
    pool.refresh_from_db()
    assert pool.settled
    grant(page, pool, "reset", reason="moved to another plan of ours")
    pool.refresh_from_db()
    assert pool.left == pool.plan.limit
    assert invariants.audit() == []


def test_credits_are_granted_from_the_list_of_workspaces(page: Client, tenant: Tenant) -> None:
    pool = make_pool(tenant)
    TrialPlan.objects.filter(pk=pool.plan_id).update(is_on=True)
    data = {"action": "grant_trial", "_selected_action": [str(tenant.pk)]}
    address = reverse("admin:tenants_tenant_changelist")
    assert 'name="plan"' in page.post(address, data).content.decode()
    form = {"confirmed": "yes", "plan": pool.plan_id, "credits": "7", "reason": "conference"}
    assert (
        "Credits of 1 workspace changed"
        in page.post(address, data | form, follow=True).content.decode()
    )
    assert Grant.objects.get(amount=7).reason == "conference"


def test_retired_models_are_told_and_replaced_on_demand(
    page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"old": "new", "older": "", "oldest": "kept"}

    def retired(provider: str, models: Collection[str]) -> list[ports.RetiredModel]:
        return [
            ports.RetiredModel(model, date(2024, 9, 13), known[model])
            for model in models
            if model in known
        ]

    monkeypatch.setattr(ports.retired, "_answer", retired)
    plan = TrialPlan.objects.get(slug="openai")
    plans.update_plan(
        actor=COMMAND, plan=plan, models={"old": 3, "older": 1, "oldest": 2, "kept": 5}
    )
    shown = page.get(url("trialplan", "change", plan.pk)).content.decode()
    assert "old (2024-09-13): use new" in shown
    assert 'name="successors"' in shown
    assert "use new" in page.get(url("trialplan")).content.decode()
    form = {"label": "OpenAI", "limit": "20", "models": "old=3\nolder\noldest=2\nkept=5"}
    page.post(url("trialplan", "change", plan.pk), form)
    assert {row.model for row in plan.models.all()} == {"old", "older", "oldest", "kept"}
    page.post(url("trialplan", "change", plan.pk), form | {"successors": "on"})
    assert {row.model: row.credits for row in plan.models.all()} == {
        "new": 3,
        "older": 1,
        "kept": 5,
    }
    assert 'name="successors"' not in page.get(url("trialplan", "change", plan.pk)).content.decode()


def test_ledger_pages_show_and_change_nothing(page: Client, tenant: Tenant) -> None:
    pool = make_pool(tenant)
    hold = ledger.hold(request_for(pool))
    ledger.settle(hold_id=hold.hold_id, record=record_for(tenant))
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


def test_the_ledger_is_chosen_by_day_without_reading_it(page: Client, tenant: Tenant) -> None:
    pool = make_pool(tenant)
    ledger.settle(hold_id=ledger.hold(request_for(pool)).hold_id, record=record_for(tenant))
    today = timezone.localdate()
    with CaptureQueriesContext(connection) as seen:
        answer = page.get(url("callrecord"))
    assert f"time__day={today.day}" in answer.content.decode()
    assert len(seen) <= 12
    for query in (f"time__year={today.year}", f"time__year={today.year}&time__month={today.month}"):
        chosen = page.get(f"{url('callrecord')}?{query}")
        assert chosen.status_code == 200
        assert len(chosen.context["cl"].result_list) == 1
    assert page.get(f"{url('callrecord')}?time__year=2001").context["cl"].result_count == 0
    assert page.get(f"{url('callrecord')}?time__year=x").status_code == 302
    for year in (0, 1, 1969, 10000):
        assert page.get(f"{url('callrecord')}?time__year={year}").status_code in (200, 302)


def test_the_ledger_is_downloaded(page: Client, tenant: Tenant) -> None:
    pool = make_pool(tenant)
    ledger.settle(hold_id=ledger.hold(request_for(pool)).hold_id, record=record_for(tenant))
    record = CallRecord.objects.get()
    answer = page.post(
        url("callrecord"), {"action": "export", "_selected_action": [str(record.pk)]}
    )
    text = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
    assert text[0].startswith("time,workspace,request_id")
    assert record.request_id in text[1]
    assert len(text) == 2
