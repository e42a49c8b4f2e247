"""A newcomer's path through the pages, with scripts and without, wide and narrow, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from providers import client as provider_client
from providers.spec import Reply
from tests import factories
from tests.browser.screenshots import PAGES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
FURNISHED = {name: path for name, path in PAGES.items() if path.startswith("/t/acme/") or path in ("/accounts/profile/", "/workspaces/")}
NARROW = {"viewport": {"width": 320, "height": 640}}


def violations(page: Page) -> list[str]:
    """What axe-core finds, as "rule: element"."""
    page.evaluate(AXE)
    found = page.evaluate("rules => axe.run(document, rules)", RULES)["violations"]
    return [f"{one['id']}: {node['target']}" for one in found for node in one["nodes"]]


def too_wide(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize(
    "options",
    [{}, {"java_script_enabled": False}, NARROW, {"color_scheme": "dark"}],
    ids=["plain", "without scripts", "narrow", "dark"],
)
def test_from_sign_in_to_an_app_key(options: dict[str, Any], visit: Any, fresh: factories.Workspace) -> None:
    visitor = visit(**options)
    page = visitor.sign_in(fresh.owner)
    expect(page.get_by_text("0 of 4 done")).to_be_visible()
    page.get_by_role("link", name="Set up a provider").click()
    page.locator("#provider-demo").get_by_role("link", name="Set up").click()
    page.locator("#setup").get_by_role("button", name="Set up").click()
    expect(page.get_by_text("is set up")).to_be_visible()
    expect(page.locator("#provider-demo").get_by_text("Connected")).to_be_visible()
    visitor.open("/t/fresh/settings/default-models/")
    page.get_by_role("button", name="Use it System reasoning model").click()
    expect(page.get_by_text("demo/demo-chat is the default now.")).to_be_visible()
    visitor.open("/t/fresh/settings/app-keys/new/")
    page.get_by_label("Name").fill("First application")
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#app-key")).to_contain_text("mk_live_")
    page.get_by_role("link", name="I have stored it").click()
    visitor.open("/t/fresh/")
    expect(page.get_by_text("3 of 4 done")).to_be_visible()


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}'
    monkeypatch.setattr(provider_client, "send", lambda *_, **__: Reply(401, {"content-type": "application/json"}, body))


def test_a_refusal_stays_in_the_dialog_and_the_secret_is_gone(
    visit: Any, fresh: factories.Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch)
    visitor = visit()
    page = visitor.sign_in(fresh.owner)
    visitor.open("/t/fresh/settings/model-providers/")
    page.locator("#provider-openai").get_by_role("link", name="Set up").click()
    secret = factories.marked_secret("typed in a browser")
    field = page.locator("dialog input[name=values-api_key]")
    expect(field).to_be_focused()
    field.fill(secret)
    field.press("Enter")  # runs the primary action, not Cancel
    expect(page.locator("dialog [role=alert]")).to_contain_text("OpenAI refused this key (401 invalid_api_key).")
    assert secret not in page.content()
    expect(field).to_have_value("")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(page.locator("#provider-openai").get_by_role("link", name="Set up")).to_be_focused()


def test_a_lost_network_is_said_and_nothing_stays_stuck(visit: Any, fresh: factories.Workspace) -> None:
    visitor = visit()
    page = visitor.sign_in(fresh.owner)
    visitor.open("/t/fresh/settings/model-providers/")
    page.locator("#provider-demo").get_by_role("link", name="Set up").click()
    page.locator("dialog button.primary").wait_for()
    visitor.context.set_offline(True)
    page.locator("dialog button.primary").click()
    expect(page.locator("dialog [role=alert]")).to_contain_text("The server could not be reached. Nothing was changed.")
    visitor.context.set_offline(False)
    page.locator("dialog button.primary").click()
    expect(page.locator("#provider-demo").get_by_text("Connected")).to_be_visible()
    # Chromium and htmx log the lost request itself; nothing else may be there.
    lost = ("ERR_INTERNET_DISCONNECTED", "htmx:sendError", "htmx:afterRequest")
    visitor.watch.console[:] = [line for line in visitor.watch.console if not any(text in line for text in lost)]


def test_a_session_that_ended_leads_to_the_whole_login_page(visit: Any, fresh: factories.Workspace) -> None:
    visitor = visit()
    page = visitor.sign_in(fresh.owner)
    visitor.open("/t/fresh/settings/model-providers/")
    visitor.context.clear_cookies()
    page.locator("#provider-demo").get_by_role("link", name="Set up").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_search_is_live_and_the_address_keeps_it(visit: Any, fresh: factories.Workspace) -> None:
    visitor = visit()
    page = visitor.sign_in(fresh.owner)
    visitor.open("/t/fresh/settings/model-providers/")
    page.keyboard.press("/")
    page.keyboard.type("anthro")
    expect(page.locator("#provider-openai")).to_have_count(0)
    expect(page.locator("#provider-anthropic")).to_be_visible()
    page.wait_for_url("**q=anthro**")
    page.reload()
    expect(page.locator("#id_q")).to_have_value("anthro")
    page.locator("#id_q").fill("zzzz")
    expect(page.get_by_text("No provider matches “zzzz”.")).to_be_visible()


def test_a_switch_works_by_keyboard_and_keeps_the_focus(visit: Any, furnished: factories.Workspace) -> None:
    visitor = visit()
    page = visitor.sign_in(furnished.owner)
    visitor.open("/t/acme/settings/model-providers/demo/")
    switch = page.get_by_role("switch", name="demo-chat enabled")
    expect(switch).to_have_attribute("aria-checked", "true")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_be_focused()


def test_a_double_click_is_one_request(visit: Any, fresh: factories.Workspace) -> None:
    visitor = visit()
    page = visitor.sign_in(fresh.owner)
    visitor.open("/t/fresh/settings/model-providers/")
    page.locator("#provider-demo").get_by_role("link", name="Set up").click()
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page.locator("dialog button.primary").dblclick()
    expect(page.locator("#provider-demo").get_by_text("Connected")).to_be_visible()
    assert len(posts) == 1


def test_the_first_stop_of_tab_is_the_skip_link_and_every_stop_is_seen(visit: Any, furnished: factories.Workspace) -> None:
    visitor = visit()
    page = visitor.sign_in(furnished.owner)
    visitor.open("/t/acme/settings/model-providers/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    stops = page.locator("main a, main button, main input, main select").count()
    for _stop in range(min(stops, 30)):
        page.keyboard.press("Tab")
        ring = page.evaluate(
            "() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle === 'none' ? 0 : parseFloat(s.outlineWidth) }"
        )
        assert ring >= 2, page.evaluate("document.activeElement.outerHTML")


@pytest.mark.parametrize("look", ["light", "dark", "narrow"])
def test_every_page_is_accessible_and_fits(look: str, visit: Any, furnished: factories.Workspace) -> None:
    options = {"light": {"color_scheme": "light"}, "dark": {"color_scheme": "dark"}, "narrow": NARROW}[look]
    visitor = visit(**options, reduced_motion="reduce")
    page = visitor.open("/accounts/login/")
    found = {"sign-in": violations(page)}
    visitor.sign_in(furnished.owner)
    wide = {}
    for name, path in FURNISHED.items():
        visitor.open(path)
        found[name], wide[name] = violations(page), too_wide(page)
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert {name: pixels for name, pixels in wide.items() if pixels > 0} == {}


def test_text_spacing_at_320_pixels(visit: Any, furnished: factories.Workspace) -> None:
    visitor = visit(**NARROW)
    page = visitor.sign_in(furnished.owner)
    spacing = "*{line-height:1.5!important;letter-spacing:.12em!important;word-spacing:.16em!important} p{margin-bottom:2em!important}"
    for path in ("/t/acme/", "/t/acme/settings/model-providers/", "/t/acme/settings/members/", "/t/acme/settings/app-keys/"):
        visitor.open(path)
        page.evaluate("text => { const s = new CSSStyleSheet(); s.replaceSync(text); document.adoptedStyleSheets = [s]; }", spacing)
        assert too_wide(page) <= 0, path


def test_the_operators_pages_obey_the_policy(visit: Any, furnished: factories.Workspace, operator: Any) -> None:
    visitor = visit()
    page = visitor.sign_in(operator)
    for path in ("/admin/", "/admin/tenants/tenant/", "/admin/quotas/callrecord/", "/admin/quotas/trialplan/add/"):
        visitor.open(path)
        expect(page.locator("#site-name")).to_contain_text("Modelkeep")


def test_first_visit_is_light(visit: Any, furnished: factories.Workspace) -> None:
    visitor = visit()
    page = visitor.sign_in(furnished.owner)
    visitor.open("/t/acme/settings/model-providers/")
    resources = page.evaluate("performance.getEntriesByType('resource').map(r => [r.name, r.decodedBodySize])")
    scripts = sum(size for name, size in resources if name.endswith(".js"))
    assert scripts <= 80 * 1024
    assert len(resources) <= 25
    assert page.evaluate("document.querySelectorAll('*').length") <= 1500
