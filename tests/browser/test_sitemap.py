"""The table of pages is whole: every route that people open stands in it or says why it has no
page.
"""

from __future__ import annotations

import re

import pytest
from django.urls import get_resolver

from tests import routes
from tests.browser.acts import ACTS
from tests.browser.sitemap import NO_PAGE, SITEMAP


def part(found: re.Match[str]) -> str:
    return "[^?]+" if "model\\}" in found[0] else "[^/?]+"


def pattern(route: routes.Route) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", part, re.escape(route.path)) + r"(\?.*)?")


PAGES = routes.pages(get_resolver())


@pytest.mark.parametrize("route", PAGES, ids=lambda route: route.path)
def test_every_route_is_in_the_table(route: routes.Route) -> None:
    covered = any(pattern(route).fullmatch(row.path) for row in SITEMAP if row.status == 200)
    assert covered or route.path in NO_PAGE, (
        f"tests/browser/sitemap.py lacks a row for {route.path}"
    )


def test_what_has_no_page_is_still_a_route() -> None:
    assert {path for path in NO_PAGE if path not in {route.path for route in PAGES}} == set()


def test_rows_have_names_of_their_own_and_acts_that_exist() -> None:
    names = [row.name for row in SITEMAP]
    assert sorted(set(names)) == sorted(names)
    assert {row.act for row in SITEMAP if row.act} <= set(ACTS)
