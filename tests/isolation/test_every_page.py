"""Every row of the sitemap without a browser: the policy, what is private, and how a page is built.
What stays English on Chinese pages is looked for in a browser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.browser.site import KINDS
from tests.browser.sitemap import SITEMAP, Row
from tests.browser.world import make
from tests.core.pages import MOST_QUERIES, headings, sorted_without_gaps, unlabelled
from tests.core.test_headers import check_headers, check_html, parsed
from tests.module_rows import module_rows

# The worlds take seconds to make; without django_db the test database is not made.
pytestmark = [pytest.mark.django_db, pytest.mark.slow]
ROWS = [row for row in SITEMAP if not row.act]
PERSONAL = ("/t/", "/workspaces/", "/accounts/profile/", "/admin/")
OPERATORS = re.compile("^/admin/")
by_name = {"ids": lambda row: row.name}


@pytest.fixture(scope="module")
def worlds(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, dict[str, str]]]:
    """The worlds of the sitemap, made once and rolled back at the end."""
    with module_rows(django_db_blocker):
        yield {slug: make(kind, slug) for slug, kind in KINDS.items()}


@pytest.fixture(scope="module")
def clients(worlds: dict[str, dict[str, str]]) -> dict[str, Client]:
    """One signed-in browser for each person of the sitemap; their passwords were typed just now."""
    found = {"": Client()}
    for row in SITEMAP:
        if row.space not in found:
            email = (
                worlds["acme"]["viewer"] if row.space == "viewer" else worlds[row.space]["owner"]
            )
            found[row.space] = Client()
            answer = found[row.space].post(
                "/accounts/login/", {"username": email, "password": factories.PASSWORD}
            )
            assert answer.status_code == 302, email
    return found


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """Pages that a test opened and another one looks at, by the name of their row."""
    return {}


def opened(row: Row, worlds: dict[str, dict[str, str]], clients: dict[str, Client]) -> Any:
    ids = worlds.get(row.space) or worlds["acme"]
    answer = clients[row.space].get(row.url(ids), headers={"Accept-Language": "en"})
    assert answer.status_code == row.status
    return answer


def elements(tree: Any) -> Iterator[Any]:
    return (one for one in tree.iter() if isinstance(one.tag, str))


@pytest.mark.parametrize("row", SITEMAP, **by_name)
def test_page_takes_few_queries(
    row: Row,
    worlds: dict[str, dict[str, str]],
    clients: dict[str, Client],
    answers: dict[str, Any],
    record_property: Callable[[str, str], None],
) -> None:
    """Cold, with an empty cache, and warm; the page of an act is counted before the act.

    The first page of a visit also notes the visit, in the membership and in the session: at most
    two writes more, once in minutes.
    """
    for state in ("cold", "warm"):
        with CaptureQueriesContext(connection) as queries:
            answers[row.name] = opened(row, worlds, clients)
        asked = [
            one["sql"] for one in queries if not one["sql"].startswith(("SAVEPOINT", "RELEASE"))
        ]
        notes = [
            sql
            for sql in asked
            if re.match('UPDATE "(tenants_membership" SET "last_active|django_session)"', sql)
        ]
        record_property("the most of a page", f"queries, {state}|{len(asked)}|{row.name}")
        assert len(asked) - len(notes) <= MOST_QUERIES, "\n".join(
            [state, *(one[:160] for one in asked)]
        )
        assert len(notes) <= (2 if state == "cold" else 0), "a visit is noted once"


@pytest.mark.parametrize("row", ROWS, **by_name)
def test_page_is_strict_and_well_made(
    row: Row,
    worlds: dict[str, dict[str, str]],
    clients: dict[str, Client],
    answers: dict[str, Any],
) -> None:
    answer = answers.pop(row.name, None) or opened(row, worlds, clients)
    check_headers(answer)
    if row.path.startswith(PERSONAL) and row.status == 200 and row.space:
        assert re.search("no-store|private", answer.headers.get("Cache-Control", "")), (
            "a page of a person is not kept by others"
        )
    assert not row.secret or "no-store" in answer.headers["Cache-Control"]
    tree = parsed(answer)
    check_html(tree)
    assert tree.get("lang") == "en"
    assert len(tree.findall(".//main")) == 1
    assert (tree.findtext(".//title") or "").strip()
    if not OPERATORS.match(row.path):
        check_structure(tree)


def check_structure(tree: Any) -> None:
    assert headings(tree) == sorted_without_gaps(headings(tree)), "one h1, no level skipped"
    assert [
        nav.get("class")
        for nav in tree.iter("nav")
        if not (nav.get("aria-label") or nav.get("aria-labelledby"))
    ] == []
    ids = [one.get("id") for one in elements(tree) if one.get("id")]
    assert sorted(set(ids)) == sorted(ids), [one for one in ids if ids.count(one) > 1]
    assert unlabelled(tree) == []
    assert [
        one.get("class")
        for one in tree.iter("button")
        if one.get("type") not in ("submit", "button")
    ] == []
    check_without_scripts(tree)


def check_without_scripts(tree: Any) -> None:
    """What htmx shortens is a link or a form, which also works without it, or a part of the page
    that it only brings up to date; every form can be sent.
    """
    shortened = [
        one
        for one in elements(tree)
        if any(str(name).startswith(("hx-get", "hx-post")) for name in one.attrib)
    ]
    assert [
        one.attrib
        for one in shortened
        if not (
            one.tag == "form"
            or (one.tag == "a" and one.get("href"))
            or (one.tag == "details" and one.find(".//a[@href]") is not None)
            or (one.get("role") == "status" and one.get("hx-select") == f"#{one.get('id')}")
        )
    ] == []
    outside = {button.get("form") for button in tree.iter("button") if button.get("form")}
    for form in tree.iter("form"):
        buttons = [one for one in form.iter("button") if one.get("type") == "submit"]
        assert buttons or form.get("id") in outside, f"nothing sends the form {form.attrib}"
        if form.get("method", "get").lower() == "post":
            assert any(one.get("name") == "csrfmiddlewaretoken" for one in form.iter("input"))


def test_empty_pages_say_what_to_do(
    worlds: dict[str, dict[str, str]], clients: dict[str, Client]
) -> None:
    """P34: a sentence and a way out, wherever there is nothing."""
    for row in ROWS:
        if row.name.endswith((" empty", " none found")):
            main = parsed(opened(row, worlds, clients)).find(".//main")
            ways = [one for one in main.iter("a") if one.get("href")] + list(main.iter("button"))
            assert ways, f"{row.name} is a dead end"
            assert len("".join(main.itertext()).split()) > 8, f"{row.name} does not say why"
