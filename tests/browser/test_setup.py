"""A key that is being checked: what is said meanwhile, what Cancel does, and a list that can be
fetched again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import factories
from tests.browser.chromium import wait_until
from tests.browser.site import Site, Window

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROVIDERS = "settings/model-providers/"
SECONDS = re.compile(r"^Checking with OpenAI… ([3-9]|\d\d) s$")
Person = Callable[..., Window]


def typed(place: Any, site: Site) -> None:
    """OpenAI's form, with a key that the fake provider takes."""
    place.locator("details.advanced > summary").click()
    place.locator("input[name=values-base_url]").fill(site.fake.url + "/v1")
    place.locator("input[name=values-api_key]").fill(factories.marked_secret("openai api_key"))


def fill_dialog(page: Page, site: Site) -> Locator:
    page.locator("#provider-openai a[href$='/setup/']").click()
    dialog = page.locator("dialog:modal")
    typed(dialog, site)
    return dialog


def stored(site: Site, space: dict[str, str]) -> str:
    return site.keeper.read(space["slug"])["ProviderCredential"]


def answer_and_try_again(page: Page, site: Site) -> None:
    """Let the provider answer the check that was given up; by the time another one has gone
    through, the server is done with the first.
    """
    site.fake.mode = "ok"
    site.fake.release()
    fill_dialog(page, site).get_by_role("button", name="Check and save").click()
    expect(page.locator("#provider-openai")).to_contain_text("Connected")


def test_a_check_says_how_long_it_takes_and_a_cancelled_one_saves_nothing(
    window: Window, site: Site, space: dict[str, str]
) -> None:
    page = window.page
    dialog = fill_dialog(page, site)
    site.fake.mode = "hold"
    dialog.get_by_role("button", name="Check and save").click()
    expect(dialog.locator("[data-status]")).to_contain_text("Checking with OpenAI…")
    wait_until(page, lambda: site.fake.calls)
    expect(dialog.locator("[data-status]")).to_have_text(SECONDS)
    expect(dialog.get_by_role("button", name="Check and save")).to_be_disabled()
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_have_count(0)
    expect(page.locator("#messages")).to_contain_text("Cancelled.")
    page.reload()
    expect(page.locator("#provider-openai")).to_contain_text("Not set up")
    answer_and_try_again(page, site)
    assert stored(site, space) == "1"
    # htmx logs a request that was given up as an error.
    window.watch.console[:] = [line for line in window.watch.console if "htmx:" not in line]


def test_a_check_that_is_not_cancelled_saves(
    window: Window, site: Site, space: dict[str, str]
) -> None:
    """The counterpart: what the test above misses would be saved."""
    page = window.page
    dialog = fill_dialog(page, site)
    site.fake.script("hold")
    dialog.get_by_role("button", name="Check and save").click()
    wait_until(page, lambda: site.fake.calls)
    site.fake.release()
    expect(page.locator("#provider-openai")).to_contain_text("Connected")
    assert stored(site, space) == "1"


def test_who_leaves_the_page_during_a_check_saves_nothing(
    site: Site, space: dict[str, str], person: Person
) -> None:
    page = person(space["owner"]).open(f"/t/{space['slug']}/{PROVIDERS}openai/setup/")
    typed(page.locator("main"), site)
    site.fake.mode = "hold"
    page.get_by_role("button", name="Check and save").click(no_wait_after=True)
    wait_until(page, lambda: site.fake.calls)
    page.goto(
        f"{site.url}/t/{space['slug']}/{PROVIDERS}"
    )  # where Cancel leads; Playwright would wait before it clicks
    answer_and_try_again(page, site)
    assert stored(site, space) == "1"


def test_a_list_that_failed_is_fetched_again_from_the_message(window: Window, site: Site) -> None:
    page = window.page
    dialog = fill_dialog(page, site)
    site.fake.script("ok", "status:503")
    dialog.get_by_role("button", name="Check and save").click()
    message = page.locator("#messages")
    expect(message).to_contain_text("Key saved. The model list could not be fetched (503")
    message.get_by_role("button", name="Retry").click()
    expect(page.locator("#messages")).to_contain_text("List refreshed")
