"""Starts Chromium with a fresh profile, and notes whatever a page must not do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.installed import find_chromium

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Compiles at once what is run once or twice, as axe-core on each page.
    "--js-flags=--always-sparkplug --no-lazy-feedback-allocation",
    # A microphone that beeps and that nobody has to be asked about, and a name that is no secure
    # origin.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP host.test 127.0.0.1",
)
# How long a test waits for what must come, in ms. On a machine that is busy with other work, pages
# take many times longer than on a quiet one.
PATIENCE = 60_000
# Answers that are part of a flow: wrong input, conflicts, throttling. Chromium prints them as
# failed resources.
EXPECTED = ("status of 422", "status of 409", "status of 429", "status of 403", "status of 404")
WATCH = (
    "addEventListener('securitypolicyviolation', (e) => console.error('CSP ' + "
    "e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sourceFile));"
)


@dataclass
class Watch:
    """What went wrong on a page: console errors with violations of the policy, requests to other
    hosts, parts that failed.
    """

    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def attach(self, page: Page, host: str) -> None:
        page.add_init_script(WATCH)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.console.append(f"{page.url}: {error}"))
        page.on("request", lambda request: self._on_request(request.url, host))
        page.on("response", self._on_response)

    def everything(self) -> list[str]:
        return self.console + self.foreign + self.failed

    def forget(self) -> None:
        for lines in (self.console, self.foreign, self.failed):
            lines.clear()

    def _on_response(self, answer: Any) -> None:
        """A part of the page that is not there; the page itself may well be an error page."""
        if answer.status >= 400 and answer.request.resource_type not in (
            "document",
            "xhr",
            "fetch",
        ):
            self.failed.append(f"{answer.status} {answer.url}")

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning") and not any(
            text in message.text for text in EXPECTED
        ):
            self.console.append(f"{message.location.get('url', '')}: {message.text}")

    def _on_request(self, url: str, host: str) -> None:
        if not url.startswith((host, "data:", "blob:")):
            self.foreign.append(url)


@contextmanager
def browser() -> Iterator[Browser]:
    """Skips nothing: whoever calls this wants a browser, and its absence is an error that
    says so.
    """
    path = find_chromium()
    if path is None:
        raise RuntimeError("There is no Chromium. deploy/install-chromium installs one as root.")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        expect.set_options(timeout=PATIENCE)
        try:
            yield running
        finally:
            running.close()


def new_context(running: Browser, **options: Any) -> BrowserContext:
    """A new profile of the browser, in English unless the options say otherwise."""
    context = running.new_context(**({"locale": "en-GB"} | options))
    context.set_default_timeout(PATIENCE)
    return context


def wait_until(page: Page, happened: Callable[[], object]) -> None:
    """Wait for what the page itself does not show, while its events go on."""
    ends = time.monotonic() + PATIENCE / 1000
    while not happened():
        assert time.monotonic() < ends, "it has not happened"
        page.wait_for_timeout(20)
