"""What is done on a page before it is looked at: the states that come right after a mistake, and
the dialog.
"""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from providers.operations.images import white_square
from tests import factories


def submit_empty(page: Page) -> None:
    """Past the browser's own checks, as an old browser or a program sends it."""
    page.evaluate(
        "document.querySelectorAll('main form').forEach((form) => { form.noValidate = true; })"
    )
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


def sign_in_too_often(page: Page) -> None:
    """An account of nobody, so that no other page waits. Where it is paused already, one try shows
    that.
    """
    for _attempt in range(7):
        page.locator("input[name=username]").fill("throttled@nowhere.test")
        page.locator("input[name=password]").fill(factories.marked_secret("wrong password"))
        _send(page)
        if page.locator(".note.warn").count():
            return


def lose_token(page: Page) -> None:
    """As a form that was open for very long, or on a site whose cookies are refused."""
    page.evaluate(
        "document.querySelectorAll('main [name=csrfmiddlewaretoken]').forEach((field) => "
        "field.remove())"
    )
    page.locator("input[name=username]").fill("nobody@nowhere.test")
    page.locator("input[name=password]").fill(factories.marked_secret("any password"))
    _send(page)


def make_app_key(page: Page) -> None:
    """Each time under another name: two keys of one name are refused."""
    page.locator("#id_name").fill(f"Notebook {factories.marked_secret(prefix='')[-6:]}")
    _send(page)
    page.locator("#app-key").wait_for()


def show_clients(page: Page) -> None:
    page.locator(".use-model summary").last.click()
    page.get_by_role("radio", name="Codex").check()
    page.locator("#code-client-codex-0").wait_for()


def invite(page: Page) -> None:
    """The same person each time: the new link ends the one of before."""
    page.locator("#id_email").fill("ada@example.org")
    _send(page)
    page.locator("#invite-link").wait_for()


def take_address(page: Page) -> None:
    page.locator("#id_slug").fill("fresh")
    _send(page)


def type_wrong_name(page: Page) -> None:
    page.locator("#id_typed").fill("another")
    with page.expect_navigation():
        page.locator("main form button.danger, main form button.primary").first.click()


def asks(action: str) -> Callable[[Page], None]:
    """Of an operators' list: the page that an action of its first row shows before it does
    anything.
    """

    def act(page: Page) -> None:
        page.locator("#result_list input.action-select").first.check()
        page.locator("select[name=action]").select_option(action)
        with page.expect_navigation():
            page.locator("button[name=index]").click()
        page.locator(".asks-first .submit-row").wait_for()

    return act


def type_foreign_key(page: Page) -> None:
    """A key of another provider: refused before anything is sent."""
    page.locator("input[name=values-api_key]").fill(
        factories.marked_secret("foreign key", prefix="sk-ant-")
    )
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


def open_long_dialog(page: Page) -> None:
    """The longest of the forms, with all that it can show."""
    page.locator("#provider-huggingface_hub a[href$='/setup/']").first.click()
    page.locator("dialog[open] details.advanced > summary").click()


def take_a_name(page: Page) -> None:
    """The name of another credential of the provider."""
    page.locator("main input[name=name]").fill("Backup")
    with page.expect_navigation():
        page.locator("main form[action$='/rename/'] button").click()


def preview_nothing(page: Page) -> None:
    page.locator("textarea").fill("DEBUG=true\nPORT=8000")
    _send(page)


def chat(page: Page) -> None:
    page.locator("#chat textarea").first.fill("Say hello")
    page.locator("#send").click()
    page.locator("#conversation [data-footer]:not(:empty)").first.wait_for()


def mistype_tools(page: Page) -> None:
    page.locator("#beside details:has([name=tools]) > summary").click()
    page.locator("#beside [name=tools]").fill("{")
    page.locator("#chat textarea").first.fill("Say hello")
    page.locator("#send").click()
    page.locator("#status [role=alert]").wait_for()


def embed(page: Page) -> None:
    page.locator("#ask textarea").fill("COFFEE\nTEA\nOAK CHAIR")
    _ask(page)


def rerank(page: Page) -> None:
    page.locator("#ask input[name=query]").fill("DRINKS")
    page.locator("#ask textarea").fill("OAK CHAIR\nCOFFEE")
    _ask(page)


def draw(page: Page) -> None:
    page.locator("#ask textarea").fill("A LIGHTHOUSE AT DUSK")
    page.locator("#ask input[name=n]").fill("3")
    page.locator("#ask button[type=submit]").click()
    page.locator("#result img").first.wait_for()


def edit(page: Page) -> None:
    picture = {"name": "square.png", "mimeType": "image/png", "buffer": white_square().data}
    page.locator("#edit input[name=images]").set_input_files([picture, picture])
    page.locator("#edit textarea").fill("MAKE IT NIGHT")
    page.locator("#edit button[type=submit]").click()
    page.locator("#edited img").first.wait_for()


def _ask(page: Page) -> None:
    page.locator("#ask button[type=submit]").click()
    page.locator("#result table").first.wait_for()


def hear(page: Page) -> None:
    silence = {
        "name": "recording.wav",
        "mimeType": "audio/wav",
        "buffer": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(30),
    }
    page.locator("#hear input[type=file]").set_input_files([silence])
    page.locator("#hear button[value=hear]").click()
    page.locator("#transcript").wait_for()


def show_as_table(page: Page) -> None:
    page.locator("main details.plain > summary").first.click()
    page.locator("main details.plain table").first.wait_for()


def preview_import(page: Page) -> None:
    key = factories.marked_secret("pasted key", prefix="sk-ant-")
    again = page.locator("button[value=discard]")
    if again.count():  # the session keeps what was pasted before
        with page.expect_navigation():
            again.click()
    page.locator("textarea").fill(
        f"ANTHROPIC_API_KEY={key}\n"
        f"OPENAI_API_KEY={factories.marked_secret('pasted key')}\nNOTHING=known"
    )
    _send(page)
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
        open_long_dialog,
        take_a_name,
        preview_nothing,
        chat,
        mistype_tools,
        embed,
        rerank,
        draw,
        edit,
        hear,
        show_as_table,
        preview_import,
        sign_in_too_often,
        lose_token,
        make_app_key,
        show_clients,
        invite,
        take_address,
        type_wrong_name,
    )
} | {
    f"ask_{action}": asks(action)
    for action in (
        "suspend",
        "rotate_key_pair",
        "grant_trial",
        "deactivate",
        "revoke",
        "grant_credits",
        "reset",
        "disable",
        "make_default",
    )
}
