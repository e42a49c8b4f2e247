"""Without scripts: people, app keys, the workspace, usage, the playground, a person's own,
operators.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import expect

from providers.operations.images import white_square
from tests import factories
from tests.browser.plainly import Walk, function, unfold
from tests.browser.site import sign_in

SOUND = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(30)


# ------------------------------------------------------------------------------------------ members


@function("members", "invite: refused, then made")
def _(walk: Walk) -> None:
    walk.open("settings/members/")
    walk.follow("Invite")
    walk.fill(email=walk.space["viewer"])
    walk.page.locator("main button.primary").click()
    expect(
        walk.page.get_by_role("alert").or_(walk.page.locator("[aria-invalid=true]")).first
    ).to_be_visible()
    walk.fill(email="newcomer@example.org")
    walk.page.locator("main button.primary").click()
    walk.says("Send this link")


@function("members", "join by the link")
def _(walk: Walk) -> None:
    link = walk.page.locator("#invite-link").inner_text().strip()
    page = walk.visitor()
    page.goto(walk.site.url + urlsplit(link).path)
    page.locator("input[name=name]").fill("New Comer")
    page.locator("input[name=password]").fill(factories.PASSWORD)
    page.locator("main button.primary").click()
    page.wait_for_url(f"**{walk.base}")


@function("members", "role")
def _(walk: Walk) -> None:
    walk.open("settings/members/")
    row = walk.page.locator("main tr", has_text="newcomer@example.org")
    row.locator("select").select_option("admin")
    row.locator("form.role-form button").click()
    expect(
        walk.page.locator("main tr", has_text="newcomer@example.org").locator("select")
    ).to_have_value("admin")


@function("members", "rate limits")
def _(walk: Walk) -> None:
    walk.follow("Rate limits newcomer@example.org")
    walk.fill(requests_per_minute="0")
    walk.page.locator("main form").evaluate("one => { one.noValidate = true; }")
    walk.press("Save")
    expect(walk.page.locator("[name=requests_per_minute]")).to_have_attribute(
        "aria-invalid", "true"
    )
    walk.fill(requests_per_minute="60")
    walk.press("Save")
    walk.says("Rate limits of newcomer@example.org saved")


@function("members", "remove")
def _(walk: Walk) -> None:
    walk.follow("Remove newcomer@example.org")
    walk.leave_by(walk.page.locator("main form button.danger"))
    expect(walk.page.locator("main table").first).not_to_contain_text("newcomer@example.org")


@function("members", "revoke an invitation")
def _(walk: Walk) -> None:
    walk.open("settings/members/invite/")
    walk.fill(email="other@example.org")
    walk.leave_by(walk.page.locator("main button.primary"))
    walk.follow("Done")
    row = walk.page.locator("main li", has_text="other@example.org")
    row.get_by_role("button").click()
    expect(row).to_have_count(0)


# ----------------------------------------------------------------------------------------- app keys


@function("app keys", "made: refused without a name, then shown once")
def _(walk: Walk) -> None:
    walk.open("settings/app-keys/")
    walk.follow("New app key")
    walk.page.locator("main form").evaluate("one => { one.noValidate = true; }")
    walk.press("Make the key")
    expect(walk.page.locator("[name=name]")).to_have_attribute("aria-invalid", "true")
    walk.fill(name="Plain")
    walk.press("Make the key")
    shown = walk.page.locator("#app-key").inner_text()
    assert shown.startswith("mk_live_")
    walk.follow("I've saved it")
    walk.says("Plain")
    assert shown not in walk.page.content()


@function("app keys", "change: a model that is none is refused, then the new name is shown")
def _(walk: Walk) -> None:
    walk.follow("Edit Plain")
    walk.page.locator("details.advanced > summary").click()
    walk.fill(name="Plainer", models="demo/none")
    walk.press("Save")
    expect(walk.page.locator("[name=models]")).to_have_attribute("aria-invalid", "true")
    walk.fill(models="")
    walk.press("Save")
    walk.says("Plainer")
    walk.follow("Edit Plainer")
    walk.fill(name="Plain")
    walk.press("Save")


@function("app keys", "rotate")
def _(walk: Walk) -> None:
    walk.follow("Rotate Plain")
    walk.press("Make the new key")
    expect(walk.page.locator("#app-key")).to_contain_text("mk_live_")
    walk.follow("I've saved it")


@function("app keys", "revoke")
def _(walk: Walk) -> None:
    count = walk.page.get_by_role("link", name="Revoke Plain").count()
    assert count
    walk.follow("Revoke Plain")
    walk.leave_by(walk.page.locator("main form button.danger"))
    expect(walk.page.get_by_role("link", name="Revoke Plain")).to_have_count(count - 1)


# -------------------------------------------------------------------------------------------- audit


@function("audit", "filter", "furnished")
def _(walk: Walk) -> None:
    walk.open("settings/audit/")
    walk.fill(q="grace")
    walk.press("Filter")
    walk.says("grace@example.org")
    expect(walk.page.locator("main tbody tr")).to_have_count(1)
    walk.fill(q="zzzz")
    walk.press("Filter")
    walk.says("No entry matches these filters.")
    walk.follow("Clear the filters")


@function("audit", "CSV")
def _(walk: Walk) -> None:
    assert "grace@example.org" in walk.saved_file("Download CSV")


# ---------------------------------------------------------------------------------------- workspace


@function("workspace", "name, address, language", "furnished")
def _(walk: Walk) -> None:
    walk.open("settings/workspace/")
    before, walk.space["slug"] = walk.base, walk.space["slug"] + "-new"
    walk.fill(name="Renamed", slug=walk.space["slug"])
    walk.choose("default_language", "zh-hans")
    walk.press("Save")
    walk.says("Renamed")
    walk.open(before + "settings/workspace/")
    assert walk.page.url.endswith(walk.base + "settings/workspace/"), (
        "the address of before leads on"
    )
    expect(walk.page.locator("main select[name=default_language]")).to_have_value("zh-hans")


@function("workspace", "rotate the key pair: wrong name, then step by step")
def _(walk: Walk) -> None:
    walk.follow("Rotate key pair")
    for typed in ("something", walk.space["slug"]):
        walk.page.locator("#id_typed").fill(typed)
        walk.leave_by(walk.page.locator("main form button.primary, main form button.danger").first)
    walk.says("0 of 2")
    for _step in range(5):
        if not walk.page.locator("#rotation form button").count():
            break
        walk.leave_by(walk.page.locator("#rotation form button"))
    walk.open("settings/workspace/")
    walk.says("2 of 2")


@function("workspace", "the only owner cannot leave, somebody else can")
def _(walk: Walk) -> None:
    walk.open("settings/workspace/leave/")
    walk.says("You are the only owner")
    page = walk.visitor()
    sign_in(page, walk.site.url, walk.space["viewer"])
    page.goto(f"{walk.site.url}{walk.base}settings/workspace/leave/")
    with page.expect_navigation():
        page.locator("main form button.danger").click()
    page.goto(walk.site.url + walk.base)
    expect(page.locator("body")).to_contain_text("404")


@function("workspace", "close")
def _(walk: Walk) -> None:
    walk.open("settings/workspace/close/")
    walk.page.locator("#id_typed").fill(walk.space["slug"])
    walk.press("Close the workspace")
    walk.open()
    expect(walk.page.locator("body")).not_to_contain_text("Getting started")


# -------------------------------------------------------------------------------------------- usage


@function("usage", "period and filters", "furnished")
def _(walk: Walk) -> None:
    walk.open("usage/")
    walk.choose("days", "7")
    walk.choose("provider", "openai")
    walk.press("Apply")
    walk.says("Last 7 days", "gpt-4o-mini")
    walk.follow("Clear the filters")


@function("usage", "tabs of the breakdown")
def _(walk: Walk) -> None:
    for name in ("Provider", "App key", "Member", "Served by", "Model"):
        walk.follow(name)
        expect(walk.page.locator("main nav.tabs [aria-current=page]")).to_have_text(name)


@function("usage", "the chart as a table")
def _(walk: Walk) -> None:
    walk.page.locator("details summary", has_text="Show as table").click()
    expect(walk.page.locator("details[open] table tbody tr").first).to_be_visible()


@function("usage", "CSV of the figures")
def _(walk: Walk) -> None:
    assert "gpt-4o-mini" in walk.saved_file("Download CSV")


@function("usage", "log, its filter, its pages")
def _(walk: Walk) -> None:
    walk.follow("All calls")
    walk.follow("Older")
    walk.follow("Newest")
    walk.choose("status", "error")
    walk.press("Filter")
    assert (
        walk.page.locator("main tbody .state.bad").count()
        == walk.page.locator("main tbody tr").count()
        > 0
    )


@function("usage", "CSV of the log")
def _(walk: Walk) -> None:
    content = walk.saved_file("Download CSV")
    assert "provider_auth_failed" in content
    assert content.count("\n") > 1


@function("usage", "one call")
def _(walk: Walk) -> None:
    walk.leave_by(walk.page.locator("main tbody tr td a").first)
    walk.says("provider_auth_failed")


# --------------------------------------------------------------------------------------- playground


@function("playground", "a question and another one", "furnished")
def _(walk: Walk) -> None:
    walk.open("playground/?model=demo/demo-chat")
    for number, text in enumerate(("Hello", "And more"), start=1):
        walk.page.get_by_label("Your message").fill(text)
        walk.press("Send")
        expect(walk.page.locator(".turn")).to_have_count(number)
    expect(walk.page.locator(".answer [data-text]").last).to_contain_text("You wrote: And more")


@function("playground", "ask again, and a new conversation")
def _(walk: Walk) -> None:
    walk.press("Ask again")
    expect(walk.page.locator(".turn")).to_have_count(2)
    walk.press("New conversation")
    expect(walk.page.locator(".turn")).to_have_count(0)


@function("playground", "a second model beside it")
def _(walk: Walk) -> None:
    walk.choose("beside", "openai/gpt-4o-mini")
    walk.press("Choose")
    walk.page.get_by_label("Your message").fill("Both of you")
    walk.press("Send")
    expect(walk.page.locator(".turn .answer")).to_have_count(2)


@function("playground", "parameters and the system prompt")
def _(walk: Walk) -> None:
    walk.open("playground/?model=demo/demo-chat")
    walk.page.get_by_label("Temperature").fill("0.3")
    unfold(walk.page.get_by_label("System prompt"))
    walk.page.get_by_label("System prompt").fill("Be short.")
    walk.page.get_by_label("Your message").fill("Hello")
    walk.press("Send")
    expect(walk.page.locator(".turn")).to_have_count(1)
    assert walk.page.get_by_label("Temperature").input_value() == "0.3"
    assert walk.page.get_by_label("System prompt").input_value() == "Be short."


@function("playground", "embeddings")
def _(walk: Walk) -> None:
    walk.open("playground/embeddings/?model=demo/demo-embedding")
    walk.page.get_by_label("Texts").fill("coffee\ntea")
    walk.press("Embed")
    expect(walk.page.locator("table.similar tbody tr")).to_have_count(2)


@function("playground", "images")
def _(walk: Walk) -> None:
    walk.open("playground/images/?model=demo/demo-image")
    walk.page.get_by_label("Description").fill("A lighthouse")
    walk.page.get_by_label("Number of images").fill("2")
    walk.press("Generate images")
    expect(walk.page.locator("#result img")).to_have_count(2)


@function("playground", "pictures are changed")
def _(walk: Walk) -> None:
    walk.open("playground/images/?model=demo/demo-image")
    picture = {"name": "a.png", "mimeType": "image/png", "buffer": white_square().data}
    walk.page.get_by_label("Pictures").set_input_files([picture, picture])
    walk.page.get_by_label("Mask").set_input_files(picture)
    walk.page.get_by_label("What to change").fill("Make it night")
    walk.press("Edit pictures")
    expect(walk.page.locator("#edited img")).to_have_count(1)


@function("playground", "rerank")
def _(walk: Walk) -> None:
    walk.open("playground/rerank/?model=demo/demo-rerank")
    walk.page.get_by_label("Query").fill("good coffee")
    walk.page.get_by_label("Documents").fill("a chair\ngood coffee is here")
    walk.press("Rank documents")
    expect(walk.page.locator("#result tbody tr").first).to_contain_text("good coffee is here")


@function("playground", "a file becomes text, and goes to the chat")
def _(walk: Walk) -> None:
    walk.open("playground/speech/?model=demo/demo-transcribe&voice_model=demo/demo-speech")
    expect(walk.page.locator("#recorder")).to_be_hidden()
    walk.page.locator("#hear input[type=file]").set_input_files(
        {"name": "sound.wav", "mimeType": "audio/wav", "buffer": SOUND}
    )
    walk.leave_by(walk.page.locator("#hear button[name=action]"))
    text = walk.page.locator("#transcript-text").inner_text()
    assert text
    walk.press("Send to chat")
    expect(walk.page.get_by_label("Your message")).to_have_value(text)


@function("playground", "a text is spoken")
def _(walk: Walk) -> None:
    walk.open("playground/speech/?voice_model=demo/demo-speech")
    walk.page.get_by_label("Text", exact=True).fill("Hello there")
    with walk.page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        walk.page.locator("#speak button[name=action]").click()
    assert answered.value.status == 200
    assert answered.value.headers["content-type"].startswith("audio/")


# ------------------------------------------------------------------------------------------ profile


@function("profile", "name, language, theme, time zone")
def _(walk: Walk) -> None:
    walk.open("/accounts/profile/")
    walk.fill(name="Somebody Else")
    walk.choose("language", "zh-hans")
    walk.choose("theme", "dark")
    walk.choose("time_zone", "Asia/Shanghai")
    walk.press("Save profile")
    expect(walk.page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(walk.page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(walk.page.locator("[name=time_zone]")).to_have_value("Asia/Shanghai")
    expect(walk.page.locator("[name=name]")).to_have_value("Somebody Else")
    walk.choose("language", "en")
    walk.leave_by(walk.page.locator("main form button.primary").first)


@function("profile", "password: refused, then changed")
def _(walk: Walk) -> None:
    new = "another correct horse battery"
    for old, said in (("wrong", "old password"), (factories.PASSWORD, "")):
        walk.fill(old_password=old, new_password1=new, new_password2=new)
        walk.press("Change password")
        if said:
            expect(walk.page.locator("[name=old_password]")).to_have_attribute(
                "aria-invalid", "true"
            )
    expect(walk.page.locator("#messages .note.ok, .note.ok").first).to_be_visible()
    other = walk.visitor()
    sign_in(other, walk.site.url, walk.space["owner"], new)


@function("profile", "signed out everywhere else")
def _(walk: Walk) -> None:
    other = walk.visitor()
    sign_in(other, walk.site.url, walk.space["owner"], "another correct horse battery")
    walk.open("/accounts/profile/")
    walk.press("Sign out everywhere else")
    other.goto(walk.site.url + walk.base)
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    walk.open()
    expect(walk.page.locator("nav.side")).to_be_visible()


# ---------------------------------------------------------------------------------------- operators


@function("operators", "suspend and resume a workspace", "furnished")
def _(walk: Walk) -> None:
    other = walk.site.make()
    for action, is_open in (("suspend", False), ("resume", True)):
        page = walk.open(f"/admin/tenants/tenant/?q={other['slug']}")
        page.locator("tr", has_text=other["slug"]).locator("input.action-select").first.check()
        page.locator("select[name=action]").select_option(action)
        walk.leave_by(page.locator("#changelist-form button[name=index]"))
        if page.locator("input[name=confirmed]").count():
            walk.leave_by(page.locator("input[type=submit].default"))
        visitor = walk.visitor()
        sign_in(visitor, walk.site.url, other["owner"])
        visitor.goto(f"{walk.site.url}/t/{other['slug']}/")
        expect(visitor.get_by_text("Getting started")).to_have_count(int(is_open))
