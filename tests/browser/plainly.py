"""A person without scripts, and the table of what they do: AREAS, filled by plainly_settings.py and
plainly_work.py.

Only recording and an answer that arrives piece by piece need a script. Each area has a workspace of
its own; its functions follow each other in one window. `Walk.sent` notes every form that was sent,
so that a test can say which one nobody tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page, expect

from tests import factories
from tests.browser.site import Site

PROVIDERS = "settings/model-providers/"


@dataclass
class Walk:
    """One person without scripts in one workspace."""

    site: Site
    page: Page
    space: dict[str, str]
    visitor: Callable[[], Page]
    sent: set[str]

    @property
    def base(self) -> str:
        return f"/t/{self.space['slug']}/"

    def open(self, path: str = "") -> Page:
        """A page of the workspace; with a leading slash any page."""
        self.page.goto(self.site.url + (path if path.startswith("/") else self.base + path))
        return self.page

    def press(self, name: str, *, within: str = "main", exact: bool = True) -> None:
        self.leave_by(self.page.locator(within).get_by_role("button", name=name, exact=exact).first)

    def follow(self, name: str, *, within: str = "main", exact: bool = True) -> None:
        self.leave_by(self.page.locator(within).get_by_role("link", name=name, exact=exact).first)

    def leave_by(self, way: Locator) -> None:
        """Click, and wait for the next page: what comes after it must not look at the one
        before.
        """
        with self.page.expect_navigation():
            way.click()

    def fill(self, **values: str) -> None:
        """Fields of the page by name; __ stands for a hyphen. What is folded is unfolded first."""
        for name, value in values.items():
            one = self.page.locator(f"main [name='{name.replace('__', '-')}']").first
            unfold(one)
            one.fill(value)

    def choose(self, name: str, value: str) -> None:
        self.page.locator(f"main select[name='{name}']").first.select_option(value)

    def says(self, *texts: str) -> None:
        for text in texts:
            expect(self.page.locator("body")).to_contain_text(text)

    def saved_file(self, name: str) -> str:
        """The content of the file behind a link."""
        with self.page.expect_download() as download:
            self.page.locator("main").get_by_role("link", name=name, exact=True).first.click()
        return download.value.path().read_text(encoding="utf-8-sig")

    def credential(self, name: str) -> Locator:
        return self.page.locator(
            "li.credential", has=self.page.locator(f"strong:text-is('{name}')")
        )

    def set_up(self, provider: str = "openai", name: str = "Default") -> None:
        """Store a key that the fake provider takes."""
        self.open(f"{PROVIDERS}{provider}/setup/")
        secret = factories.marked_secret(
            "typed without scripts", prefix="sk-ant-" if provider == "anthropic" else "sk-"
        )
        self.fill(values__api_key=secret, name=name, values__base_url=self.site.fake.url)
        self.press("Check and save")
        self.says("is set up")


def unfold(one: Locator) -> None:
    folded = one.locator("xpath=ancestor::details[not(@open)]")
    if folded.count():
        folded.first.locator("summary").first.click()


Function = Callable[[Walk], None]
AREAS: dict[str, list[tuple[str, Function]]] = {}
KINDS: dict[str, str] = {}


def function(area: str, what: str, kind: str = "fresh") -> Callable[[Function], Function]:
    """Adds a function to an area, whose workspace is of the kind that its first function asks
    for.
    """

    def add(done: Function) -> Function:
        AREAS.setdefault(area, []).append((what, done))
        KINDS.setdefault(area, kind)
        return done

    return add


@contextmanager
def walking(site: Site, running: Browser, area: str) -> Iterator[Walk]:
    """A window without scripts of the owner of a workspace of the area's kind."""
    with ExitStack() as opened:
        space, sent = site.make(KINDS[area]), set[str]()

        def window(email: str = "") -> Page:
            page = opened.enter_context(site.window(running, email, java_script_enabled=False)).page
            page.on(
                "request",
                lambda request: (
                    sent.add(urlsplit(request.url).path) if request.method == "POST" else None
                ),
            )
            return page

        site.fake.reset()
        yield Walk(site, window(space["owner"]), space, window, sent)


def run(walk: Walk, area: str) -> dict[str, Any]:
    """What each function of an area came to: None, or what went wrong; after a failure the rest of
    the area is not tried.
    """
    found: dict[str, Any] = {}
    for what, done in AREAS[area]:
        try:
            done(walk)
            found[what] = None
        except Exception as error:
            found[what] = f"{type(error).__name__}: {error} (at {walk.page.url})"
            break
    return found
