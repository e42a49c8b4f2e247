"""What every page must be, found in one load: `look` gives the faults of a page, each beginning
with the property's number.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, Response

from tests import factories
from tests.browser import axe
from tests.browser.sitemap import Row

PROBE = (Path(__file__).parent / "probe.js").read_text(encoding="utf-8")
OPERATORS_BYTES = 80 * 1024  # jQuery, half of that, comes with them
DESK = {"width": 1280, "height": 860}
PHONE = {"width": 320, "height": 640}

MOST_BYTES = 60 * 1024  # over the wire on the first visit
MOST_SCRIPT = 80 * 1024
MOST_REQUESTS = 25
MOST_SHIFT = 0.02
FEWEST = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "",
    "permissions-policy": "",
}
INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|<style|<[^>]+\s(?:style|on[a-z]+)=",
    re.IGNORECASE,
)
POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors",
)


def headers(answer: Response, row: Row) -> list[str]:
    """P03, P08: the policy and what keeps a page private."""
    given = answer.headers
    policy = given.get("content-security-policy", "")
    found = [f"P03 {part} is missing" for part in POLICY if part not in policy]
    found += [
        f"P03 {word} in the policy" for word in ("unsafe", "*", "http:", "https:") if word in policy
    ]
    found += [
        f"P08 {name}: {given.get(name)}"
        for name, wanted in FEWEST.items()
        if wanted not in given.get(name, "!")
    ]
    if (
        row.path.startswith("/t/")
        and row.space
        and row.status == 200
        and "no-store" not in given.get("cache-control", "")
        and "private" not in given.get("cache-control", "")
    ):
        found.append(f"P08 cache-control: {given.get('cache-control')}")
    return found


def body(answer: Response) -> list[str]:
    """P04, P07: nothing inline, no secret of the tests."""
    text = answer.text()
    found = [f"P04 {match[0][:60]}" for match in INLINE.finditer(text)]
    return found + (["P07 a secret of the tests"] if factories.MARK in text else [])


def weight(page: Page, row: Row) -> tuple[list[str], dict[str, Any]]:
    """P09, P10, P11, P13, and P02 of what happened so far."""
    given = page.evaluate("probe.weight()")
    found = [f"P02 {line}" for line in given["violations"]]
    if given["bytes"] > (OPERATORS_BYTES if row.is_operators else MOST_BYTES):
        found.append(f"P09 {given['bytes']} bytes")
    if given["scripts"] > MOST_SCRIPT and not row.is_operators:
        found.append(f"P09 {given['decodedScripts']} bytes of scripts")
    if given["requests"] > MOST_REQUESTS:
        found.append(f"P10 {given['requests']} requests")
    if given["elements"] > row.elements:
        found.append(f"P11 {given['elements']} elements")
    if given["shift"] > MOST_SHIFT and not row.is_operators:
        found.append(f"P13 moved by {given['shift']:.3f}")
    return found, given


def tab(page: Page) -> list[str]:
    """P19, P20, P21: press Tab until the end; where it led is noted by the page."""
    count = page.evaluate("probe.startWalk()")
    for _stop in range(count + 8):
        page.keyboard.press("Tab")
    given = page.evaluate("probe.endWalk()")
    page.evaluate(
        "document.activeElement.blur()"
    )  # the skip link covers the header while it has the focus
    found = [] if "skip" in given["first"] else [f"P19 the first stop is {given['first']}"]
    found += [f"P20 not reached: {one}" for one in given["missed"]]
    found += [f"P21 no ring: {one}" for one in given["rings"]]
    return found + [f"P21 tabindex: {one}" for one in given["ordered"]]


def dark(page: Page) -> list[str]:
    page.emulate_media(color_scheme="dark")
    _settle(page)
    found = [f"P17 dark {line}" for line in axe.colours(page)]
    page.emulate_media(color_scheme="light")
    _settle(page)
    return found


def _settle(page: Page) -> None:
    """Colours that change step by step have to arrive before they are measured."""
    page.evaluate(
        "Promise.all(document.getAnimations().map((one) => one.finished.catch(() => "
        "null))).then(() => null)"
    )


def forced(page: Page) -> list[str]:
    """P30: borders and text remain where colours are the reader's own."""
    page.emulate_media(forced_colors="active")
    found = [f"P30 {line}" for line in page.evaluate("probe.forced()")]
    page.emulate_media(forced_colors="none")
    return found


def narrow(page: Page) -> list[str]:
    """P31, P32 at 320 pixels; the window stays that narrow."""
    page.set_viewport_size(PHONE)
    page.evaluate("scrollTo(0, 0)")
    found = [f"P31 {line}" for line in page.evaluate("probe.width()")]
    page.evaluate("probe.spacing(true)")
    found += [f"P32 {line}" for line in page.evaluate("probe.width()")]
    found += [f"P32 cut off: {line}" for line in page.evaluate("probe.cut()")]
    page.evaluate("probe.spacing(false)")
    return found


def no_cache(page: Page) -> CDPSession:
    """From here on every load is a first visit."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    return session
