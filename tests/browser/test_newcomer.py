"""The way of somebody new: few clicks to the first answer, and the keyboard alone is enough."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests import factories
from tests.browser.checks import PHONE
from tests.browser.newcomer import MOST_CLICKS, journeys
from tests.browser.site import Site, Window, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_few_clicks_lead_to_the_first_answer(
    site: Site, person: Callable[..., Window], record_property: Callable[..., None]
) -> None:
    taken = journeys(site, person)
    record_property(
        "from signing in to the first answer", "\n".join(journey.line() for journey in taken)
    )
    assert {
        journey.way: journey.clicks
        for journey in taken
        if journey.clicks > MOST_CLICKS.get(journey.way, 0)
    } == {}
    assert all(len(journey.answer) > 10 for journey in taken), [journey.answer for journey in taken]
    assert all("Default" in journey.served_by for journey in taken), "the new credential answered"
    assert {journey.way for journey in taken if not journey.clicks} == {
        "demo by keyboard",
        "key by keyboard",
    }
    assert sum(factories.MARK in str(call.headers) for call in site.fake.calls) >= 2, (
        "the pasted keys reached their provider"
    )
    assert max(journey.first_word for journey in taken) < 60


@pytest.mark.parametrize(
    "options",
    [{}, {"java_script_enabled": False}, {"viewport": PHONE}, {"color_scheme": "dark"}],
    ids=["plain", "without scripts", "narrow", "dark"],
)
def test_from_sign_in_to_an_app_key(
    options: dict[str, object], site: Site, person: Callable[..., Window]
) -> None:
    space, window = site.make(), person(**options)
    page, base = window.page, f"/t/{space['slug']}"
    sign_in(page, site.url, space["owner"])
    expect(page.get_by_text("0 of 4 done")).to_be_visible()
    page.locator("main a.primary[href$='/settings/model-providers/']").first.click()
    page.locator("#provider-demo a[href$='/setup/']").click()
    page.locator("#setup").get_by_role("button", name="Set up").click()
    expect(page.get_by_text("is set up")).to_be_visible()
    expect(page.locator("#provider-demo").get_by_text("Connected")).to_be_visible()
    window.open(f"{base}/settings/default-models/")
    page.get_by_role("button", name="Use it System reasoning model").click()
    expect(page.get_by_text("Default models saved.")).to_be_visible()
    expect(page.get_by_label("System reasoning model", exact=True)).to_have_value("demo/demo-chat")
    window.open(f"{base}/settings/app-keys/new/")
    page.get_by_label("Name").fill("First application")
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#app-key")).to_contain_text("mk_live_")
    page.get_by_role("link", name="I've saved it").click()
    window.open(f"{base}/")
    expect(page.get_by_text("3 of 4 done")).to_be_visible()
