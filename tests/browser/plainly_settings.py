"""Without scripts: the door, providers, credentials, models, defaults, import."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests import factories
from tests.browser.plainly import PROVIDERS, Walk, function, unfold
from tests.browser.site import sign_in

OPENAI = f"{PROVIDERS}openai/"
HOSTING = f"{PROVIDERS}openai_compatible/"


# -------------------------------------------------------------------------------------- at the door


@function("door", "wrong password refused")
def _(walk: Walk) -> None:
    walk.page.context.clear_cookies()
    walk.open("/accounts/login/?next=" + walk.base + "usage/")
    walk.fill(username=walk.space["viewer"], password="wrong")
    walk.press("Sign in")
    walk.says("Wrong e-mail address or password.")


@function("door", "sign in, led to where one wanted to go")
def _(walk: Walk) -> None:
    walk.fill(username=walk.space["viewer"], password=factories.PASSWORD)
    walk.press("Sign in")
    assert walk.page.url.endswith(walk.base + "usage/")


@function("door", "theme by the menu")
def _(walk: Walk) -> None:
    walk.page.locator("header .end summary").click()
    walk.press("Dark", within="header")
    expect(walk.page.locator("html")).to_have_attribute("data-theme", "dark")


@function("door", "switch of workspaces")
def _(walk: Walk) -> None:
    walk.page.locator("header details.menu summary").first.click()
    expect(
        walk.page.locator("header")
        .get_by_role("link", name=re.compile(walk.space["slug"], re.IGNORECASE))
        .first
    ).to_be_visible()
    walk.open("/workspaces/")
    walk.leave_by(walk.page.locator(f"main a[href='{walk.base}']").first)
    assert walk.page.url.endswith(walk.base)


@function("door", "search of the help")
def _(walk: Walk) -> None:
    walk.open("/help/")
    walk.page.locator("#help-q").fill("rotate")
    walk.press("Search")
    walk.says("found")
    walk.leave_by(walk.page.locator(".help-found a").first)
    expect(walk.page.locator("h1")).to_be_visible()


@function("door", "sign out")
def _(walk: Walk) -> None:
    walk.open()
    walk.page.locator("header .end summary").click()
    walk.press("Sign out", within="header")
    expect(walk.page.get_by_role("heading", name="Sign in")).to_be_visible()


@function("door", "language at the door")
def _(walk: Walk) -> None:
    walk.leave_by(walk.page.get_by_role("button", name="简体中文"))
    expect(walk.page.locator("html")).to_have_attribute("lang", "zh-hans")


# -------------------------------------------------------------------------------------------- setup


@function("setup", "search of providers")
def _(walk: Walk) -> None:
    page = walk.open(PROVIDERS)
    page.locator("#id_q").fill("anthro")
    walk.press("Filter")
    expect(page.locator("#provider-anthropic")).to_be_visible()
    expect(page.locator("#provider-openai")).to_have_count(0)
    page.locator("#id_q").fill("zzzz")
    walk.press("Filter")
    walk.says("No provider matches “zzzz”.")


# What the provider does, or what is typed in place of its address, and what the page says.
REFUSALS: dict[str, tuple[str, str, str]] = {
    "nothing typed": ("", "", "This field is required."),
    "a foreign key": ("status:401", "sk-ant-", "This looks like an Anthropic key"),
    "refused key": ("status:401", "sk-", "OpenAI refused this key (401 invalid_api_key)."),
    "not allowed": ("status:403", "sk-", "denied the request"),
    "wrong address": ("status:404", "sk-", "answered 404."),
    "a web page": ("html", "sk-", "does not answer as an API."),
    "limited": ("status:429", "sk-", "is currently limiting requests"),
    "out of order": ("status:503", "sk-", "could not check this key (503"),
    "no connection": ("close", "sk-", "Nothing was saved."),
}


def refuse(walk: Walk, mode: str, prefix: str, said: str) -> None:
    walk.site.fake.mode = mode or "ok"
    secret = factories.marked_secret("refused", prefix=prefix) if prefix else ""
    walk.fill(values__api_key=secret, values__base_url=walk.site.fake.url)
    if not prefix:
        walk.page.locator("main [name='values-api_key']").evaluate(
            "one => { one.form.noValidate = true; }"
        )
    walk.press("Check and save")
    walk.says(said)
    text = walk.page.content()
    assert not prefix or secret not in text
    assert walk.site.keeper.read(walk.space["slug"])["ProviderCredential"] == "0"
    walk.site.fake.reset()


for _what, _refusal in REFUSALS.items():

    @function("setup", f"refused: {_what}")
    def _(walk: Walk, refusal: tuple[str, str, str] = _refusal) -> None:
        walk.open(f"{OPENAI}setup/")
        refuse(walk, *refusal)


@function("setup", "refused: a private address")
def _(walk: Walk) -> None:
    walk.open(f"{HOSTING}setup/")
    walk.fill(values__base_url="https://127.0.0.1/v1", model="gpt")
    walk.press("Check and save")
    walk.says("does not have a public address.")


@function("setup", "a key without money: saved, and said")
def _(walk: Walk) -> None:
    walk.open(f"{PROVIDERS}deepseek/setup/")
    walk.site.fake.mode = "status:429::insufficient_quota"
    walk.fill(
        values__api_key=factories.marked_secret("no money"), values__base_url=walk.site.fake.url
    )
    walk.press("Check and save")
    walk.says("has no credit")
    walk.site.fake.reset()


@function("setup", "the demo, which needs nothing")
def _(walk: Walk) -> None:
    walk.open(PROVIDERS)
    walk.leave_by(walk.page.locator("#provider-demo a[href$='/setup/']"))
    walk.press("Set up")
    walk.says("Demo (built in) is set up.")


@function("setup", "a hosted model, and another one")
def _(walk: Walk) -> None:
    walk.open(f"{HOSTING}setup/")
    walk.fill(values__base_url=walk.site.fake.url + "/v1", model="gpt-4o-mini")
    walk.press("Save, then add another")
    walk.fill(model="gpt-6-luna")
    walk.press("Check and add")
    walk.says("gpt-6-luna")


@function("setup", "saved unchecked while the server is down")
def _(walk: Walk) -> None:
    walk.site.fake.mode = "status:503"
    walk.open(f"{HOSTING}setup/")
    walk.fill(values__base_url=walk.site.fake.url + "/v1", name="Second")
    walk.press("Save without checking")
    walk.site.fake.reset()
    walk.open(f"{HOSTING}credentials/")
    walk.says("Second")


# -------------------------------------------------------------------------------------- credentials


@function("credentials", "several keys of one provider")
def _(walk: Walk) -> None:
    for name in ("Default", "Second", "Third"):
        walk.set_up("openai", name)
    walk.open(f"{OPENAI}credentials/")
    walk.says("Default", "Standby 1", "Standby 2")


@function("credentials", "test")
def _(walk: Walk) -> None:
    walk.credential("Second").get_by_role("button", name="Test Second").click()
    walk.says("Second")
    expect(walk.page.locator("#messages .note")).to_be_visible()


@function("credentials", "rename")
def _(walk: Walk) -> None:
    walk.follow("Rename or replace Second")
    walk.fill(name="Reserve")
    walk.press("Rename")
    walk.open(f"{OPENAI}credentials/")
    expect(walk.credential("Reserve")).to_be_visible()


@function("credentials", "replace: refused, then done")
def _(walk: Walk) -> None:
    walk.follow("Rename or replace Reserve")
    for mode, said in (("status:401", "refused this key"), ("ok", "Reserve")):
        walk.site.fake.mode = mode
        walk.fill(values__api_key=factories.marked_secret("replaced"))
        walk.press("Check and replace")
        walk.says(said)
    walk.site.fake.reset()
    assert walk.page.url.endswith("/credentials/")


@function("credentials", "order of the standby keys")
def _(walk: Walk) -> None:
    before = walk.page.locator("li.credential strong").all_inner_texts()
    walk.press(f"Move {before[2]} up")
    assert walk.page.locator("li.credential strong").all_inner_texts() == [
        before[0],
        before[2],
        before[1],
    ]


@function("credentials", "another key is active")
def _(walk: Walk) -> None:
    walk.press("Make active Third")
    expect(walk.credential("Third").get_by_text("Active")).to_be_visible()


@function("credentials", "delete the active one and choose who follows")
def _(walk: Walk) -> None:
    walk.follow("Delete Third")
    walk.page.get_by_label("Reserve").check()
    walk.press("Delete the credential")
    expect(walk.credential("Third")).to_have_count(0)
    expect(walk.credential("Reserve").get_by_text("Active")).to_be_visible()


@function("credentials", "delete the last ones")
def _(walk: Walk) -> None:
    for name in ("Default", "Reserve"):
        walk.open(f"{OPENAI}credentials/")
        walk.follow(f"Delete {name}")
        walk.press("Delete the credential")
    walk.open(f"{OPENAI}credentials/")
    walk.says("No key of your own yet")


@function("trial", "trial or own key first", "furnished")
def _(walk: Walk) -> None:
    walk.set_up("anthropic")
    walk.open(f"{PROVIDERS}anthropic/credentials/")
    walk.page.get_by_label("Trial first").check()
    walk.press("Save")
    expect(walk.page.get_by_label("Trial first")).to_be_checked()


# ------------------------------------------------------------------------------------------- models


@function("models", "the list is fetched with the key")
def _(walk: Walk) -> None:
    walk.set_up("openai")
    walk.open(OPENAI)
    walk.says("gpt-4o-mini")


@function("models", "search and filter")
def _(walk: Walk) -> None:
    walk.fill(q="whisper")
    walk.press("Filter")
    walk.says("whisper-1")
    expect(walk.page.locator("main tbody tr")).to_have_count(1)
    walk.open(OPENAI)
    walk.choose("type", "embedding")
    walk.press("Filter")
    expect(walk.page.locator("main tbody")).not_to_contain_text("gpt-4o-mini")
    walk.says("text-embedding-3-small")


@function("models", "pages of a long list")
def _(walk: Walk) -> None:
    page = walk.visitor()
    sign_in(page, walk.site.url, walk.site.worlds["huge"]["owner"])
    page.goto(f"{walk.site.url}/t/huge/{HOSTING}")
    first = page.locator("main tbody tr").first.inner_text()
    with page.expect_navigation():
        page.get_by_role("link", name="Next").first.click()
    assert page.locator("main tbody tr").first.inner_text() != first


@function("models", "all providers' models on one page")
def _(walk: Walk) -> None:
    walk.open("models/")
    walk.fill(q="whisper")
    walk.press("Filter")
    expect(walk.page.locator("main tbody tr")).to_have_count(1)
    walk.says("whisper-1")


@function("models", "switch")
def _(walk: Walk) -> None:
    walk.open(f"{OPENAI}?q=whisper")
    switch = walk.page.get_by_role("switch").first
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    assert "q=whisper" in walk.page.url, "the search is kept"
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")


@function("models", "many at once")
def _(walk: Walk) -> None:
    walk.open(f"{OPENAI}?q=gpt-3.5")
    boxes = walk.page.locator("td.choose input")
    for box in boxes.all()[:2]:
        box.check()
    walk.press("Disable")
    expect(walk.page.locator("[role=switch][aria-checked=false]")).to_have_count(2)


@function("models", "refresh the list")
def _(walk: Walk) -> None:
    walk.open(OPENAI)
    walk.press("Refresh list")
    expect(walk.page.locator("#messages .note")).to_be_visible()


@function("models", "add one by name: refused, then done")
def _(walk: Walk) -> None:
    for mode, said in (("status:404", "Nothing was"), ("ok", "my-model")):
        walk.site.fake.mode = mode
        walk.open(f"{OPENAI}models/add/")
        walk.fill(model="my-model")
        walk.press("Check and add")
        walk.says(said)
    walk.site.fake.reset()


@function("models", "own values")
def _(walk: Walk) -> None:
    walk.open(f"{OPENAI}models/my-model/")
    walk.fill(label="House model", context_window="4096")
    walk.press("Save values")
    walk.open(f"{OPENAI}models/my-model/")
    walk.says("House model", "4,096")


@function("models", "test one")
def _(walk: Walk) -> None:
    walk.press("Test my-model")
    walk.says("answered in")


@function("models", "remove one")
def _(walk: Walk) -> None:
    walk.follow("Remove")
    walk.leave_by(walk.page.locator("main form button.danger"))
    walk.open(f"{OPENAI}?q=my-model")
    expect(walk.page.locator("main tbody tr")).to_have_count(0)


# ----------------------------------------------------------------------------------------- defaults


@function("defaults", "the suggestion")
def _(walk: Walk) -> None:
    walk.open(f"{PROVIDERS}demo/setup/")
    walk.press("Set up")
    walk.set_up("openai")
    walk.open("settings/default-models/")
    walk.choose("speech-to-text-model", "openai/whisper-1")
    walk.press("Use it Embedding model")
    walk.says("Default models saved.")
    expect(walk.page.locator("select[name='embedding-model']")).not_to_have_value("")
    expect(walk.page.locator("select[name='speech-to-text-model']")).to_have_value(
        "openai/whisper-1"
    )  # chosen, and not lost


@function("defaults", "choose and save")
def _(walk: Walk) -> None:
    walk.choose("reasoning-model", "openai/gpt-4o-mini")
    walk.press("Save defaults")
    expect(walk.page.locator("select[name='reasoning-model']")).to_have_value("openai/gpt-4o-mini")


@function("defaults", "fallbacks: add, order, remove")
def _(walk: Walk) -> None:
    for name in ("demo/demo-chat", "openai/gpt-3.5-turbo"):
        unfold(walk.page.locator("select[name^='reasoning-fallback']").last)
        walk.page.locator("select[name^='reasoning-fallback']").last.select_option(name)
        walk.press("Add System reasoning model")
    assert fallbacks(walk)[:2] == ["demo/demo-chat", "openai/gpt-3.5-turbo"]
    walk.press("Move openai/gpt-3.5-turbo up")
    assert fallbacks(walk)[:2] == ["openai/gpt-3.5-turbo", "demo/demo-chat"]
    walk.press("Remove openai/gpt-3.5-turbo")
    assert fallbacks(walk)[:1] == ["demo/demo-chat"]


def fallbacks(walk: Walk) -> list[str]:
    return [
        one.input_value() for one in walk.page.locator("select[name^='reasoning-fallback']").all()
    ]


@function("defaults", "test")
def _(walk: Walk) -> None:
    walk.press("Test System reasoning model")
    walk.says("answered in")


# ------------------------------------------------------------------------------------------- import


@function("import", "paste, look, save")
def _(walk: Walk) -> None:
    walk.open(f"{PROVIDERS}import/")
    key = factories.marked_secret("pasted without scripts")
    walk.fill(text=f"OPENAI_API_KEY={key}\nOPENAI_BASE_URL={walk.site.fake.url}\nNOTHING=known\n")
    walk.press("Review keys")
    expect(walk.page.locator("table.import")).to_contain_text("OpenAI")
    assert key not in walk.page.content()
    walk.press("Check and save", exact=False)
    expect(walk.page.locator("table.import .state").first).to_be_visible()


@function("import", "discard and start again")
def _(walk: Walk) -> None:
    walk.page.locator("main button[value=discard]").click()
    expect(walk.page.locator("main textarea")).to_be_visible()
