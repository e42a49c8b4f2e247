"""Signal receivers for tenant events."""

from __future__ import annotations

from typing import Any

from quotas.trials.plans import give_pools
from tenants.models import Tenant
from tenants.signals import workspace_created


def connect() -> None:
    workspace_created.connect(_give_pools, dispatch_uid="quotas.give_pools")


def _give_pools(sender: type[Tenant], *, tenant: Tenant, **_kwargs: Any) -> None:
    give_pools(tenant)
