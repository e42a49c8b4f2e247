"""Pages without a browser: what every page holds, what never comes back, and how many queries it
takes.
"""

from __future__ import annotations

import ast
import gettext
import html
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polib
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.settings import BASE_DIR
from models_catalog.models import DefaultModel
from providers.declaration.spec import Reply
from providers.models import ProviderCredential
from providers.transport import sync_client as provider_client
from tenants.config_version import bump_version
from tenants.models import AppKey
from tenants.scope import all_tenants, tenant_scope
from tests import factories, source
from tests.browser.scene import furnish
from tests.core.pages import PROVIDERS, SETTINGS, parsed, signed_in
from tests.source import files, name_of

# On PostgreSQL, core/test_furnished_pages.py opens every page.
pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def browser(acme: factories.Workspace) -> Client:
    return signed_in(acme.owner)


def refuse_with(monkeypatch: pytest.MonkeyPatch, status: int, body: bytes) -> list[Any]:
    """Every provider answers so; the requests that were made."""
    made: list[Any] = []

    def send(call: Any, *args: Any, **kwargs: Any) -> Reply:
        made.append(call)
        return Reply(status, {"content-type": "application/json"}, body)

    monkeypatch.setattr(provider_client, "send", send)
    return made


# --------------------------------------------------------------------------------------- every page


@pytest.mark.parametrize(
    "path",
    [
        f"{PROVIDERS}/",
        f"{PROVIDERS}/openai/credentials/",
        f"{SETTINGS}/app-keys/",
        f"{SETTINGS}/members/",
    ],
)
def test_more_rows_take_no_more_queries(
    path: str, acme: factories.Workspace, browser: Client
) -> None:
    _one_of_each(acme, "one")
    browser.get(path)
    with CaptureQueriesContext(connection) as few:
        browser.get(path)
    _one_of_each(acme, "two")
    _one_of_each(acme, "three")
    with CaptureQueriesContext(connection) as many:
        browser.get(path)
    assert len(many) == len(few)


def _one_of_each(acme: factories.Workspace, name: str) -> None:
    factories.make_credential(acme.tenant, provider="openai", name=name, is_active=name == "one")
    factories.make_app_key(acme.tenant, name=name)
    factories.make_member(acme.tenant, factories.Role.EDITOR, f"{name}@acme.test")


def test_the_htmx_settings_keep_masks_out_of_the_browsers_storage(browser: Client) -> None:
    meta = next(
        one
        for one in parsed(browser.get("/t/acme/")).iter("meta")
        if one.get("name") == "htmx-config"
    )
    for rule in (
        '"allowEval":false',
        '"historyCacheSize":0',
        '"attributesToSettle":["class"]',
        '"selfRequestsOnly":true',
        '"code":"422"',
    ):
        assert rule in meta.get("content")


def test_error_pages_say_the_request_id(browser: Client) -> None:
    answer = browser.get("/t/nowhere/", headers={"X-Request-Id": "support-1234"})
    assert answer.status_code == 404
    assert b"support-1234" in answer.content


