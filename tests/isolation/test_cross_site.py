"""What a page of another site can make a browser do here: nothing. Forms carry a token, and what
changes something takes no GET.
"""

from __future__ import annotations

import pytest
from django.test import Client

from tests import routes, walk

pytestmark = [pytest.mark.django_db, pytest.mark.slow]  # every page, several times
by_path = {"ids": lambda route: route.path}
ACCOUNT = (
    "/accounts/login/",
    "/accounts/logout/",
    "/accounts/profile/",
    "/accounts/password_change/",
    "/accounts/password_reset/",
    "/accounts/sign_out_elsewhere/",
    "/accounts/theme/",
    "/accounts/language/",
)


@pytest.fixture
def browser(side: walk.Side) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(side.workspace.owner)
    return client


@pytest.mark.parametrize("route", walk.page_routes(), **by_path)
def test_a_form_of_another_site_is_refused(
    route: routes.Route, side: walk.Side, browser: Client
) -> None:
    entry = walk.page_entry(route)
    url, body = route.url(entry.values(side)), entry.body("POST", side)
    before = walk.digest_of_rows()
    assert browser.post(url, body).status_code == 403
    forged = {**body, "csrfmiddlewaretoken": "A" * 64}
    assert browser.post(url, forged, headers={"origin": "https://evil.test"}).status_code == 403
    assert walk.digest_of_rows() == before


@pytest.mark.parametrize("path", ACCOUNT)
def test_neither_do_forms_of_accounts(path: str, side: walk.Side, browser: Client) -> None:
    before = walk.digest_of_rows()
    assert browser.post(path, {"theme": "dark", "name": "x"}).status_code == 403
    assert walk.digest_of_rows() == before
    assert "_auth_user_id" in browser.session


@pytest.mark.parametrize(
    "route",
    # An export is noted in the audit log.
    [route for route in walk.page_routes() if not route.path.endswith("export.csv")],
    **by_path,
)
def test_opening_changes_nothing(route: routes.Route, side: walk.Side) -> None:
    client = walk.browser(side.workspace.owner)
    client.get("/t/acme/")  # notes the visit
    before = walk.digest_of_rows()
    client.get(route.url(walk.page_entry(route).values(side)))
    assert walk.digest_of_rows() == before
