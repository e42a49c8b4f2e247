"""Pools to hold credits of, and short ways to ask for a hold and to write a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.ports import Port
from quotas import ports
from quotas.ledger.records import Record
from quotas.ledger.states import HoldRequest
from quotas.models import CreditPool, Grant, TrialPlan, TrialPlanModel
from tenants.models import Tenant
from tenants.scope import all_tenants
from tests.factories import make_tenant

MakePool = Callable[..., CreditPool]


@pytest.fixture(autouse=True)
def no_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test this app without the apps above it: every port answers with its default."""
    for port in vars(ports).values():
        if isinstance(port, Port):
            monkeypatch.setattr(port, "_answer", port.__wrapped__)


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant("acme", with_keys=False)


@pytest.fixture
def other(db: None) -> Tenant:
    return make_tenant("globex", with_keys=False)


def make_plan(
    slug: str = "trial",
    *,
    limit: int = 10,
    is_on: bool = True,
    models: dict[str, int] | None = None,
) -> TrialPlan:
    plan = TrialPlan.objects.create(
        slug=slug, label=slug.title(), provider=slug, limit=limit, is_on=is_on
    )
    for model, credits in (models or {"small": 1, "large": 5}).items():
        TrialPlanModel.objects.create(plan=plan, model=model, credits=credits)
    return plan


def make_pool(tenant: Tenant, *, limit: int = 10, plan: TrialPlan | None = None) -> CreditPool:
    plan = plan or TrialPlan.objects.filter(slug="trial").first() or make_plan(limit=limit)
    with all_tenants():
        pool = CreditPool.objects.create(tenant=tenant, plan=plan, limit=limit, plan_share=limit)
        if limit:
            Grant.objects.create(
                tenant=tenant, pool=pool, amount=limit, reason="trial plan", actor="test"
            )
    return pool


def request_for(pool: CreditPool, key: str = "k1", **fields: Any) -> HoldRequest:
    values: dict[str, Any] = {
        "tenant_id": pool.tenant_id,
        "pool_id": pool.pk,
        "key": key,
        "fingerprint": "f" * 64,
        "amount": 1,
        "model": "small",
        "request_id": f"req-{key}"[:64],
        "deadline_seconds": 600,
    }
    return HoldRequest(**(values | fields))


def record_for(tenant: Tenant, **fields: Any) -> Record:
    values: dict[str, Any] = {
        "tenant_id": tenant.pk,
        "request_id": "req-1",
        "operation": "chat.completions",
        "status": "ok",
    }
    return Record(**(values | fields))


@pytest.fixture
def pool(tenant: Tenant) -> CreditPool:
    return make_pool(tenant)
