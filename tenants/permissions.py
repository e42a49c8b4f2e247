"""Who may do what: one table of actions by role and by app-key scope, and the predicates built on it."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


class Scope(StrEnum):
    """What an app key may be used for."""

    USE = "use"  # the /v1 endpoints
    READ = "read"  # GET of the REST API
    MANAGE = "manage"  # every other method of the REST API


class Action(StrEnum):
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


_VIEWER = {Action.VIEW_MODELS, Action.VIEW_DEFAULTS, Action.VIEW_USAGE, Action.VIEW_PROVIDERS, Action.VIEW_MEMBERS}
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
    # Reading comes with managing, so that an answer to a write may show the row; owning a workspace needs a person.
    Scope.MANAGE: frozenset(set(Action) - {Action.USE_MODELS, Action.OWN_WORKSPACE}),
}
RANK = {Role.VIEWER: 0, Role.EDITOR: 1, Role.ADMIN: 2, Role.OWNER: 3}


def actions_of(role: Role | None, scopes: frozenset[Scope] | None = None) -> frozenset[Action]:
    """The actions of a person (`scopes` is None) or of an app key made by a person with this role.

    An app key made by a command has no person behind it (`role` is None): its scopes alone count.
    """
    if scopes is None:
        return ROLE_ACTIONS[role] if role else frozenset()
    granted = frozenset().union(*(SCOPE_ACTIONS[scope] for scope in scopes))
    return granted & ROLE_ACTIONS[role] if role else granted


def can_change_role(*, actor: Role, current: Role, new: Role) -> bool:
    """Nobody gives or takes a role above the own one."""
    return actor in (Role.OWNER, Role.ADMIN) and RANK[current] <= RANK[actor] and RANK[new] <= RANK[actor]
