"""With scripts switched off every function works, but recording and answers that arrive piece by
piece.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests import walk as routes_walk
from tests.browser import plainly_settings, plainly_work
from tests.browser.plainly import AREAS, run, walking
from tests.browser.site import Site

assert plainly_settings, plainly_work  # they fill the table
pytestmark = [pytest.mark.browser, pytest.mark.slow]
# Forms that only a script sends, each with what does the same without one.
SCRIPTS_ONLY = {
    "/t/{workspace}/playground/render/": "the server renders an answer that it shows whole",
    "/t/{workspace}/playground/call/{operation}/": "the playground's own form is sent",
}
# Pages without a form that changes something; every other page of a workspace has to be sent in the
# walk.
SPACE = "/t/{workspace}/"
SHOW_ONLY = {
    SPACE,
    *(
        f"{SPACE}{path}"
        for path in (
            "models/",
            "playground/clients/",
            "settings/app-keys/connect/",
            "usage/",
            "usage/export.csv",
            "usage/calls/",
            "usage/calls/export.csv",
            "usage/calls/{call_id}/",
        )
    ),
    *(
        f"{SPACE}settings/{path}"
        for path in ("members/", "app-keys/", "audit/", "audit/export.csv", "model-providers/")
    ),
    *(
        f"{SPACE}settings/model-providers/{{provider}}/{path}"
        for path in ("", "credentials/", "activity/")
    ),
}


@pytest.fixture(scope="module")
def walked(site: Site, chromium: Browser) -> dict[str, Any]:
    """{area: {function: what went wrong or None}}, and under "sent" the addresses that forms were
    sent to.
    """
    found: dict[str, Any] = {"sent": set()}
    for area in AREAS:
        with walking(site, chromium, area) as walk:
            found[area] = run(walk, area)
            found["sent"] |= walk.sent
    return found


@pytest.mark.parametrize("area", AREAS)
def test_every_function_works(area: str, walked: dict[str, Any], record_property: Any) -> None:
    assert {what: wrong for what, wrong in walked[area].items() if wrong} == {}
    assert len(walked[area]) == len(AREAS[area])
    record_property(f"without scripts: {area}", "; ".join(walked[area]))


def test_every_form_was_sent(walked: dict[str, Any]) -> None:
    """Whatever a page of a workspace can be asked to change was changed by a plain form."""
    paths = {route.path for route in routes_walk.page_routes()}
    assert paths >= SHOW_ONLY | set(SCRIPTS_ONLY), "a page of these is gone"
    changing = {path: pattern(path) for path in paths - SHOW_ONLY - set(SCRIPTS_ONLY)}
    assert (
        sorted(
            path
            for path, one in changing.items()
            if not any(one.fullmatch(address) for address in walked["sent"])
        )
        == []
    )


def pattern(path: str) -> re.Pattern[str]:
    return re.compile(
        re.sub(
            r"\\\{(\w+)\\\}", lambda one: ".+" if one[1] == "model" else "[^/]+", re.escape(path)
        )
    )


def test_what_needs_a_script_says_so_or_is_not_there(site: Site, person: Any) -> None:
    page = person(site.worlds["acme"]["owner"], java_script_enabled=False).open(
        "/t/acme/playground/speech/"
    )
    expect(page.locator("#recorder")).to_be_hidden()
    expect(
        page.locator("#stop, #hear-stop, #speak-stop, [data-copy]").locator("visible=true")
    ).to_have_count(0)
    expect(page.locator("#hear input[type=file]")).to_be_visible()
