"""What people do on the pages, one after the other: dialogs, mistakes, a lost network, two clicks,
no scripts, the keyboard alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Error, Page, expect

from tests import factories
from tests.browser.axe import violations
from tests.browser.chromium import wait_until
from tests.browser.site import Site, Window, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROVIDERS = "settings/model-providers/"
Person = Callable[..., Window]


def setup_link(page: Page, provider: str) -> Any:
    return page.locator(f"#provider-{provider} a[href$='/setup/']")


def open_dialog(page: Page, provider: str) -> Any:
    setup_link(page, provider).click()
    dialog = page.locator("dialog:modal")
    expect(dialog).to_be_visible()
    return dialog


def hosting(dialog: Any, site: Site, model: str = "gpt-4o-mini") -> None:
    dialog.locator("input[name=values-base_url]").fill(site.fake.url + "/v1")
    dialog.locator("input[name=model]").fill(model)


def forgive(window: Window, *texts: str) -> None:
    """Chromium and htmx log a lost request themselves; nothing else may be there."""
    window.watch.console[:] = [
        line for line in window.watch.console if not any(text in line for text in texts)
    ]


# ------------------------------------------------------------------------------------------- dialog


def test_the_dialog_reads_sensibly(window: Window) -> None:
    """Roles and names as Chromium gives them to a screen reader."""
    dialog = open_dialog(window.page, "openai")
    expect(dialog).to_match_aria_snapshot("""
      - dialog "Set up OpenAI":
        - heading "Set up OpenAI" [level=1]
        - paragraph: GPT models, embeddings, transcription, speech, moderation and images.
        - text: API key
        - textbox "API key"
        - paragraph: Starts with sk-
        - paragraph:
          - link "Get your key from OpenAI (opens in a new tab)"
        - group: More settings
        - paragraph: /Keys are encrypted with this workspace's own key pair .* never shown again\\./
        - link "Cancel"
        - button "Check and save"
    """)
    field = dialog.get_by_role("textbox", name="API key").first
    assert field.get_attribute("type") == "password"
    assert field.get_attribute("autocomplete") == "off"
    assert violations(window.page) == []


def test_a_refused_dialog_reads_sensibly(window: Window, site: Site) -> None:
    dialog = open_dialog(window.page, "openai_compatible")
    site.fake.script("status:401")
    hosting(dialog, site)
    dialog.get_by_role("button", name="Check and save").click()
    expect(dialog.get_by_role("alert")).to_match_aria_snapshot("""
      - alert:
        - paragraph: /asks for a key \\(401 invalid_api_key\\). Nothing was saved. Enter the key/
        - group: What we sent
    """)
    expect(dialog).to_match_aria_snapshot("""
      - dialog "Set up OpenAI-compatible server":
        - heading [level=1]
        - alert
        - textbox /URL/
        - link "Cancel"
        - button "Check and save"
    """)
    assert violations(window.page) == []


def test_a_refusal_stays_in_the_dialog_and_the_secret_is_gone(
    window: Window, site: Site, space: dict[str, str]
) -> None:
    page = window.page
    dialog = open_dialog(page, "openai_compatible")
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)"), (
        "the focus is inside"
    )
    secret = factories.marked_secret("typed in a browser")
    site.fake.script("status:401")
    hosting(dialog, site)
    key = dialog.locator("input[name=values-api_key]")
    if not key.is_visible():
        dialog.locator("details.advanced > summary").first.click()
    key.fill(secret)
    key.press("Enter")  # runs the primary action, not Cancel
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert any(secret in str(call.headers) for call in site.fake.calls), (
        "the provider never saw the key, so nothing was tried"
    )
    assert secret not in page.content()
    assert secret not in page.evaluate(
        "[...document.querySelectorAll('input')].map((one) => one.value).join()"
    )
    assert site.keeper.read(space["slug"])["ProviderCredential"] == "0"
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(setup_link(page, "openai_compatible")).to_be_focused()


def test_tab_stays_in_the_dialog(window: Window) -> None:
    page = window.page
    open_dialog(page, "openai")
    page.evaluate("probe.startWalk()")
    for _stop in range(page.evaluate("probe.controls()") + 3):
        page.keyboard.press("Tab")
    walked = page.evaluate("probe.endWalk()")
    assert walked["missed"] == []
    assert walked["rings"] == []
    assert page.evaluate(
        "document.activeElement === document.body || "
        "document.querySelector('dialog').contains(document.activeElement)"
    )


def test_a_wrong_field_is_marked_linked_and_focused(
    site: Site, space: dict[str, str], person: Person
) -> None:
    page = person(space["owner"]).open(f"/t/{space['slug']}/settings/members/invite/")
    page.evaluate("document.querySelector('main form').noValidate = true")
    field = page.locator("input[name=email]")
    field.fill("nobody")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    described = (field.get_attribute("aria-describedby") or "").split()
    assert any(page.locator(f"#{one}").inner_text().strip() for one in described), (
        "the error is named by the field"
    )


def test_a_wrong_field_far_down_has_the_focus(
    site: Site, space: dict[str, str], person: Person
) -> None:
    """One that no page focuses by itself when it is opened."""
    page = person(space["owner"]).open("/accounts/profile/")
    for name in ("old_password", "new_password1", "new_password2"):
        page.locator(f"input[name={name}]").fill("wrong password")
    page.keyboard.press("Enter")
    expect(page.locator("main [aria-invalid=true]").first).to_be_focused()


# --------------------------------------------------------------------------- mistakes and accidents


def test_a_lost_network_is_said_and_nothing_stays_stuck(window: Window) -> None:
    page = window.page
    dialog = open_dialog(page, "demo")
    window.context.set_offline(True)
    dialog.locator("button.primary").click()
    expect(dialog.get_by_role("alert")).to_contain_text(
        "The server could not be reached. Nothing was changed."
    )
    expect(dialog.locator("button.primary")).to_be_enabled()
    window.context.set_offline(False)
    dialog.locator("button.primary").click()
    expect(page.locator("#provider-demo").get_by_text("Connected")).to_be_visible()
    forgive(window, "ERR_INTERNET_DISCONNECTED", "htmx:sendError", "htmx:afterRequest")


def test_a_lost_network_is_seen_far_down_a_long_page(site: Site, person: Person) -> None:
    window = person(site.worlds["huge"]["owner"])
    page = window.open(f"/t/huge/{PROVIDERS}openai_compatible/")
    switch = page.get_by_role("switch").last
    switch.scroll_into_view_if_needed()
    window.context.set_offline(True)
    switch.click()
    expect(page.get_by_role("alert")).to_be_in_viewport(ratio=1)
    window.context.set_offline(False)
    expect(switch).to_have_attribute("aria-checked", "true")
    forgive(window, "ERR_INTERNET_DISCONNECTED", "htmx:sendError", "htmx:afterRequest")


def test_on_a_slow_line_a_click_is_seen_to_be_under_way(window: Window) -> None:
    page = window.page
    waiting: list[Any] = []
    page.route("**/setup/", lambda route: waiting.append(route))
    setup_link(page, "openai").click()
    expect(setup_link(page, "openai")).to_have_css("cursor", "progress")
    wait_until(page, lambda: waiting)  # the link says so before the request is caught
    for route in waiting:
        route.continue_()
    expect(page.locator("dialog:modal")).to_be_visible()


def test_what_was_done_is_in_sight_and_the_focus_is_in_the_content(window: Window) -> None:
    """The card that opened the dialog is gone from its place, and the message stands at the top."""
    page = window.page
    dialog = open_dialog(page, "demo")
    assert page.evaluate("scrollY") > 0, "the card stands further down"
    dialog.locator("button.primary").click()
    expect(page.locator("#messages .note.ok")).to_be_in_viewport(ratio=1)
    expect(page.locator("main")).to_be_focused()


def test_a_double_click_is_one_request(window: Window, site: Site, space: dict[str, str]) -> None:
    page = window.page
    dialog = open_dialog(page, "demo")
    posts: list[str] = []
    page.on(
        "request", lambda request: posts.append(request.url) if request.method == "POST" else None
    )
    dialog.locator("button.primary").dblclick()
    expect(page.locator("#provider-demo").get_by_text("Connected")).to_be_visible()
    assert len(posts) == 1
    assert site.keeper.read(space["slug"])["ProviderCredential"] == "1"


def test_a_double_click_on_a_plain_form_is_one_request(
    site: Site, space: dict[str, str], person: Person
) -> None:
    page = person(space["owner"]).open(f"/t/{space['slug']}/settings/app-keys/new/")
    posts: list[Any] = []
    page.route(
        "**/app-keys/new/",
        lambda route: posts.append(route) if route.request.method == "POST" else route.continue_(),
    )
    page.locator("input[name=name]").fill("Twice")
    place = page.locator("main button.primary").bounding_box()
    assert place is not None
    for _click in range(2):  # the second while the first is on its way and takes its time
        page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        wait_until(page, lambda: posts)
    posts[0].continue_()
    expect(page.locator("#app-key")).to_be_visible()
    assert len(posts) == 1
    assert site.keeper.read(space["slug"])["AppKey"] == "1"
    page.locator("[data-stored]").click()


def test_a_session_that_ended_leads_to_the_whole_login_page(window: Window) -> None:
    page = window.page
    window.context.clear_cookies()
    setup_link(page, "demo").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_back_after_signing_out_shows_nothing(site: Site, person: Person) -> None:
    one = person()
    space = site.make("furnished")
    sign_in(one.page, site.url, space["owner"])
    page = one.open(f"/t/{space['slug']}/{PROVIDERS}openai/credentials/")
    expect(page.get_by_text("Production").first).to_be_visible()
    page.locator("header .end summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "Production" not in page.content()


def test_a_key_is_shown_once(site: Site, space: dict[str, str], person: Person) -> None:
    address = f"/t/{space['slug']}/settings/app-keys/new/"
    page = person(space["owner"]).open(address)
    page.locator("input[name=name]").fill("Once")
    with page.expect_response(lambda answer: answer.request.method == "POST") as posted:
        page.locator("input[name=name]").press("Enter")
    shown = page.locator("#app-key").inner_text()
    assert shown.startswith("mk_live_")
    assert "no-store" in posted.value.headers["cache-control"]
    page.locator("[data-stored]").click()
    page.wait_for_url("**/app-keys/")
    with pytest.raises(Error, match="ERR_CACHE_MISS"):
        page.go_back()  # the browser has kept nothing that it could show
    page.wait_for_url("chrome-error://**")
    page.goto(site.url + address)
    assert shown not in page.content()
    page.goto(f"{site.url}/t/{space['slug']}/settings/app-keys/")
    assert shown not in page.content()


# -------------------------------------------------------------------------- search, switches, theme


def test_search_is_live_and_the_address_keeps_it(window: Window) -> None:
    page = window.page
    page.keyboard.press("/")
    page.keyboard.type("anthro")
    expect(page.locator("#provider-openai")).to_have_count(0)
    expect(page.locator("#provider-anthropic")).to_be_visible()
    page.wait_for_url("**q=anthro**")
    page.reload()
    expect(page.locator("#id_q")).to_have_value("anthro")
    expect(page.locator("#provider-openai")).to_have_count(0)
    page.locator("#id_q").fill("zzzz")
    expect(page.get_by_text("No provider matches “zzzz”.")).to_be_visible()
    page.wait_for_url("**q=zzzz**")
    page.go_back()
    expect(page.locator("#id_q")).to_have_value("anthro")
    expect(page.locator("#provider-anthropic")).to_be_visible()


def test_a_switch_works_by_keyboard_and_keeps_the_focus(site: Site, person: Person) -> None:
    space = site.make("furnished")
    page = person(space["owner"]).open(f"/t/{space['slug']}/{PROVIDERS}demo/")
    switch = page.get_by_role("switch", name="demo-chat enabled")
    expect(switch).to_have_attribute("aria-checked", "true")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_be_focused()
    page.reload()
    expect(switch).to_have_attribute("aria-checked", "false")


def test_a_theme_stays_and_is_there_at_once(
    site: Site, space: dict[str, str], person: Person
) -> None:
    one = person()
    sign_in(one.page, site.url, space["owner"])
    page = one.page
    page.locator("header .end summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    text = page.request.get(page.url).text()
    assert 'data-theme="dark"' in text, "the server renders it: nothing flashes"
    assert violations(page) == []


def test_the_skip_link_leads_to_the_content(window: Window) -> None:
    page = window.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_menu_opens_and_closes_by_keyboard(window: Window) -> None:
    page = window.page
    menu = page.locator("header .end summary")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(menu).to_be_focused()


def test_motion_can_be_seen_where_it_is_wanted(
    site: Site, space: dict[str, str], person: Person
) -> None:
    """The counterpart of P29: what is looked for on every page is there without the wish for
    reduced motion.
    """
    page = person(space["owner"], reduced_motion="no-preference").open(
        f"/t/{space['slug']}/{PROVIDERS}"
    )
    assert page.evaluate("probe.moving()") != []
