"""A whole server with all worlds of the sitemap, and windows onto it that are signed in already."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from tenants.auth.decorators import FRESH_SECONDS
from tests import factories
from tests.browser.checks import DESK, PROBE
from tests.browser.chromium import Watch, new_context
from tests.browser.world import Keeper
from tests.fakes.provider import FakeProvider, Running
from tests.server import Server

KINDS = {
    "fresh": "fresh",
    "huge": "huge",
    "acme": "furnished",
    "long": "long",
    "states": "states",
    "spent": "spent",
}


@dataclass
class Site:
    """`window(space)` opens a browser window of that workspace's owner; `make()` gives a workspace
    nobody else uses.
    """

    server: Server
    keeper: Keeper
    fake: FakeProvider
    worlds: dict[str, dict[str, str]] = field(default_factory=dict)
    _cookies: dict[str, tuple[float, Any]] = field(default_factory=dict)
    _made: int = 0

    @property
    def url(self) -> str:
        return self.server.url

    def furnish(self) -> None:
        for slug, kind in KINDS.items():
            self.worlds[slug] = self.keeper.make(kind, slug)

    def make(self, kind: str = "fresh") -> dict[str, str]:
        self._made += 1
        return self.keeper.make(kind, f"{kind}-{self._made}")

    def ids(self, space: str) -> dict[str, str]:
        return self.worlds.get(space) or self.worlds["acme"]

    def person(self, space: str) -> str:
        return self.worlds["acme"]["viewer"] if space == "viewer" else self.worlds[space]["owner"]

    def cookies(self, email: str) -> Any:
        """What a browser keeps of a person who signed in a short time ago: pages ask again when it
        is longer.
        """
        until, kept = self._cookies.get(email, (0.0, None))
        if time.monotonic() >= until:
            fixed = {"url": self.url, "httpOnly": True, "sameSite": "Lax"}
            given = self.keeper.sign_in(email)
            kept = {"cookies": [{"name": name, "value": given[name], **fixed} for name in given]}
            self._cookies[email] = (time.monotonic() + FRESH_SECONDS / 3, kept)
        return kept

    @contextmanager
    def window(
        self, running: Browser, email: str = "", *, scripts: Iterable[str] = (), **options: Any
    ) -> Iterator[Window]:
        """A window of somebody who is signed in, or of nobody; the scripts are in each page."""
        state = {"storage_state": self.cookies(email)} if email else {}
        context = new_context(running, **{"viewport": DESK, **state, **options})
        try:
            for script in scripts:
                context.add_init_script(script)
            yield Window(self, context)
        finally:
            context.close()


class Window:
    """One tab, watched: `watch` holds what it must not do."""

    def __init__(self, site: Site, context: BrowserContext) -> None:
        self.site, self.context = site, context
        context.add_init_script(PROBE)
        self.page: Page = context.new_page()
        self.watch = Watch()
        self.watch.attach(self.page, site.url)

    def open(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page


def sign_in(page: Page, address: str, email: str, password: str = factories.PASSWORD) -> None:
    page.goto(f"{address}/accounts/login/")
    page.locator("input[name=username]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.locator("main button[type=submit]").first.click()
    page.wait_for_url(lambda url: "/accounts/login/" not in url)


@contextmanager
def running_site(furnish: bool = True) -> Iterator[Site]:
    with (
        Running(FakeProvider()) as fake,
        Server(env={"MODELKEEP_EGRESS_ALLOW": fake.url}) as server,
        Keeper(server) as keeper,
    ):
        site = Site(server, keeper, fake)
        if furnish:
            site.furnish()
        yield site
