"""How far it is from signing in to the first streamed answer, in clicks and seconds: `python -m
tests.browser.newcomer`.

Two ways, each by mouse and by keyboard alone: the demo provider, and an own key that is pasted.
Seconds are those of a script that never hesitates: what the pages and the server take.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Locator, Page

MOST_CLICKS = {"demo provider": 6, "pasted key": 8}
MOST_STOPS = 150  # presses of Tab until the next thing that is needed
QUESTION = "Say hello"


@dataclass
class Journey:
    """What one way took. seconds: from the login page to the answer's first word, and to its
    end.
    """

    way: str
    clicks: int = 0
    keys: int = 0
    first_word: float = 0.0
    whole_answer: float = 0.0
    answer: str = ""
    served_by: str = ""
    pages: list[str] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"{self.way:<17} {self.clicks:>2} clicks {self.keys:>4} keys "
            f"{self.first_word:6.1f} s to the first word {self.whole_answer:6.1f} s to the end"
        )


class Mouse:
    """Clicks are counted; typing and Enter in a field are not clicks."""

    def __init__(self, page: Page, journey: Journey) -> None:
        self.page, self.journey = page, journey

    def use(self, target: Locator) -> None:
        target.click()
        self.journey.clicks += 1

    def enter(self) -> None:
        """Sends the form of the field that was filled last."""
        self.page.keyboard.press("Enter")
        self.journey.keys += 1

    def fill(self, target: Locator, text: str) -> None:
        """Into a field that has the focus already; else it is clicked."""
        target.wait_for()
        if not target.evaluate("one => one === document.activeElement"):
            self.use(target)
        self.page.keyboard.insert_text(text)
        self.journey.keys += 1  # one paste


class Keyboard(Mouse):
    """Never touches the mouse: Tab until there, then Enter."""

    def use(self, target: Locator) -> None:
        self._go(target)
        self.enter()

    def fill(self, target: Locator, text: str) -> None:
        self._go(target)
        self.page.keyboard.type(text)
        self.journey.keys += len(text)

    def _go(self, target: Locator) -> None:
        target.wait_for()
        for _stop in range(MOST_STOPS):
            if target.evaluate("one => one === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
            self.journey.keys += 1
        raise AssertionError(f"{target} cannot be reached by Tab")


def travel(
    page: Page,
    address: str,
    email: str,
    password: str,
    *,
    way: str,
    hand: type[Mouse],
    fake_url: str = "",
) -> Journey:
    """From the login page to the end of the first answer. fake_url: of the provider whose key is
    pasted; without one it is the demo.
    """
    journey = Journey(way)
    page.on("framenavigated", lambda frame: journey.pages.append(frame.url))
    one = hand(page, journey)
    page.goto(f"{address}/accounts/login/")
    started = time.monotonic()
    one.fill(page.locator("input[name=username]"), email)
    one.fill(page.locator("input[name=password]"), password)
    one.enter()
    one.use(page.locator("main a.primary[href$='/settings/model-providers/']").first)
    _set_up(page, one, fake_url)
    one.use(page.locator("nav.side a[href$='/playground/']"))
    _ask(page, one, journey, started)
    return journey


def _set_up(page: Page, one: Mouse, fake_url: str) -> None:
    provider = "openai_compatible" if fake_url else "demo"
    one.use(page.locator(f"#provider-{provider} a[href$='/setup/']"))
    dialog = page.locator("dialog:modal")
    if fake_url:
        one.fill(dialog.locator("input[name=values-base_url]"), fake_url + "/v1")
        _paste_key(dialog, one)
        one.fill(dialog.locator("input[name=model]"), "gpt-4o-mini")
    one.use(dialog.locator("button.primary"))
    page.locator(f"#provider-{provider} .state.ok").first.wait_for()


def _paste_key(dialog: Locator, one: Mouse) -> None:
    from tests import factories

    one.fill(
        dialog.locator("input[name=values-api_key]"),
        factories.marked_secret("pasted by a newcomer"),
    )


def _ask(page: Page, one: Mouse, journey: Journey, started: float) -> None:
    one.fill(page.locator("#chat textarea").first, QUESTION)
    one.enter()
    page.locator("#conversation [data-text]:not(:empty)").first.wait_for()
    journey.first_word = time.monotonic() - started
    page.locator("#conversation [data-footer]:not(:empty)").first.wait_for()
    journey.whole_answer = time.monotonic() - started
    journey.answer = page.locator("#conversation [data-text]").first.inner_text()
    journey.served_by = page.locator("#conversation [data-footer]").first.inner_text()


def journeys(site: Any, open_window: Callable[[], Any]) -> list[Journey]:
    """All of them, each in a workspace and a window of its own."""
    from tests import factories

    ways = (
        ("demo provider", Mouse, ""),
        ("pasted key", Mouse, site.fake.url),
        ("demo by keyboard", Keyboard, ""),
        ("key by keyboard", Keyboard, site.fake.url),
    )
    result = []
    for way, hand, fake_url in ways:
        space, window = site.make(), open_window()
        result.append(
            travel(
                window.page,
                site.url,
                space["owner"],
                factories.PASSWORD,
                way=way,
                hand=hand,
                fake_url=fake_url,
            )
        )
    return result


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    import django

    django.setup()
    from contextlib import ExitStack

    from tests.browser.chromium import browser
    from tests.browser.site import running_site

    with running_site(furnish=False) as site, browser() as running, ExitStack() as opened:
        taken = journeys(site, lambda: opened.enter_context(site.window(running)))
    for journey in taken:
        print(journey.line())
    return int(any(journey.clicks > MOST_CLICKS.get(journey.way, 0) for journey in taken))


if __name__ == "__main__":
    sys.exit(main())
