"""A browser, a live server and a furnished workspace for the tests that need them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests import factories
from tests.browser.checks import no_cache
from tests.browser.chromium import Watch, browser, new_context
from tests.browser.scene import furnish
from tests.browser.site import Site, Window, running_site
from tests.browser.sitemap import Row
from tests.browser.sweep import window_of

# Playwright keeps an event loop in the test's thread; the ORM is used beside it, never inside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """The whole server with the worlds of the sitemap; one for each process of the tests."""
    with running_site() as running:
        yield running


@pytest.fixture(scope="module")
def windows(site: Site, chromium: Browser) -> Iterator[Callable[..., Window]]:
    """`windows(row, cached=..., **options)`: the window of the row's person, opened once. With
    cached=False each page is a first visit.
    """
    with ExitStack() as opened:
        kept: dict[str, Window] = {}

        def window(row: Row, *, cached: bool, **options: Any) -> Window:
            if row.space not in kept or kept[row.space].page.is_closed():
                kept[row.space] = opened.enter_context(window_of(site, chromium, row, **options))
                if not cached:
                    no_cache(kept[row.space].page)
            return kept[row.space]

        yield window


@pytest.fixture
def person(site: Site, chromium: Browser) -> Iterator[Callable[..., Window]]:
    """`person(email, **options)`: a window of somebody who is signed in, or of nobody; what it
    noticed fails the test.
    """
    with ExitStack() as opened:
        made: list[Window] = []

        def window(email: str = "", **options: Any) -> Window:
            made.append(opened.enter_context(site.window(chromium, email, **options)))
            return made[-1]

        yield window
        assert [line for one in made for line in one.watch.everything()] == []


@pytest.fixture
def space(site: Site) -> dict[str, str]:
    """A workspace in which nothing is set up."""
    site.fake.reset()
    return site.make()


@pytest.fixture
def window(space: dict[str, str], person: Callable[..., Window]) -> Window:
    """Its owner, who looks at the providers."""
    one = person(space["owner"])
    one.open(f"/t/{space['slug']}/settings/model-providers/")
    return one


@pytest.fixture
def furnished(transactional_db: None) -> factories.Workspace:
    workspace = factories.make_workspace("acme")
    furnish(workspace)
    return workspace


@pytest.fixture
def fresh(transactional_db: None) -> factories.Workspace:
    return factories.make_workspace("fresh", name="Fresh start")


class Visitor:
    """One person's browser window, watched for violations of the policy, console errors and
    requests to other hosts.
    """

    def __init__(self, chromium: Browser, address: str, **options: Any) -> None:
        self.address = address
        self.context: BrowserContext = new_context(chromium, **options)
        self.page: Page = self.context.new_page()
        self.watch = Watch()
        self.watch.attach(self.page, address)

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    def sign_in(self, user: Any) -> Page:
        page = self.open("/accounts/login/")
        page.locator("input[name=username]").fill(user.email)
        page.locator("input[name=password]").fill(factories.PASSWORD)
        page.locator("main button[type=submit]").click()
        page.wait_for_url(lambda url: "/accounts/login/" not in url)
        return page


@pytest.fixture
def visit(chromium: Browser, live_server: Any) -> Iterator[Any]:
    """`visit(javascript=..., width=...)` opens a window; each is closed, and what it noticed fails
    the test.
    """
    visitors: list[Visitor] = []

    def start(**options: Any) -> Visitor:
        visitors.append(Visitor(chromium, live_server.url, **options))
        return visitors[-1]

    yield start
    for visitor in visitors:
        visitor.context.close()
    assert [line for visitor in visitors for line in visitor.watch.console] == []
    assert [line for visitor in visitors for line in visitor.watch.foreign] == []
