"""What somebody finds open who sits down at a browser whose password was typed hours ago: every
route that changes something asks for it again, but for those listed here.
"""

from __future__ import annotations

import pytest
from django.test import Client

from tests import routes, walk
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"
# They send no key or prompt to a new address and remove no person, key or credential.
OPEN = {
    "credential-rename",
    "credential-test",  # a stored key to its own address
    "default-models",  # among the models that are set up
    "default-test",
    "key-pair-progress",  # goes on with a rotation that took a fresh sign-in
    "models-bulk",
    "model-detail",  # prices and other facts
    "models-refresh",
    "model-test",
    "model-toggle",
    "playground",
    "playground-call",
    "playground-clients",  # shows settings, and takes nothing
    "playground-embeddings",
    "playground-images",
    "playground-render",
    "playground-rerank",
    "playground-speech",
}
# Of the rest, those whose form is on a page that is for reading as well.
ASK_WHEN_SENT = {"workspace"}


def changing() -> list[routes.Route]:
    """Pages that take a POST: a form says what it sends, or the action differs from reading."""
    return [
        route
        for route in walk.page_routes()
        if walk.page_actions(route).get("POST", "").startswith(("manage_", "own_", "use_"))
        or route.name == "workspace-leave"
    ]


by_path = {"ids": lambda route: route.path}


@pytest.fixture
def left_open(side: walk.Side) -> Client:
    """The owner's browser, whose password was typed long ago."""
    client = walk.browser(side.workspace.owner)
    session = client.session
    session["proven"] = 0
    session.save()
    return client


@pytest.mark.parametrize("route", changing(), **by_path)
def test_the_password_is_asked_for_again(
    route: routes.Route, side: walk.Side, left_open: Client
) -> None:
    entry = walk.page_entry(route)
    url = route.url(entry.values(side))
    page = "http://testserver/t/acme/settings/?page=2"
    before = walk.digest_of_rows()
    answer = left_open.post(url, entry.body("POST", side), headers={"referer": page})
    asked = answer.headers.get("Location", "").startswith(LOGIN)
    assert asked == (route.name not in OPEN), answer.status_code
    if asked:
        assert walk.digest_of_rows() == before
        # A button's own URL may take no GET; people come back to the page it is on.
        assert answer.headers["Location"] == f"{LOGIN}?next=/t/acme/settings/%3Fpage%3D2"
        form = left_open.get(url)
        if form.status_code != 405 and route.name not in ASK_WHEN_SENT:
            assert form.headers["Location"] == f"{LOGIN}?next={url}", "what is typed would be lost"


def test_the_list_names_routes_that_exist() -> None:
    names = {route.name for route in changing()}
    assert names >= OPEN
    assert names >= ASK_WHEN_SENT


@pytest.mark.parametrize("referer", ["https://evil.test/x", "//evil.test/x", "javascript:x", ""])
def test_a_foreign_page_is_not_returned_to(
    referer: str, side: walk.Side, left_open: Client
) -> None:
    url = f"/t/acme/settings/members/{side['member'].pk}/remove/"
    answer = left_open.post(url, headers={"referer": referer})
    assert answer.headers["Location"] == f"{LOGIN}?next={url}"


def test_after_the_password_it_goes_on(side: walk.Side, left_open: Client) -> None:
    url = f"/t/acme/settings/members/{side['member'].pk}/remove/"
    left_open.post(LOGIN, {"username": side.workspace.owner.email, "password": PASSWORD})
    assert left_open.post(url).headers["Location"] == "/t/acme/settings/members/"
