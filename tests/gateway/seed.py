"""`python -m tests.gateway.seed JSON`: rows for a server under test, written beside it as an
operator's script would.

{"credentials": [{provider, name, values, base_url}], "models": [{provider, model, type}],
"defaults": {scenario: [model, fallback...]}, "plan": {plan, models: {model: credits}, limit,
values, on}, "orders": {provider: "trial_first"}}
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402

from models_catalog.models import DefaultModel, TenantModel  # noqa: E402
from providers.credentials import services as provider_services  # noqa: E402
from quotas.models import TrialPlan  # noqa: E402
from quotas.trials.plans import set_plan_credential, update_plan  # noqa: E402
from tenants.audit.trail import COMMAND  # noqa: E402
from tenants.config_version import bump_version  # noqa: E402
from tenants.models import Tenant  # noqa: E402
from tenants.scope import tenant_scope  # noqa: E402
from tests.factories import store_credential  # noqa: E402


def seed(tenant: Tenant, wanted: dict[str, Any]) -> None:
    for one in wanted.get("credentials", ()):
        store_credential(tenant=tenant, **one)
    for one in wanted.get("models", ()):
        TenantModel.objects.create(tenant=tenant, origin=TenantModel.Origin.ADDED, **one)
    for scenario, (model, *fallbacks) in wanted.get("defaults", {}).items():
        DefaultModel.objects.update_or_create(
            tenant=tenant, scenario=scenario, defaults={"model": model, "fallbacks": fallbacks}
        )
    for provider, order in wanted.get("orders", {}).items():
        provider_services.set_source_order(
            tenant=tenant, actor=COMMAND, provider=provider, trial_first=order == "trial_first"
        )
    if plan := wanted.get("plan"):
        row = TrialPlan.objects.get(slug=plan["plan"])
        row = set_plan_credential(actor=COMMAND, plan=row, values=plan["values"])
        is_on = plan.get("on", True)
        update_plan(
            actor=COMMAND, plan=row, limit=plan["limit"], models=plan["models"], is_on=is_on
        )
    bump_version(tenant.pk)


if __name__ == "__main__":
    workspace = Tenant.objects.get(slug=sys.argv[1])
    with tenant_scope(workspace):
        seed(workspace, json.loads(sys.argv[2]))
    sys.stdout.write(f"{settings.DATABASES['default']['ENGINE']}\n")
