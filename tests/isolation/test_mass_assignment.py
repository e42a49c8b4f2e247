"""Every column of every table is posted to every form and operation: only what a route declares may
change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models, transaction

from providers.transport import sync_client as provider_client
from tenants.crypto import keys
from tenants.models import Tenant, User
from tenants.scope import all_tenants
from tests import routes, source, walk
from tests.module_rows import for_one_test, module_rows

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
PAGES = [route for route in walk.page_routes() if "POST" in walk.page_actions(route)]
API = walk.api_routes()
by_path = {"ids": lambda route: route.path}
WRITING = ("POST", "PUT", "PATCH", "DELETE")

# Made anew by each run of the same request: ids, times, tokens and what is sealed.
PASSING = {
    *(
        "id",
        "time",
        "created",
        "updated",
        "expires",
        "checked",
        "joined",
        "revoked",
        "accepted",
        "synced",
        "date_joined",
        "last_login",
    ),
    *(
        "digest",
        "proof",
        "prefix",
        "sealed",
        "object_id",
        "object_label",
        "state_since",
        "models_fetched",
        "last_active",
        "last_used",
        "retired",
    ),
    "password",
    *(
        "kid",
        "public_pem",
        "fingerprint",
        "private_sealed",
        "data_key",
    ),  # of a key pair, which rotation makes anew
    "details",  # of an audit entry: the new key's prefix
}


def columns() -> dict[str, Any]:
    """Every field name of our tables with a value that would do harm, were it taken over."""
    harm: dict[str, Any] = {}
    for model in apps.get_models():
        if model._meta.app_label in source.APPS:
            for field in model._meta.concrete_fields:
                for name in {field.name, field.attname}:
                    harm.setdefault(name, _value(field))
    return harm


def _value(field: models.Field) -> Any:
    if field.choices:
        return str(next(iter(dict(field.flatchoices))))
    if isinstance(field, models.BooleanField):
        return True
    if isinstance(field, models.IntegerField | models.DecimalField):
        return 987654
    return "harm"


@pytest.fixture(scope="module")
def made_world(django_db_setup: None, django_db_blocker: Any) -> Iterator[walk.World]:
    with module_rows(django_db_blocker):
        yield walk.make_world()


@pytest.fixture
def world(made_world: walk.World, monkeypatch: pytest.MonkeyPatch) -> walk.World:
    monkeypatch.setattr(provider_client, "send", walk.friendly_provider)
    return for_one_test(made_world, made_world.acme.workspace, made_world.globex.workspace)


class Undo(Exception):
    pass


@cache
def statements() -> dict[str, str]:
    """Reads every row of all workspaces and accounts, without what passes."""
    quoted, found = connection.ops.quote_name, {}
    for model in [*walk.OWNED, User, Tenant]:
        names = sorted(
            one.column for one in model._meta.concrete_fields if one.attname not in PASSING
        )
        table = quoted(model._meta.db_table)
        found[model.__name__] = f"SELECT {', '.join(map(quoted, names))} FROM {table}"
    return found


def rows() -> dict[str, list[str]]:
    found = {}
    with connection.cursor() as cursor:
        for name, statement in statements().items():
            cursor.execute(statement)
            found[name] = sorted(map(repr, cursor.fetchall()))
    return found


def outcome(act: Any, after: Callable[[], Any] = rows) -> tuple[int, Any]:
    """(status, what `after` gives) of a request that is taken back."""
    result = []
    # an opened key is kept for a while and not counted again: each run starts without one
    keys.forget()
    try:
        with transaction.atomic():
            answer = act()
            result.append((answer.status_code, after()))
            raise Undo
    except Undo:
        return result[0]


@pytest.mark.parametrize("route", PAGES, **by_path)
def test_a_form_takes_its_own_fields_only(route: routes.Route, world: walk.World) -> None:
    entry, side = walk.page_entry(route), world.acme
    url, body = route.url(entry.values(side)), entry.body("POST", side)
    browser = walk.browser(side.workspace.owner)
    plain = outcome(lambda: browser.post(url, body))
    extra = {
        name: value
        for name, value in columns().items()
        if name not in body and name not in entry.optional
    }
    extra |= {
        "tenant": str(world.globex.tenant.pk),
        "tenant_id": str(world.globex.tenant.pk),
        "user": str(world.stranger.pk),
    }
    stuffed = outcome(
        lambda: browser.post(url, {**{name: str(value) for name, value in extra.items()}, **body}),
    )
    assert stuffed[0] == plain[0]
    different = {
        name: (plain[1][name], found)
        for name, found in stuffed[1].items()
        if found != plain[1][name]
    }
    assert not different


@pytest.mark.parametrize("route", API, **by_path)
def test_an_operation_refuses_what_it_does_not_know(
    route: routes.Route, world: walk.World, client
) -> None:
    entry, side = walk.api_entry(route), world.acme
    key = side.workspace.app_key[1]
    for method in set(walk.api_actions(route)) & set(WRITING):
        url, body = route.url(entry.values(side)), entry.body(method, side)
        before = rows()
        known = accepted_fields(client, key, method, url, body)
        assert known <= entry.optional, (
            f"{method} {route.path} takes {sorted(known - entry.optional)}: say so in "
            f"tests/walk.py, or refuse it"
        )
        assert rows() == before


def accepted_fields(client, key: str, method: str, url: str, body: dict[str, Any]) -> set[str]:
    """Columns that the operation does not refuse by name when they come on top of a valid body; an
    answer names the first few.
    """
    if method == "DELETE":  # takes no body; its answer must not depend on one
        return set()
    extra = {name: value for name, value in columns().items() if name not in body}
    while named := refused_fields(client, key, method, url, {**body, **extra}) & extra.keys():
        extra = {name: value for name, value in extra.items() if name not in named}
    return set(extra)


def refused_fields(client, key: str, method: str, url: str, body: dict[str, Any]) -> set[str]:
    def named(answer: Any) -> set[str]:
        if answer.status_code != 400:
            return set()
        return set(re.findall(r"(\w+): Unknown field\.", answer.json()["error"]["message"]))

    found: list[set[str]] = []

    def act() -> Any:
        answer = walk.call(client, key, method, url, body)
        found.append(named(answer))
        return answer

    outcome(act, after=bool)
    return found[0]


@pytest.mark.parametrize(
    "field", ["is_staff", "is_superuser", "is_active", "email", "password", "id"]
)
def test_a_profile_makes_nobody_more(field: str, world: walk.World) -> None:
    user = world.acme.workspace.viewer
    before = (
        User.objects.filter(pk=user.pk)
        .values_list("is_staff", "is_superuser", "is_active", "email", "password")
        .get()
    )
    browser = walk.browser(user)
    browser.post(
        "/accounts/profile/", {"name": "New", "language": "en", "theme": "dark", field: "1"}
    )
    assert (
        User.objects.filter(pk=user.pk)
        .values_list("is_staff", "is_superuser", "is_active", "email", "password")
        .get()
        == before
    )


def test_an_invitation_gives_what_it_says(world: walk.World) -> None:
    from tenants.audit.trail import COMMAND
    from tenants.auth.permissions import Role
    from tenants.models import Membership
    from tenants.scope import tenant_scope
    from tenants.services import invitations

    with tenant_scope(world.acme.tenant):
        _row, token = invitations.invite(
            tenant=world.acme.tenant, email="new@example.test", role=Role.VIEWER, actor=COMMAND
        )
    form = {
        "name": "New",
        "password": "a long enough passphrase",
        "role": "owner",
        "email": "other@example.test",
        "is_staff": "on",
    }
    form |= {
        "tenant": str(world.globex.tenant.pk),
        "password1": form["password"],
        "password2": form["password"],
    }
    answer = walk.browser(None).post(f"/accounts/invite/{token}/", form)
    assert answer.status_code == 302
    user = User.objects.get(email="new@example.test")
    assert (user.is_staff, user.is_superuser) == (False, False)
    with all_tenants():
        assert list(Membership.objects.filter(user=user).values_list("tenant", "role")) == [
            (world.acme.tenant.pk, Role.VIEWER)
        ]