def test_a_page_that_fails_shows_the_id_and_nothing_else(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.dashboard.views.read_overview", lambda **_: 1 / 0)
    browser.raise_request_exception = False
    answer = browser.get("/t/acme/", headers={"X-Request-Id": "support-5678"})
    assert answer.status_code == 500
    assert b"support-5678" in answer.content
    assert b"ZeroDivision" not in answer.content


# -------------------------------------------------------------------------- signing in, preferences


def test_a_wrong_password_and_an_unknown_account_read_the_same(acme: factories.Workspace) -> None:
    answers = [
        Client().post("/accounts/login/", {"username": email, "password": "wrong"})
        for email in (acme.owner.email, "nobody@nowhere.test")
    ]
    assert {answer.status_code for answer in answers} == {422}
    words = {parsed(answer).findtext(".//div[@role='alert']//p") for answer in answers}
    assert words == {"Wrong e-mail address or password."}


def test_sign_in_is_throttled(acme: factories.Workspace) -> None:
    client = Client()
    for _attempt in range(5):
        client.post("/accounts/login/", {"username": acme.owner.email, "password": "wrong"})
    answer = client.post(
        "/accounts/login/", {"username": acme.owner.email, "password": factories.PASSWORD}
    )
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "_auth_user_id" not in client.session


def test_the_theme_is_rendered_by_the_server(browser: Client, acme: factories.Workspace) -> None:
    assert parsed(browser.get("/t/acme/")).get("data-theme") is None
    browser.post("/accounts/theme/", {"theme": "dark", "next": "/t/acme/"})
    assert parsed(browser.get("/t/acme/")).get("data-theme") == "dark"
    acme.owner.refresh_from_db()
    assert acme.owner.theme == "dark"


def test_a_theme_form_leads_to_no_other_host(browser: Client) -> None:
    answer = browser.post("/accounts/theme/", {"theme": "dark", "next": "https://evil.example/"})
    assert answer.headers["Location"] == "/"


def test_a_person_without_a_workspace_is_told_what_to_do(stranger: Any) -> None:
    answer = signed_in(stranger).get("/", follow=True)
    assert b"You are not a member of a workspace" in answer.content
    assert stranger.email.encode() in answer.content


def test_the_language_of_the_profile_is_served(browser: Client) -> None:
    browser.post("/accounts/profile/", {"name": "Ada", "language": "zh-hans", "theme": ""})
    assert parsed(browser.get("/t/acme/")).get("lang") == "zh-hans"


# ---------------------------------------------------------------------------------------- providers


REFUSED = (
    b'{"error": {"message": "Incorrect API key provided", "code": "invalid_api_key", '
    b'"type": "invalid_request_error"}}'
)


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "dialog"])
def test_a_refused_key_is_explained_and_never_comes_back(
    htmx: bool, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = refuse_with(monkeypatch, 401, REFUSED)
    secret = factories.marked_secret("typed into the setup form")
    headers = {"HX-Request": "true"} if htmx else {}
    answer = browser.post(
        f"{PROVIDERS}/openai/setup/", {"name": "Default", "values-api_key": secret}, headers=headers
    )
    assert answer.status_code == 422
    text = answer.content.decode()
    assert secret not in text
    assert "OpenAI refused this key (401 invalid_api_key)." in text
    assert "Nothing was saved." in text
    assert "GET https://api.openai.com/v1/models" in text
    assert answer.headers["X-Request-Id"] in text
    assert "HX-Request" in answer.headers["Vary"]
    assert made
    with all_tenants():
        assert not ProviderCredential.objects.exists()


def test_a_key_without_money_is_saved_and_says_so_with_its_codes(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (
        b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota", '
        b'"type": "insufficient_quota"}}'
    )
    refuse_with(monkeypatch, 429, body)
    values = {"name": "Default", "values-api_key": factories.marked_secret("without money")}
    answer = browser.post(f"{PROVIDERS}/openai/setup/", values, follow=True)
    assert (
        "the OpenAI account has no credit (429 insufficient_quota). Saved;"
        in answer.content.decode()
    )


def test_the_dialog_answers_with_the_new_list_and_closes(browser: Client) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{PROVIDERS}/?q=demo"}
    answer = browser.post(f"{PROVIDERS}/demo/setup/", {"name": "Default"}, headers=headers)
    assert answer.status_code == 200, answer.content[:500]
    assert answer.headers["HX-Reswap"] == "none"
    assert answer.headers["HX-Trigger-After-Settle"] == "modelkeep:saved"
    text = answer.content.decode()
    assert text.count('hx-swap-oob="true"') == 2
    assert 'id="provider-demo"' in text
    assert 'id="provider-openai"' not in text, "the list keeps the filter it had"


def test_two_letters_stand_in_for_brands(settings: Any, browser: Client) -> None:
    assert b"providers/openai.svg" in browser.get(f"{PROVIDERS}/").content
    settings.MODELKEEP_BRAND_LOGOS = False
    text = browser.get(f"{PROVIDERS}/").content
    assert b"providers/openai.svg" not in text
    assert b"monogram" in text


def test_a_provider_that_is_not_there_is_404(browser: Client) -> None:
    for path in (
        f"{PROVIDERS}/nothing/",
        f"{PROVIDERS}/nothing/setup/",
        f"{PROVIDERS}/nothing/credentials/",
    ):
        assert browser.get(path).status_code == 404


def test_saving_unchecked_is_for_self_hosted_servers_only(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_with(monkeypatch, 503, b"{}")
    form = {"name": "Default", "values-api_key": factories.marked_secret(), "unchecked": "1"}
    assert browser.post(f"{PROVIDERS}/openai/setup/", form).status_code == 422
    form = {
        "name": "Default",
        "values-base_url": "https://models.example.com/v1",
        "type": "reasoning",
        "model": "",
        "unchecked": "1",
    }
    assert browser.post(f"{PROVIDERS}/openai_compatible/setup/", form).status_code == 302


def test_a_hosting_provider_and_its_model_are_stored_together_or_not_at_all(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Iterator[tuple[int, bytes]] = iter(
        [
            (200, b'{"object": "list", "data": []}'),
            (404, b'{"error": {"message": "no such model"}}'),
        ]
    )

    def send(call: Any, *args: Any, **kwargs: Any) -> Reply:
        status, body = next(answers)
        return Reply(status, {"content-type": "application/json"}, body)

    monkeypatch.setattr(provider_client, "send", send)
    form = {
        "name": "Default",
        "values-base_url": "https://models.example.com/v1",
        "model": "llama",
        "type": "reasoning",
    }
    answer = browser.post(f"{PROVIDERS}/openai_compatible/setup/", form)
    assert answer.status_code == 422
    with all_tenants():
        assert not ProviderCredential.objects.exists()


# ------------------------------------------------------------------------------ models and defaults


def test_without_models_the_page_of_defaults_shows_one_way_out(
    acme: factories.Workspace, browser: Client
) -> None:
    path = f"{SETTINGS}/default-models/"
    text = browser.get(path).content.decode()
    assert "No model is enabled yet" in text
    assert "Save defaults" not in text
    assert f'class="btn primary" href="{PROVIDERS}/"' in text
    viewer = signed_in(acme.viewer).get(path).content.decode()
    assert "Only an owner or admin of this workspace can do this." in viewer
    assert f'class="btn primary" href="{PROVIDERS}/"' not in viewer
    furnish(acme)
    assert "Save defaults" in browser.get(path).content.decode()


# -------------------------------------------------------------------------------- app keys, members


def test_an_app_key_is_shown_once_and_not_kept_by_anybody(
    browser: Client, acme: factories.Workspace
) -> None:
    factories.make_credential(acme.tenant, provider="demo", name="Demo")
    limits = {"providers": ["demo"], "models": "demo/demo-chat"}
    answer = browser.post(
        f"{SETTINGS}/app-keys/new/", {"name": "Bot", "scopes": ["use"], "days": "90", **limits}
    )
    found = re.search(r"mk_live_\w{49}", answer.content.decode())
    assert found
    assert "no-store" in answer.headers["Cache-Control"]
    assert f"Bearer {found[0]}" in answer.content.decode(), "the command is ready to paste"
    assert found[0] not in browser.get(f"{SETTINGS}/app-keys/").content.decode()
    with tenant_scope(acme.tenant):
        row = AppKey.objects.get(name="Bot")
    assert (row.allowed_providers, row.allowed_models) == (["demo"], ["demo/demo-chat"])
    assert row.expires is not None
    assert row.expires > timezone.now() + timedelta(days=89)


def test_changing_app_keys_asks_for_the_password_again(browser: Client) -> None:
    session = browser.session
    session["proven"] = 0
    session.save()
    answer = browser.get(f"{SETTINGS}/app-keys/new/")
    assert answer.headers["Location"].startswith("/accounts/login/?next=")
    assert b"Confirm it's you" in browser.get(answer.headers["Location"]).content


def test_an_invited_person_makes_an_account_and_is_in(
    browser: Client, acme: factories.Workspace
) -> None:
    text = browser.post(
        f"{SETTINGS}/members/invite/", {"email": "new@acme.test", "role": "viewer"}
    ).content.decode()
    link = re.search(r"http://testserver(/accounts/invite/[\w-]+/)", text)
    assert link
    guest = Client()
    assert b"Join Acme" in guest.get(link[1]).content
    assert guest.post(link[1], {"name": "New", "password": "short"}).status_code == 422
    answer = guest.post(link[1], {"name": "New", "password": factories.PASSWORD})
    assert answer.headers["Location"] == "/t/acme/"
    assert guest.get("/t/acme/").status_code == 200
    assert Client().get(link[1]).status_code == 404, "a link works once"


def test_the_role_table_is_the_permission_table(browser: Client) -> None:
    from tenants.auth.permissions import ROLE_ACTIONS, Action

    tree = parsed(browser.get(f"{SETTINGS}/members/"))
    table = next(one for one in tree.iter("table") if one.get("class") == "matrix")
    rows = table.findall(".//tbody/tr")
    assert len(rows) == len(Action)
    ticks = sum("yes" in "".join(cell.itertext()) for row in rows for cell in row.findall("td"))
    assert ticks == sum(len(actions) for actions in ROLE_ACTIONS.values())


# ----------------------------------------------------------------------- overview, usage, operators


def test_the_checklist_is_ticked_by_data(acme: factories.Workspace, browser: Client) -> None:
    assert b"0 of 4 done" in browser.get("/t/acme/").content
    factories.make_credential(acme.tenant, provider="demo")
    factories.make_app_key(acme.tenant)
    assert b"2 of 4 done" in browser.get("/t/acme/").content


def test_the_example_names_a_model_that_answers(acme: factories.Workspace, browser: Client) -> None:
    assert "No model can be called yet." in browser.get("/t/acme/").content.decode()
    factories.make_credential(acme.tenant, provider="demo")
    bump_version(
        acme.tenant.pk
    )  # as every change of what can be called does: the page keeps its example until then
    text = html.unescape(browser.get("/t/acme/").content.decode())
    assert '{"model": "demo/demo-chat",' in text
    assert "No default model is set" in text
    with tenant_scope(acme.tenant):
        DefaultModel.objects.create(
            tenant=acme.tenant, scenario="reasoning", model="demo/demo-chat"
        )
    bump_version(acme.tenant.pk)
    text = html.unescape(browser.get("/t/acme/").content.decode())
    assert '{"model": "default",' in text
    assert "No default model is set" not in text


# -------------------------------------------------------------------------------------- translation


def test_the_chinese_texts_are_complete_and_compiled() -> None:
    """An empty or fuzzy text would silently be English; the compiled file is what is served."""
    source = polib.pofile(BASE_DIR / "locale/zh_Hans/LC_MESSAGES/django.po")
    assert source
    assert not source.metadata_is_fuzzy
    assert source.untranslated_entries() == source.fuzzy_entries() == []
    assert len({entry.msgid_with_context for entry in source}) == len(source), "some are twice"
    with (BASE_DIR / "locale/zh_Hans/LC_MESSAGES/django.mo").open("rb") as compiled:
        catalog = gettext.GNUTranslations(compiled)
    assert catalog.gettext("Model providers") == "模型供应商"
    assert catalog.ngettext("%(n)s model", "%(n)s models", 3) == "%(n)s 个模型"


def texts_in_f_strings(path: Path) -> list[str]:
    return [
        ast.unparse(call)
        for text in source.nodes(path)
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call) and re.search(r"^_$|gettext", getattr(call.func, "id", ""))
    ]


@pytest.mark.slow
@pytest.mark.one_database
def test_no_text_hides_in_an_f_string() -> None:
    """makemessages does not look there: the next run would drop the translation."""
    assert {name_of(path): texts for path in files() if (texts := texts_in_f_strings(path))} == {}


def test_every_text_goes_by_a_name_that_is_collected() -> None:
    """makemessages knows the functions' own names and `_`; a text behind any other alias would stay
    English unnoticed.
    """
    aliases = re.compile(r"import \w*gettext\w* as (?!_\n)\w+")
    assert [
        name_of(path) for path in files() if aliases.search(path.read_text(encoding="utf-8"))
    ] == []


def test_what_a_field_asks_for_is_chinese_too(acme: factories.Workspace, browser: Client) -> None:
    browser.post("/accounts/profile/", {"name": "", "language": "zh-hans", "theme": ""})
    assert "以 sk- 开头" in browser.get(f"{PROVIDERS}/openai/setup/").content.decode()


# Names and codes that are the same in every language.
NAMES = re.compile(
    r"Modelkeep|OpenAI|Anthropic|Demo|ChatGLM|GLM|Zhipu|Claude|GPT|API|REST|Embedding|vLLM|"
    r"Ollama|LM Studio|llama\.cpp|Xinference|token|HTTP|English|Acme"
)


@pytest.mark.parametrize(
    "path",
    [
        "/t/acme/",
        f"{PROVIDERS}/",
        f"{SETTINGS}/default-models/",
        f"{SETTINGS}/members/",
        "/t/acme/usage/",
    ],
)
def test_no_english_sentence_is_left_in_chinese(
    path: str, acme: factories.Workspace, browser: Client
) -> None:
    browser.post("/accounts/profile/", {"name": "", "language": "zh-hans", "theme": ""})
    tree = parsed(browser.get(path))
    assert tree.get("lang") == "zh-hans"
    texts = [
        one.text or ""
        for one in tree.find("body").iter()
        if isinstance(one.tag, str) and one.tag not in ("code", "script", "option")
    ]
    left = [
        text.strip()
        for text in texts
        if re.search(r"[a-z]{3,} [a-z]{2,} [a-z]{2,}", NAMES.sub("", text))
    ]
    assert left == []
