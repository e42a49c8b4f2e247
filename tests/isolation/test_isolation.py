"""The walker: every route is opened with another workspace's ids, and nothing is seen, nothing
changes, and the answer is 404.

404 and never 403, because 403 says that the thing exists. tests/walk.py says what each route takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from django.urls import get_resolver

from providers.transport import sync_client as provider_client
from tenants.auth.permissions import Role, Scope
from tenants.models import Membership
from tenants.scope import all_tenants
from tests import factories, routes, walk
from tests.module_rows import for_one_test, module_rows

pytestmark = pytest.mark.django_db
PAGES = walk.page_routes()
API = walk.api_routes()
by_path = {"ids": lambda route: route.path}


@pytest.fixture(scope="module")
def made_world(django_db_setup: None, django_db_blocker: Any) -> Iterator[walk.World]:
    with module_rows(django_db_blocker):
        yield walk.make_world()


@pytest.fixture
def world(made_world: walk.World, monkeypatch: pytest.MonkeyPatch) -> walk.World:
    """Two workspaces; whichever provider is asked answers that all is well."""

    monkeypatch.setattr(provider_client, "send", walk.friendly_provider)
    return for_one_test(made_world, made_world.acme.workspace, made_world.globex.workspace)


@contextmanager
def unchanged() -> Iterator[None]:
    """Fail if a row of any workspace or account changes within."""
    before = walk.digest_of_rows()
    yield
    assert walk.digest_of_rows() == before, "rows were changed"


def shows(answer: Any, mark: str, sent: Any = "") -> bool:
    """Whether an answer holds the other side's mark elsewhere than in what the sender wrote itself
    (`sent`).
    """
    body = (
        b"".join(answer.streaming_content)
        if getattr(answer, "streaming", False)
        else answer.content
    )
    text = body.decode() + str(answer.headers)
    for word in words_of(sent):
        text = text.replace(word, "")
    return mark in text


def words_of(sent: Any) -> list[str]:
    """Every text in a body, the longest first."""
    if isinstance(sent, dict | list):
        inner = sent.values() if isinstance(sent, dict) else sent
        return sorted((word for one in inner for word in words_of(one)), key=len, reverse=True)
    return [str(sent)] if sent else []


# ------------------------------------------------------------------------------ nothing is left out


def test_every_page_has_an_entry() -> None:
    assert {route.path for route in PAGES} == set(walk.PAGES), (
        "tests/walk.py: PAGES must list every page of a workspace"
    )


def test_every_page_outside_of_workspaces_has_a_reason() -> None:
    assert {route.path for route in walk.other_routes()} == set(walk.PUBLIC)


def test_every_operation_has_an_entry() -> None:
    assert {route.path for route in API} == set(walk.API), (
        "tests/walk.py: API must list every path of the REST API"
    )
    views = {route.path for route in routes.operations(get_resolver()) if route.api_view is None}
    unknown = "/api/(?:v1/?.*)?"  # everything else is the API's own 404
    assert views - {unknown} == set(walk.API_PUBLIC)


@pytest.mark.parametrize("route", [*PAGES, *API], **by_path)
def test_entries_fill_every_parameter(route: routes.Route) -> None:
    entry = walk.PAGES.get(route.path) or walk.api_entry(route)
    assert set(route.parameters) == set(entry.own) | set(entry.fixed) | (
        {"workspace"} & set(route.parameters)
    )


@pytest.mark.parametrize("route", API, **by_path)
def test_every_operation_names_its_actions(route: routes.Route) -> None:
    methods = {
        name.upper()
        for name in ("get", "post", "put", "patch", "delete")
        if hasattr(route.api_view, name)
    }
    assert methods == set(walk.api_actions(route))


def test_there_is_something_to_leak(world: walk.World) -> None:
    with all_tenants():
        for model in walk.OWNED:
            for side in (world.acme, world.globex):
                assert model.objects.filter(tenant=side.tenant).exists(), (
                    f"{side.tenant.slug} has no {model.__name__}: add one in tests/walk.py"
                )


# -------------------------------------------------------------------------------------------- pages


def strangers(world: walk.World) -> Iterator[Any]:
    yield world.stranger
    yield from world.globex.workspace.people.values()


@pytest.mark.slow
@pytest.mark.parametrize("route", PAGES, **by_path)
def test_a_page_of_another_workspace_does_not_exist(route: routes.Route, world: walk.World) -> None:
    entry = walk.page_entry(route)
    url = route.url(entry.values(world.acme))
    for user in strangers(world):
        browser = walk.browser(user)
        for method in ("GET", "POST"):
            with unchanged():
                answer = walk.open_page(browser, method, url, entry.body(method, world.acme))
            assert answer.status_code == 404, f"{method} {url} as {user}: {answer.status_code}"
            assert not shows(answer, world.acme.mark)


@pytest.mark.slow
@pytest.mark.parametrize("route", PAGES, **by_path)
def test_a_page_is_the_same_for_a_workspace_that_is_not_there(
    route: routes.Route, world: walk.World
) -> None:
    """Who does not belong cannot find out by the answer which workspaces exist."""
    entry = walk.page_entry(route)
    browser = walk.browser(world.stranger)
    there = browser.get(route.url(entry.values(world.acme)))
    nowhere = browser.get(route.url(entry.values(world.acme) | {"workspace": "no-such-one"}))
    assert (there.status_code, len(there.content)) == (nowhere.status_code, len(nowhere.content))


@pytest.mark.slow
@pytest.mark.parametrize("route", PAGES, **by_path)
def test_a_page_leads_somebody_unknown_to_the_login(route: routes.Route, world: walk.World) -> None:
    entry = walk.page_entry(route)
    for slug in ("acme", "no-such-one"):
        url = route.url(entry.values(world.acme) | {"workspace": slug})
        for method in ("GET", "POST"):
            with unchanged():
                answer = walk.open_page(
                    walk.browser(None), method, url, entry.body(method, world.acme)
                )
            assert answer.status_code == 302
            assert answer.headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize(
    "route", [route for route in PAGES if walk.page_entry(route).own], **by_path
)
def test_another_workspaces_object_does_not_exist_in_the_own_one(
    route: routes.Route, world: walk.World
) -> None:
    entry = walk.page_entry(route)
    browser = walk.browser(world.globex.workspace.owner)
    for name in entry.own:
        mixed = entry.values(world.globex) | {name: entry.values(world.acme)[name]}
        for method in walk.page_actions(route):
            with unchanged():
                answer = walk.open_page(
                    browser, method, route.url(mixed), entry.body(method, world.globex)
                )
            if answer.status_code == 405:
                continue
            assert answer.status_code == 404, f"{method} {route.url(mixed)}: {answer.status_code}"
            assert not shows(answer, world.acme.mark)


@pytest.mark.slow
@pytest.mark.parametrize("route", PAGES, **by_path)
def test_the_own_pages_show_nothing_of_others(route: routes.Route, world: walk.World) -> None:
    entry = walk.page_entry(route)
    answer = walk.browser(world.globex.workspace.owner).get(
        route.url(entry.values(world.globex)), follow=True
    )
    assert not shows(answer, world.acme.mark)


@pytest.mark.parametrize(
    "route", [route for route in PAGES if walk.page_entry(route).borrowed], **by_path
)
def test_another_workspaces_object_in_a_form_is_refused(
    route: routes.Route, world: walk.World
) -> None:
    entry = walk.page_entry(route)
    browser = walk.browser(world.globex.workspace.owner)
    for method, body in entry.borrowed.items():
        with unchanged():
            answer = walk.open_page(
                browser, method, route.url(entry.values(world.globex)), body(world.acme)
            )
        assert not shows(answer, world.acme.mark, body(world.acme))


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(walk.PUBLIC))
def test_pages_outside_of_workspaces_show_nothing_of_any(path: str, world: walk.World) -> None:
    url = path.replace("{token}", "nothing-that-was-given-out")
    for user in (None, world.stranger, world.globex.workspace.owner):
        answer = walk.browser(user).get(url, follow=True)
        assert answer.status_code in (200, 404, 405)
        assert not shows(answer, world.acme.mark)


# ----------------------------------------------------------------------------------------- REST API


@pytest.mark.parametrize("route", [route for route in API if walk.api_entry(route).own], **by_path)
def test_another_workspaces_object_does_not_exist_in_the_api(
    route: routes.Route, world: walk.World, client
) -> None:
    entry = walk.api_entry(route)
    key = world.globex.workspace.app_key[1]
    for method in walk.api_actions(route):
        with unchanged():
            answer = walk.call(
                client,
                key,
                method,
                route.url(entry.values(world.acme)),
                entry.body(method, world.globex),
            )
        assert answer.status_code == 404, (
            f"{method} {route.path}: {answer.status_code} {answer.content[:200]!r}"
        )
        assert not shows(answer, world.acme.mark)


@pytest.mark.parametrize("route", API, **by_path)
def test_the_api_shows_nothing_of_others(route: routes.Route, world: walk.World, client) -> None:
    if "GET" in walk.api_actions(route):
        entry, key = walk.api_entry(route), world.globex.workspace.app_key[1]
        answer = walk.call(client, key, "GET", route.url(entry.values(world.globex)), None)
        assert answer.status_code == 200, answer.content[:300]
        assert not shows(answer, world.acme.mark)
        assert not shows(answer, str(world.acme.tenant.pk))


@pytest.mark.parametrize("route", API, **by_path)
def test_the_api_wants_a_key(route: routes.Route, world: walk.World, client) -> None:
    entry = walk.api_entry(route)
    signed_in = walk.browser(world.acme.workspace.owner)
    unknown = "mk_live_" + "0" * 43 + "000000"
    for method in walk.api_actions(route):
        url, body = route.url(entry.values(world.acme)), entry.body(method, world.acme)
        with unchanged():
            for one, key in ((client, None), (client, unknown), (signed_in, None)):
                assert walk.call(one, key, method, url, body).status_code == 401


@pytest.mark.parametrize(
    "route", [route for route in API if walk.api_entry(route).borrowed], **by_path
)
def test_another_workspaces_object_in_a_body_is_refused(
    route: routes.Route, world: walk.World, client
) -> None:
    entry, key = walk.api_entry(route), world.globex.workspace.app_key[1]
    for method, body in entry.borrowed.items():
        with unchanged():
            answer = walk.call(
                client, key, method, route.url(entry.values(world.globex)), body(world.acme)
            )
        assert 400 <= answer.status_code < 500
        assert answer.status_code != 403
        assert not shows(answer, world.acme.mark, body(world.acme))


@pytest.mark.slow
@pytest.mark.parametrize("route", API, **by_path)
def test_another_workspaces_ids_in_the_query_find_nothing(
    route: routes.Route, world: walk.World, client
) -> None:
    if "GET" not in walk.api_actions(route):
        return
    entry, key = walk.api_entry(route), world.globex.workspace.app_key[1]
    ids = [str(row.pk) for row in world.acme.objects.values()]
    for name in ("after", "tenant", "tenant_id", "workspace", "model", "search"):
        for value in [*ids[:3], world.acme.tenant.slug, world.acme.model]:
            answer = walk.call(
                client, key, "GET", route.url(entry.values(world.globex)) + f"?{name}={value}", None
            )
            assert answer.status_code in (200, 400)
            rows = answer.json().get("results", []) if answer.status_code == 200 else []
            assert world.acme.mark not in str(rows)


# ----------------------------------------------------------------- people who left, keys that ended


def test_who_leaves_is_a_stranger_at_once(world: walk.World, client) -> None:
    owner = world.acme.workspace.admin
    _row, text = factories.make_app_key(world.acme.tenant, name="Admin's", user=owner)
    browser = walk.browser(owner)
    assert browser.get("/t/acme/settings/members/").status_code == 200
    assert walk.call(client, text, "GET", "/api/v1/members/", None).status_code == 200
    with all_tenants():
        Membership.objects.filter(user=owner).delete()
    assert browser.get("/t/acme/settings/members/").status_code == 404
    assert walk.call(client, text, "GET", "/api/v1/members/", None).status_code == 401


def test_a_suspended_workspace_is_closed(world: walk.World, client) -> None:
    world.acme.tenant.status = "suspended"
    world.acme.tenant.save(update_fields=["status"])
    assert (
        walk.browser(world.acme.workspace.owner).get("/t/acme/settings/members/").status_code == 403
    )
    assert (
        walk.call(
            client, world.acme.workspace.app_key[1], "GET", "/api/v1/members/", None
        ).status_code
        == 403
    )
    assert (
        walk.browser(world.globex.workspace.owner).get("/t/globex/settings/members/").status_code
        == 200
    )


@pytest.mark.slow
def test_the_operators_site_is_closed_to_members(world: walk.World) -> None:
    admin = [route for route in routes.routes(get_resolver()) if route.path.startswith("/admin/")]
    assert len(admin) > 20
    for user in (None, world.acme.workspace.owner):
        browser = walk.browser(user)
        for route in admin:
            values = dict.fromkeys(route.parameters, "1")
            with transaction.atomic():
                answer = browser.get(route.url(values))
            assert answer.status_code in (301, 302, 404) or (
                route.name in {"login", "logout"} and answer.status_code in (200, 405)
            ), route.path
            assert not shows(answer, world.acme.mark)


def test_roles_and_scopes_are_all_walked(world: walk.World) -> None:
    assert set(world.acme.workspace.people) == set(Role)
    assert set(Scope) == {Scope.USE, Scope.READ, Scope.MANAGE}
