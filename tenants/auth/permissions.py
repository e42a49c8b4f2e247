"""Roles, app-key scopes, and the actions that each allows."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Role(StrEnum):
    """A member's role in a workspace."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


class Scope(StrEnum):
    """A use that an app key is allowed."""

    USE = "use"  # the /v1 endpoints
    READ = "read"  # GET requests to the REST API
    MANAGE = "manage"  # all other methods of the REST API


class OperatorRole(StrEnum):
    """What an operator is for; superusers need no role. console/roles.py has the rights."""

    SUPPORT = "support"
    BILLING = "billing"
    SECURITY = "security"


class Action(StrEnum):
    """An operation in a workspace that needs permission."""

    USE_MODELS = "use_models"
    VIEW_PROVIDERS = "view_providers"
    MANAGE_PROVIDERS = "manage_providers"
    VIEW_MODELS = "view_models"
    MANAGE_MODELS = "manage_models"
    VIEW_DEFAULTS = "view_defaults"
    MANAGE_DEFAULTS = "manage_defaults"
    VIEW_USAGE = "view_usage"
    VIEW_MEMBERS = "view_members"
    MANAGE_MEMBERS = "manage_members"
    VIEW_APP_KEYS = "view_app_keys"
    MANAGE_OWN_APP_KEYS = "manage_own_app_keys"
    MANAGE_APP_KEYS = "manage_app_keys"
    VIEW_AUDIT = "view_audit"
    MANAGE_WORKSPACE = "manage_workspace"
    OWN_WORKSPACE = "own_workspace"


_VIEWER = {
    Action.VIEW_MODELS,
    Action.VIEW_DEFAULTS,
    Action.VIEW_USAGE,
    Action.VIEW_PROVIDERS,
    Action.VIEW_MEMBERS,
}
_EDITOR = _VIEWER | {Action.USE_MODELS, Action.VIEW_APP_KEYS, Action.MANAGE_OWN_APP_KEYS}
_ADMIN = _EDITOR | {
    Action.MANAGE_PROVIDERS,
    Action.MANAGE_MODELS,
    Action.MANAGE_DEFAULTS,
    Action.MANAGE_MEMBERS,
    Action.MANAGE_APP_KEYS,
    Action.VIEW_AUDIT,
    Action.MANAGE_WORKSPACE,
}
ROLE_ACTIONS: dict[Role, frozenset[Action]] = {
    Role.VIEWER: frozenset(_VIEWER),
    Role.EDITOR: frozenset(_EDITOR),
    Role.ADMIN: frozenset(_ADMIN),
    Role.OWNER: frozenset(Action),
}
_READ = {action for action in Action if action.startswith("view_")}
SCOPE_ACTIONS: dict[Scope, frozenset[Action]] = {
    Scope.USE: frozenset({Action.USE_MODELS}),
    Scope.READ: frozenset(_READ),
    # Includes reading, because the response to a write shows the row. Only people own workspaces.
    Scope.MANAGE: frozenset(set(Action) - {Action.USE_MODELS, Action.OWN_WORKSPACE}),
}
ROLE_LABELS: Final[dict[Role, Any]] = {
    Role.OWNER: _("Owner"),
    Role.ADMIN: _("Admin"),
    Role.EDITOR: _("Editor"),
    Role.VIEWER: _("Viewer"),
}
OPERATOR_ROLE_LABELS: Final[dict[OperatorRole, Any]] = {
    OperatorRole.SUPPORT: _("Support: see everything on this site"),
    OperatorRole.BILLING: _("Billing: also change trial plans and grant credits"),
    OperatorRole.SECURITY: _("Security: also change workspaces, people and keys"),
}
SCOPE_LABELS: Final[dict[Scope, Any]] = {
    Scope.USE: _("Use models"),
    Scope.READ: _("Read settings and usage"),
    Scope.MANAGE: _("Change settings"),
}
SCOPE_SHORT: Final[dict[Scope, Any]] = {
    Scope.USE: pgettext_lazy("scope", "Use models"),
    Scope.READ: pgettext_lazy("scope", "Read"),
    Scope.MANAGE: pgettext_lazy("scope", "Change"),
}
# Completes "Your role cannot ...".
ACTION_LABELS: Final[dict[Action, Any]] = {
    Action.USE_MODELS: _("use models"),
    Action.VIEW_PROVIDERS: _("see providers"),
    Action.MANAGE_PROVIDERS: _("change providers"),
    Action.VIEW_MODELS: _("see models"),
    Action.MANAGE_MODELS: _("change models"),
    Action.VIEW_DEFAULTS: _("see default models"),
    Action.MANAGE_DEFAULTS: _("change default models"),
    Action.VIEW_USAGE: _("see usage"),
    Action.VIEW_MEMBERS: _("see members"),
    Action.MANAGE_MEMBERS: _("change members"),
    Action.VIEW_APP_KEYS: _("see app keys"),
    Action.MANAGE_OWN_APP_KEYS: _("make app keys"),
    Action.MANAGE_APP_KEYS: _("change other people's app keys"),
    Action.VIEW_AUDIT: _("see the audit log"),
    Action.MANAGE_WORKSPACE: _("change the workspace"),
    Action.OWN_WORKSPACE: _("decide over the workspace"),
}
# These can send keys or prompts to a new address, or remove people, keys or credentials. On pages
# they take a recent sign-in, unless the view says that it does none of this.
SENSITIVE_ACTIONS: Final = frozenset(
    {
        Action.MANAGE_PROVIDERS,
        Action.MANAGE_MEMBERS,
        Action.MANAGE_OWN_APP_KEYS,
        Action.MANAGE_APP_KEYS,
        Action.MANAGE_WORKSPACE,
        Action.OWN_WORKSPACE,
    }
)
RANK = {Role.VIEWER: 0, Role.EDITOR: 1, Role.ADMIN: 2, Role.OWNER: 3}


@lru_cache(maxsize=256)  # the sets are shared by all principals that a process keeps
def actions_of(role: Role | None, scopes: frozenset[Scope] | None = None) -> frozenset[Action]:
    """Return the actions allowed to a person or an app key.

    Args:
        role: Role of the person or of the app key's owner; None for an app key made by a command,
            which is limited by its scopes alone.
        scopes: Scopes of the app key; None for a person.
    """
    if scopes is None:
        return ROLE_ACTIONS[role] if role else frozenset()
    granted = frozenset().union(*(SCOPE_ACTIONS[scope] for scope in scopes))
    return granted & ROLE_ACTIONS[role] if role else granted


def scopes_of(role: Role) -> frozenset[Scope]:
    """Return the scopes that a person with this role may give to an app key."""
    required_actions = {
        Scope.USE: Action.USE_MODELS,
        Scope.READ: Action.VIEW_MODELS,
        Scope.MANAGE: Action.MANAGE_PROVIDERS,
    }
    allowed = ROLE_ACTIONS[role]
    return frozenset(scope for scope, action in required_actions.items() if action in allowed)


def can_change_role(*, actor: Role, current: Role, new: Role) -> bool:
    """Return whether `actor` may change a role: neither the old nor the new may be higher."""
    return (
        actor in (Role.OWNER, Role.ADMIN)
        and RANK[current] <= RANK[actor]
        and RANK[new] <= RANK[actor]
    )
