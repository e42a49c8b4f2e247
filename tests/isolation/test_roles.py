"""The role matrix: every route as every role and as every narrow key, against the permission table
and nothing else.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.db import transaction

from tenants.auth.permissions import ROLE_ACTIONS, SCOPE_ACTIONS, Action, Role, Scope
from tests import factories, routes, walk

pytestmark = [pytest.mark.django_db, pytest.mark.slow]  # some 3,000 requests
PAGES = walk.page_routes()
API = walk.api_routes()
by_path = {"ids": lambda route: route.path}


class Undo(Exception):
    pass


def undone(act: Any) -> Any:
    """The answer to a request whose changes are taken back, so that the next actor finds everything
    as it was.
    """
    answers = []
    try:
        with transaction.atomic():
            answers.append(act())
            raise Undo
    except Undo:
        return answers[0]


@pytest.mark.parametrize("route", PAGES, **by_path)
def test_a_page_is_open_to_whom_the_table_says(route: routes.Route, side: walk.Side) -> None:
    entry = walk.page_entry(route)
    for role in Role:
        browser = walk.browser(side.workspace.people[role])
        for method, action in walk.page_actions(route).items():
            answer = undone(
                lambda browser=browser, method=method: walk.open_page(
                    browser, method, route.url(entry.values(side)), entry.body(method, side)
                )
            )
            may = action in ROLE_ACTIONS[role]
            case = f"{method} {route.path} as {role}: {answer.status_code}"
            if may:
                assert answer.status_code in (200, 204, 302, 405, 409, 422), case
                assert "/accounts/login/" not in answer.headers.get("Location", ""), case
            else:
                assert answer.status_code in (403, 405), case


@pytest.mark.parametrize("route", PAGES, **by_path)
def test_who_may_not_change_nothing(route: routes.Route, side: walk.Side) -> None:
    entry = walk.page_entry(route)
    before = walk.digest_of_rows()
    for role in Role:
        for method, action in walk.page_actions(route).items():
            if action not in ROLE_ACTIONS[role]:
                walk.open_page(
                    walk.browser(side.workspace.people[role]),
                    method,
                    route.url(entry.values(side)),
                    entry.body(method, side),
                )
    assert walk.digest_of_rows() == before


@pytest.mark.parametrize("route", API, **by_path)
def test_an_operation_is_open_to_keys_as_the_table_says(
    route: routes.Route, side: walk.Side, client
) -> None:
    entry = walk.api_entry(route)
    for scope in Scope:
        _row, text = factories.make_app_key(side.tenant, name=f"only {scope}", scopes=[scope])
        for method, action in walk.api_actions(route).items():
            answer = undone(
                lambda text=text, method=method: walk.call(
                    client, text, method, route.url(entry.values(side)), entry.body(method, side)
                )
            )
            case = (
                f"{method} {route.path} with {scope}: {answer.status_code} {answer.content[:200]!r}"
            )
            if action in SCOPE_ACTIONS[scope]:
                assert answer.status_code in (200, 201, 202, 204, 403, 409), case
                assert (
                    answer.status_code != 403
                    or answer.json()["error"]["code"] != "permission_denied"
                ), case
            else:
                assert answer.status_code == 403, case


@pytest.mark.parametrize("route", API, **by_path)
def test_a_persons_key_is_never_wider_than_the_person(
    route: routes.Route, side: walk.Side, client
) -> None:
    """Scopes are cut to the role when the key is made, and again with every use after the role has
    shrunk.
    """
    from tenants.models import Membership
    from tenants.scope import tenant_scope

    entry = walk.api_entry(route)
    person = side.workspace.admin
    _row, text = factories.make_app_key(
        side.tenant, name="person's", scopes=[Scope.READ, Scope.MANAGE], user=person
    )
    for role in (Role.ADMIN, Role.EDITOR, Role.VIEWER):
        with tenant_scope(side.tenant):
            Membership.objects.filter(user=person).update(role=role)
        for method, action in walk.api_actions(route).items():
            answer = undone(
                lambda method=method: walk.call(
                    client, text, method, route.url(entry.values(side)), entry.body(method, side)
                )
            )
            if action not in ROLE_ACTIONS[role]:
                assert answer.status_code == 403, (
                    f"{method} {route.path} as {role}'s key: {answer.status_code}"
                )


def test_each_action_belongs_to_somebody_and_roles_grow() -> None:
    assert ROLE_ACTIONS[Role.OWNER] == frozenset(Action)
    ladder = [Role.VIEWER, Role.EDITOR, Role.ADMIN, Role.OWNER]
    for lower, higher in itertools.pairwise(ladder):
        assert ROLE_ACTIONS[lower] < ROLE_ACTIONS[higher]


def test_no_key_owns_a_workspace() -> None:
    for scope in Scope:
        assert Action.OWN_WORKSPACE not in SCOPE_ACTIONS[scope]
