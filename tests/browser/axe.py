"""What axe-core finds on a page.

Each state of a page is looked at with all rules in two windows that differ in everything: English,
light and wide; Chinese, dark and 320 pixels. So a colour, a name or a size that is wrong in one
language, theme or width is found. `colours` and `layout` cross theme and width once for each page.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SCRIPT = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# In Django's own pages for operators: lists with many small links, and fields that only their
# titles name.
OPERATORS = ("label-title-only", "link-in-text-block", "target-size")


def violations(page: Page, without: Collection[str] = ()) -> list[str]:
    """What the rules find, as "rule: element"."""
    return _run(page, runOnly=TAGS, rules={rule: {"enabled": False} for rule in without})


def colours(page: Page) -> list[str]:
    """What depends on colours alone."""
    return _only(page, "color-contrast", "link-in-text-block")


def layout(page: Page) -> list[str]:
    """What depends on where things stand."""
    return _only(page, "color-contrast", "scrollable-region-focusable", "target-size")


def _only(page: Page, *rules: str) -> list[str]:
    return _run(page, runOnly={"type": "rule", "values": rules})


def _run(page: Page, **options: Any) -> list[str]:
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(SCRIPT)
    found = page.evaluate(
        "options => axe.run(document, options).then((result) => result.violations)",
        {"preload": False, "reporter": "no-passes", **options},
    )
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]
