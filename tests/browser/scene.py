"""A workspace full of states, so that every page has something to show: used by the browser tests
and the screenshots.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from django.utils import timezone

from models_catalog.services import defaults
from providers.models import CredentialState, ProviderCredential
from quotas.models import CallRecord, CreditPool, Grant, TrialPlan, TrialPlanModel
from tenants.audit.trail import COMMAND, Actor
from tenants.auth.permissions import Role, Scope
from tenants.models import Tenant
from tenants.scope import all_tenants, tenant_scope
from tenants.services import invitations
from tests import factories

MODELS = ("demo-chat", "gpt-4o-mini", "claude-sonnet-4-5")


def furnish(space: factories.Workspace) -> None:
    """Providers in several states, defaults, keys, invitations, trials near their end, and a month
    of calls.
    """
    tenant = space.tenant
    with tenant_scope(tenant):
        _credentials(tenant)
        defaults.set_default(
            tenant=tenant, actor=COMMAND, scenario="reasoning", model="demo/demo-chat"
        )
        defaults.set_default(
            tenant=tenant, actor=COMMAND, scenario="embedding", model="demo/demo-embedding"
        )
        _keys(space)
        invitations.invite(
            tenant=tenant,
            email="grace@example.org",
            role=Role.EDITOR,
            actor=Actor(space.owner.email, space.owner.pk, role=Role.OWNER),
        )
    with all_tenants():
        trial(tenant, "anthropic", "Anthropic", 1000, 880, {"claude-instant-1": 1, "claude-2": 1})
    with tenant_scope(tenant):
        _calls(tenant)


def _credentials(tenant: Tenant) -> None:
    factories.make_credential(tenant, provider="demo", name="Default")
    factories.make_credential(tenant, provider="openai", name="Production")
    factories.make_credential(tenant, provider="openai", name="Backup", is_active=False)
    ProviderCredential.objects.filter(provider="openai", name="Production").update(
        state=CredentialState.REJECTED,
        state_detail={
            "text": "Incorrect API key provided.",
            "status": 401,
            "provider_code": "invalid_api_key",
        },
        checked=timezone.now() - timedelta(minutes=9),
    )


def _keys(space: factories.Workspace) -> None:
    factories.make_app_key(space.tenant, name="Support bot", user=None)
    row, _text = factories.make_app_key(
        space.tenant,
        name="Search index",
        scopes=[Scope.USE],
        allowed_models=["demo/demo-embedding"],
    )
    row.last_used, row.expires = (
        timezone.now() - timedelta(hours=3),
        timezone.now() + timedelta(days=20),
    )
    row.save(update_fields=["last_used", "expires"])


def trial(
    tenant: Tenant, provider: str, label: str, limit: int, used: int, models: dict[str, int]
) -> None:
    """A workspace's trial of which so many credits are used; models: credits by name."""
    plan, _made = TrialPlan.objects.update_or_create(
        slug=provider,
        defaults={"label": label, "provider": provider, "limit": limit, "is_on": True},
    )
    for model, credits in models.items():
        TrialPlanModel.objects.get_or_create(plan=plan, model=model, defaults={"credits": credits})
    pool, _made = CreditPool.objects.update_or_create(
        tenant=tenant, plan=plan, defaults={"limit": limit, "settled": used}
    )
    Grant.objects.get_or_create(
        tenant=tenant,
        pool=pool,
        defaults={"amount": limit, "reason": "first batch", "actor": "system"},
    )


def _calls(tenant: Tenant) -> None:
    dice, now = random.Random(7), timezone.now()
    CallRecord.objects.bulk_create(
        CallRecord(tenant=tenant, time=now - timedelta(hours=number * 4.5), **_call(dice, number))
        for number in reversed(range(160))  # ids sort by time: the oldest is made first
    )


def _call(dice: random.Random, number: int) -> dict[str, Any]:
    failed = number % 23 == 3
    return {
        "request_id": f"{dice.getrandbits(96):024x}",
        "operation": "chat.completions",
        "provider": ("demo", "openai", "anthropic")[number % 3],
        "model": MODELS[number % 3],
        "source": ("credential:Default", "credential:Production", "trial:anthropic")[number % 3],
        "app_key_name": ("Support bot", "Search index")[number % 2],
        "prompt_tokens": dice.randint(20, 3000),
        "completion_tokens": None if failed else dice.randint(5, 900),
        "usage_source": "none" if failed else "reported",
        "status": "error" if failed else "ok",
        "http_status": 502 if failed else 200,
        "error_code": "provider_auth_failed" if failed else "",
        "latency_ms": dice.randint(200, 4000),
    }
