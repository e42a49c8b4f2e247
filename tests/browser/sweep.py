"""Opens the rows of the sitemap and looks at each from all sides, in as few loads as that takes."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, Page, Response

from tests.browser import axe, checks, chinese
from tests.browser.acts import ACTS
from tests.browser.site import Site, Window
from tests.browser.sitemap import SITEMAP, Row

ENGLISH = ("light", "320 px", "text spacing", "forced colours", "reduced motion")
CHINESE = ("Chinese", "Chinese 320 px", "dark")
KINDS = (
    ("door", ""),
    ("viewer", "viewer"),
    ("acme", "acme"),
    ("long", "long"),
    ("huge", "huge"),
    ("states", "states"),
    ("spent", "spent"),
)


def rows(part: int, parts: int) -> list[Row]:
    """Every so-many-th row: processes side by side take one part each."""
    return list(SITEMAP[part::parts])


def window_of(site: Site, running: Browser, row: Row, **options: Any) -> Any:
    """A window of the row's person, with axe-core in each of its pages."""
    email = site.person(row.space) if row.space else ""
    return site.window(running, email, reduced_motion="reduce", scripts=[axe.SCRIPT], **options)


def load(window: Window, row: Row) -> Response:
    """Open the row's page; the answer that it came with."""
    answer = window.page.goto(window.site.url + row.url(window.site.ids(row.space)))
    assert answer is not None
    return answer


def act(window: Window, row: Row) -> None:
    """Bring the page into the row's state."""
    if row.act:
        ACTS[row.act](window.page)


def look(window: Window, row: Row) -> tuple[list[str], dict[str, Any]]:
    """The faults of a page in English, and what it weighs."""
    page = window.page
    page.set_viewport_size(checks.DESK)
    answer = load(window, row)
    found = [] if answer.status == row.status else [f"P06 answered {answer.status}"]
    found += checks.headers(answer, row) + checks.body(answer)
    act(window, row)
    heavy, numbers = checks.weight(page, row)
    for _time in range(2):
        if not any(fault.startswith("P13") for fault in heavy):
            break
        # A busy machine parses a table in pieces, whose columns move once; what is wrong with the
        # page moves each time.
        load(window, row)
        act(window, row)
        heavy, numbers = checks.weight(page, row)
    found += heavy
    found += (
        [f"P24 lang is {page.evaluate('document.documentElement.lang')}"]
        if page.locator("html[lang=en]").count() != 1
        else []
    )
    found += _theirs(page) if row.is_operators else _ours(page, row)
    return found + _noticed(window), numbers


def measured(row: Row, numbers: dict[str, Any]) -> dict[str, int]:
    """What a page weighs by what it is called in the tests' summary; the operators' pages are
    Django's and have limits of their own.
    """
    names = {
        "bytes": "bytes of a first visit",
        "requests": "requests of a first visit",
        "elements": "elements",
    }
    return {
        name + (", operators" if row.is_operators else ""): int(numbers[key])
        for key, name in names.items()
    }


def _ours(page: Page, row: Row) -> list[str]:
    found = [*page.evaluate("probe.structure()")]
    found += [f"P17 {line}" for line in axe.violations(page)]
    found += [f"P29 {line}" for line in page.evaluate("probe.moving()")] + checks.forced(page)
    if not row.walk:
        return found + checks.narrow(page)
    found += checks.dark(page) + checks.tab(page) + checks.narrow(page)
    return found + [f"P17 narrow {line}" for line in axe.layout(page)]


def _theirs(page: Page) -> list[str]:
    """Django's own pages for operators: what our theme and our policy are answerable for."""
    found = [f"P17 {line}" for line in axe.violations(page, axe.OPERATORS)]
    return found + checks.narrow(page)


def look_chinese(window: Window, row: Row) -> list[str]:
    """The faults of a page in Chinese, in a dark and narrow window."""
    page = window.page
    load(window, row)
    act(window, row)
    found = [f"P35 {line}" for line in chinese.left(page.evaluate("probe.texts()"))]
    lang = page.evaluate("document.documentElement.lang")
    found += [] if lang == "zh-hans" else [f"P24 lang is {lang}"]
    if not row.is_operators:
        found += page.evaluate("probe.structure()")
    without = axe.OPERATORS if row.is_operators else ()
    found += [f"P17 dark narrow {line}" for line in axe.violations(page, without)]
    return found + checks.narrow(page) + _noticed(window)


def _noticed(window: Window) -> list[str]:
    """P01, P02, P05, P06: what the page did while it was looked at."""
    watch = window.watch
    later = window.page.evaluate("probe.weight().violations")
    found = (
        [f"P01 {url}" for url in watch.foreign]
        + [f"P02 {line}" for line in later]
        + [f"P05 {line}" for line in watch.console]
        + [f"P06 {line}" for line in watch.failed]
    )
    watch.forget()
    return found
