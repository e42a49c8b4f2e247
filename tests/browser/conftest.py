"""A browser, a live server and a furnished workspace for the tests that need them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests import factories
from tests.browser.chromium import CHROMIUM, Watch, browser
from tests.browser.scene import furnish

# Playwright keeps an event loop in the test's thread; the ORM is used beside it, never inside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not CHROMIUM.exists():
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=f"{CHROMIUM} is not installed: no page was opened in a browser"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture
def furnished(transactional_db: None) -> factories.Workspace:
    workspace = factories.make_workspace("acme")
    furnish(workspace)
    return workspace


@pytest.fixture
def fresh(transactional_db: None) -> factories.Workspace:
    return factories.make_workspace("fresh", name="Fresh start")


class Visitor:
    """One person's browser window, watched for violations of the policy, console errors and requests to other hosts."""

    def __init__(self, chromium: Browser, address: str, **options: Any) -> None:
        self.address = address
        self.context: BrowserContext = chromium.new_context(locale="en-GB", **options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(8000)
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
    """`visit(javascript=..., width=...)` opens a window; each is closed, and what it noticed fails the test."""
    visitors: list[Visitor] = []

    def start(**options: Any) -> Visitor:
        visitors.append(Visitor(chromium, live_server.url, **options))
        return visitors[-1]

    yield start
    for visitor in visitors:
        visitor.context.close()
    assert [line for visitor in visitors for line in visitor.watch.console] == []
    assert [line for visitor in visitors for line in visitor.watch.foreign] == []
