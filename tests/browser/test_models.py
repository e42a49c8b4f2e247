"""The page of all models as it is used: searched while one types, narrowed, switched, and a model
tested on its own page.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.site import Site, Window

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Person = Callable[..., Window]


@pytest.fixture
def space(site: Site) -> dict[str, str]:
    return site.make("furnished")


@pytest.fixture
def page(space: dict[str, str], person: Person) -> Page:
    return person(space["owner"]).open(f"/t/{space['slug']}/models/")


def test_search_and_filters_are_live_and_the_address_keeps_them(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("demo-")
    page.wait_for_url("**q=demo-**")
    expect(page.locator("tbody tr")).to_have_count(7)
    expect(page.locator("#results [role=status]")).to_have_text("7 models found")
    page.get_by_label("Model type").select_option("embedding")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(7)


def test_a_switch_stays_where_it_is(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("demo-chat")
    switch = page.get_by_role("switch", name="demo-chat enabled")
    expect(page.locator("tbody tr")).to_have_count(1)
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_be_focused()
    assert "/models/?q=demo-chat" in page.url
    page.get_by_label("State").select_option("off")
    expect(switch).to_be_visible()


def test_without_scripts_a_switch_leads_back_to_the_list(
    space: dict[str, str], person: Person
) -> None:
    page = person(space["owner"], java_script_enabled=False).open(
        f"/t/{space['slug']}/models/?q=demo-chat"
    )
    page.get_by_role("switch", name="demo-chat enabled").click()
    assert page.url.endswith("/models/?q=demo-chat")
    expect(page.get_by_role("switch", name="demo-chat enabled")).to_have_attribute(
        "aria-checked", "false"
    )
    expect(page.get_by_text("Switched off.")).to_be_visible()


def test_a_model_is_tested_on_its_page(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("demo-chat")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="demo-chat", exact=True).click()
    page.get_by_role("button", name="Test demo-chat").click()
    expect(page.get_by_text("demo/demo-chat answered in")).to_be_visible()
