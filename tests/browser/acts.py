"""What is done on a page before it is looked at: the states that come right after a mistake, and the dialog."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from tests import factories


def submit_empty(page: Page) -> None:
    """Past the browser's own checks, as an old browser or a program sends it."""
    page.evaluate("document.querySelectorAll('main form').forEach((form) => { form.noValidate = true; })")
    _send(page)


def wrong_password(page: Page) -> None:
    page.locator("input[name=username]").fill("nobody@nowhere.test")
    page.locator("input[name=password]").fill(factories.marked_secret("wrong password"))
    _send(page)


def short_password(page: Page) -> None:
    page.locator("input[name=name]").fill("New")
    page.locator("input[name=password]").fill("short")
    _send(page)


def submit_wrong_passwords(page: Page) -> None:
    page.locator("main input[type=password]").first.wait_for()
    for number, field in enumerate(page.locator("main input[type=password]").all()):
        field.fill(f"wrong{number}")
    with page.expect_navigation():
        page.locator("main form:has(input[type=password]) button[type=submit]").click()


def type_foreign_key(page: Page) -> None:
    """A key of another provider: refused before anything is sent."""
    page.locator("input[name=values-api_key]").fill(factories.marked_secret("foreign key", prefix="sk-ant-"))
    _send(page)


def type_private_address(page: Page) -> None:
    page.locator("input[name=values-base_url]").fill("https://127.0.0.1/v1")
    _send(page)


def open_dialog(page: Page) -> None:
    page.locator("#provider-openai_compatible").get_by_role("link", name="Set up").or_(
        page.locator("#provider-openai_compatible a[href$='/setup/']")
    ).first.click()
    page.locator("dialog[open] button.primary").wait_for()


def refuse_in_dialog(page: Page) -> None:
    open_dialog(page)
    page.locator("dialog input[name=values-base_url]").fill("https://127.0.0.1/v1")
    page.locator("dialog button.primary").click()
    page.locator("dialog [role=alert], dialog [aria-invalid=true]").first.wait_for()


def chat(page: Page) -> None:
    page.locator("#chat textarea").first.fill("Say hello")
    page.locator("#send").click()
    page.locator("#conversation [data-footer]:not(:empty)").first.wait_for()


def preview_import(page: Page) -> None:
    key = factories.marked_secret("pasted key", prefix="sk-ant-")
    again = page.locator("button[value=discard]")
    if again.count():  # the session keeps what was pasted before
        with page.expect_navigation():
            again.click()
    page.locator("textarea").fill(f"ANTHROPIC_API_KEY={key}\nOPENAI_API_KEY={factories.marked_secret('pasted key')}\nNOTHING=known")
    page.locator("main form button.primary").click()
    page.locator("table.import").wait_for()


def _send(page: Page) -> None:
    with page.expect_navigation():
        page.locator("main form button.primary").first.click()


ACTS: dict[str, Callable[[Page], None]] = {
    act.__name__: act
    for act in (
        submit_empty,
        wrong_password,
        short_password,
        submit_wrong_passwords,
        type_foreign_key,
        type_private_address,
        open_dialog,
        refuse_in_dialog,
        chat,
        preview_import,
    )
}
