"""What operators may do on the operators' site, by role."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tenants.auth.permissions import OperatorRole
from tenants.auth.sign_in import ThrottledBackend

_SEEN: Final = frozenset(
    {
        "models_catalog.view_catalogsnapshot",
        "models_catalog.view_defaultmodel",
        "models_catalog.view_tenantmodel",
        "providers.view_providercredential",
        "providers.view_storedbatch",
        "quotas.view_callrecord",
        "quotas.view_creditpool",
        "quotas.view_hold",
        "quotas.view_trialplan",
        "tenants.view_appkey",
        "tenants.view_auditentry",
        "tenants.view_keypair",
        "tenants.view_membership",
        "tenants.view_tenant",
        "tenants.view_user",
    }
)
# Changing people extends to people without rights here only: see PersonAdmin.
PERMISSIONS: Final[dict[OperatorRole, frozenset[str]]] = {
    OperatorRole.SUPPORT: _SEEN,
    OperatorRole.BILLING: _SEEN
    | {"quotas.add_trialplan", "quotas.change_trialplan", "quotas.change_creditpool"},
    OperatorRole.SECURITY: _SEEN
    | {
        "providers.change_providercredential",
        "tenants.add_tenant",
        "tenants.change_tenant",
        "tenants.add_user",
        "tenants.change_user",
        "tenants.change_appkey",
        "tenants.change_keypair",
    },
}


def permissions_of(roles: Iterable[str]) -> set[str]:
    """Return the permissions that roles give together; unknown roles give none."""
    return {
        permission
        for role in roles
        if role in PERMISSIONS
        for permission in PERMISSIONS[OperatorRole(role)]
    }


class OperatorBackend(ThrottledBackend):
    """The sign-in, which adds the permissions of an operator's roles to Django's own."""

    def get_group_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        permissions: set[str] = super().get_group_permissions(user_obj, obj)
        if obj is not None or not (user_obj.is_active and user_obj.is_staff):
            return permissions
        return permissions | permissions_of(user_obj.operator_roles)
