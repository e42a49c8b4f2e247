"""Look-ups of workspaces and app keys, for the operators' searches."""

from __future__ import annotations

from django.db.models import Q

from tenants.auth.key_format import KEY_START, PREFIX_LENGTH
from tenants.models import Tenant

MOST_WORKSPACES = 100  # whose rows are listed, where a name is in many


def by_workspace(text: str) -> Q | None:
    """Match rows of the workspaces whose address or name contains the text."""
    named = Q(slug__icontains=text) | Q(name__icontains=text)
    found = Tenant.objects.filter(named).order_by().values_list("pk", flat=True)
    ids = list(found[:MOST_WORKSPACES])
    return Q(tenant__in=ids) if ids else None


def by_key_prefix(text: str) -> Q | None:
    """Match app keys by how they begin. Whole keys must stand in no URL."""
    is_prefix = text.startswith(KEY_START) and len(text) == PREFIX_LENGTH
    return Q(prefix=text) if is_prefix else None
