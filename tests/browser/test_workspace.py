"""The workspace's pages in a browser: what a script shortens, what leaving asks, and what the back
button does not show.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests import factories

pytestmark = pytest.mark.browser
SETTINGS = "/t/acme/settings"


def test_a_rotation_goes_on_by_itself_and_says_how_far(
    visit: Any, furnished: factories.Workspace
) -> None:
    visitor = visit()
    page = visitor.sign_in(furnished.owner)
    visitor.open(f"{SETTINGS}/workspace/key-pair/rotate/")
    page.locator("#id_typed").fill("acme")
    page.keyboard.press("Enter")
    page.locator("#rotation .note.ok").wait_for()
    assert "2 of 2" in page.locator("#rotation").inner_text()


def test_a_rotation_without_scripts_takes_a_button(
    visit: Any, furnished: factories.Workspace
) -> None:
    visitor = visit(java_script_enabled=False)
    page = visitor.sign_in(furnished.owner)
    visitor.open(f"{SETTINGS}/workspace/key-pair/rotate/")
    page.locator("#id_typed").fill("acme")
    page.locator("main button.primary").click()
    assert "0 of 2" in page.locator("#rotation").inner_text()
    page.locator("#rotation button").click()
    page.locator("#messages .note.ok").wait_for()


def test_leaving_without_the_key_asks_first(visit: Any, furnished: factories.Workspace) -> None:
    visitor = visit()
    page = visitor.sign_in(furnished.owner)
    visitor.open(f"{SETTINGS}/app-keys/new/")
    page.locator("#id_name").fill("Notebook")
    page.locator("main button.primary").click()
    page.locator("#app-key").wait_for()
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    with page.expect_event("dialog"):
        page.locator("nav.side a", has_text="Members").click()
    assert asked == ["beforeunload"]
    assert page.locator("#app-key").is_visible()
    page.locator("[data-stored]").click()
    page.wait_for_url("**/app-keys/")
    assert asked == ["beforeunload"]


def test_the_back_button_shows_nothing_after_signing_out(
    visit: Any, furnished: factories.Workspace
) -> None:
    visitor = visit()
    page = visitor.sign_in(furnished.owner)
    visitor.open(f"{SETTINGS}/members/")
    page.locator("header .end summary").click()
    page.locator("header .end button", has_text="Sign out").click()
    page.wait_for_url("**/accounts/login/**")
    page.go_back()
    page.wait_for_url("**/accounts/login/**")
    assert "grace@example.org" not in page.content()


def test_the_command_of_a_new_key_holds_the_key_and_the_default(
    visit: Any, furnished: factories.Workspace
) -> None:
    visitor = visit()
    page = visitor.sign_in(furnished.owner)
    visitor.open(f"{SETTINGS}/app-keys/new/")
    page.locator("#id_name").fill("Terminal")
    page.locator("main button.primary").click()
    command = page.locator("#curl").inner_text()
    assert page.locator("#app-key").inner_text() in command
    assert (
        '"model": "default"' in command
    )  # the furnished workspace has a default, which the demo answers
    page.locator("[data-stored]").click()
    page.wait_for_url("**/app-keys/")
