"""The table of rights."""

from __future__ import annotations

import itertools

import pytest

from tenants.auth.permissions import (
    ACTION_LABELS,
    RANK,
    ROLE_ACTIONS,
    ROLE_LABELS,
    SCOPE_LABELS,
    Action,
    Role,
    Scope,
    actions_of,
    can_change_role,
    scopes_of,
)


def test_each_role_holds_all_that_the_lower_one_holds() -> None:
    ordered = sorted(RANK, key=lambda role: RANK[role])
    for lower, higher in itertools.pairwise(ordered):
        assert ROLE_ACTIONS[lower] < ROLE_ACTIONS[higher]
    assert ROLE_ACTIONS[Role.OWNER] == frozenset(Action)


def test_everything_has_a_name() -> None:
    assert set(ACTION_LABELS) == set(Action)
    assert set(ROLE_LABELS) == set(Role) == set(RANK) == set(ROLE_ACTIONS)
    assert set(SCOPE_LABELS) == set(Scope)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "scopes",
    [frozenset(some) for size in range(4) for some in itertools.combinations(Scope, size)],
    ids=lambda scopes: "+".join(sorted(scopes)),
)
def test_an_app_key_is_never_wider_than_its_owner(role: Role, scopes: frozenset[Scope]) -> None:
    assert actions_of(role, scopes) <= ROLE_ACTIONS[role]
    assert actions_of(role, scopes) <= actions_of(None, scopes)


def test_nobody_is_nothing() -> None:
    assert actions_of(None) == frozenset()
    assert actions_of(None, frozenset()) == frozenset()
    assert actions_of(Role.OWNER, frozenset()) == frozenset()


def test_scopes_do_what_they_say() -> None:
    assert actions_of(None, frozenset({Scope.USE})) == {Action.USE_MODELS}
    assert all(action.startswith("view_") for action in actions_of(None, frozenset({Scope.READ})))
    assert Action.OWN_WORKSPACE not in actions_of(None, frozenset(Scope))


def test_scopes_that_a_role_may_give() -> None:
    assert scopes_of(Role.VIEWER) == {Scope.READ}
    assert scopes_of(Role.EDITOR) == {Scope.READ, Scope.USE}
    assert scopes_of(Role.ADMIN) == scopes_of(Role.OWNER) == frozenset(Scope)


@pytest.mark.parametrize(("actor", "current", "new"), list(itertools.product(Role, repeat=3)))
def test_nobody_gives_or_takes_a_role_above_the_own_one(
    actor: Role, current: Role, new: Role
) -> None:
    allowed = can_change_role(actor=actor, current=current, new=new)
    if actor is Role.OWNER:
        assert allowed
    elif actor is Role.ADMIN:
        assert allowed == (Role.OWNER not in (current, new))
    else:
        assert not allowed
