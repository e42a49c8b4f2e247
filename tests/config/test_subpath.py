"""Mounted below a part of the path, everything still finds itself: pages, static files, redirects,
cookies, examples, the endpoint.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from django.test import Client, RequestFactory
from django.urls import get_script_prefix, set_script_prefix

from core.web.errors import server_error
from tests import factories
from tests.command_server import REPOSITORY
from tests.server import Server

PREFIX = "/hub"
ADDRESSES = re.compile(r'\s(?:href|src|action|formaction|hx-get|hx-post)="([^"#][^"]*)"')


@pytest.fixture
def mounted(settings: object) -> Iterator[None]:
    before = get_script_prefix()
    settings.FORCE_SCRIPT_NAME = PREFIX  # type: ignore[attr-defined]
    set_script_prefix(PREFIX)
    yield
    set_script_prefix(before)


@pytest.fixture
def browser(acme: factories.Workspace, mounted: None) -> Client:
    client = Client()
    client.force_login(acme.owner)
    return client


def text_of(answer: object) -> str:
    return unescape(answer.content.decode())  # type: ignore[attr-defined]


def test_examples_of_commands_name_the_endpoint_where_it_is(
    browser: Client, acme: factories.Workspace
) -> None:
    factories.make_credential(acme.tenant, provider="demo")
    assert "curl http://testserver/hub/v1/chat/completions" in text_of(browser.get("/t/acme/"))
    assert "http://testserver/hub/v1" in text_of(browser.get("/t/acme/settings/app-keys/"))
    made = browser.post(
        "/t/acme/settings/app-keys/new/", {"name": "CI", "scopes": ["use"], "days": "90"}
    )
    assert "http://testserver/hub/v1" in text_of(made)
    assert 'MODELKEEP_URL="http://testserver/hub"' in text_of(browser.get("/api/docs/"))
    assert browser.get("/api/schema/").json()["servers"] == [{"url": "/hub"}]


def test_without_a_prefix_they_name_the_root(acme: factories.Workspace) -> None:
    client = Client()
    client.force_login(acme.owner)
    factories.make_credential(acme.tenant, provider="demo")
    assert "curl http://testserver/v1/chat/completions" in text_of(client.get("/t/acme/"))
    assert client.get("/api/schema/").json()["servers"] == [{"url": "/"}]
    assert 'href="/"' in server_error(RequestFactory().get("/")).content.decode()


def test_the_page_of_a_mistake_leads_back_here(mounted: None) -> None:
    assert 'href="/hub/"' in server_error(RequestFactory().get("/")).content.decode()


def test_an_invitation_has_the_prefix_once(
    acme: factories.Workspace, mounted: None, settings: object
) -> None:
    settings.SITE_URL = "https://example.org/hub"  # type: ignore[attr-defined]
    answer = Client().post(
        "/api/v1/invitations/",
        {"email": "new@acme.test", "role": "viewer"},
        content_type="application/json",
        **acme.headers(),
    )
    assert answer.status_code == 201, answer.content
    assert answer.json()["url"].startswith("https://example.org/hub/accounts/invite/")


SETTINGS = """
import json
from config import settings as s
names = (
    "SITE_URL", "FORCE_SCRIPT_NAME", "STATIC_URL",
    "SESSION_COOKIE_NAME", "SESSION_COOKIE_PATH", "CSRF_TRUSTED_ORIGINS",
)
print(json.dumps({name: getattr(s, name) for name in names}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"SITE_URL": "https://example.org/hub/"},
        {"SITE_URL": "https://example.org", "SCRIPT_NAME": "/hub/"},
        {"SITE_URL": "https://example.org/hub", "SCRIPT_NAME": "hub"},
    ],
)
def test_the_prefix_comes_from_either_setting(given: dict[str, str]) -> None:
    assert read_settings(given) == {
        "SITE_URL": "https://example.org/hub",
        "FORCE_SCRIPT_NAME": "/hub",
        "STATIC_URL": "/hub/static/",
        "SESSION_COOKIE_NAME": "__Secure-session",  # __Host- would ask for the path /
        "SESSION_COOKIE_PATH": "/hub/",
        "CSRF_TRUSTED_ORIGINS": ["https://example.org"],
    }


@pytest.mark.slow
def test_at_the_root_cookies_are_bound_to_the_host() -> None:
    found = read_settings({"SITE_URL": "https://example.org/"})
    assert (found["SITE_URL"], found["FORCE_SCRIPT_NAME"], found["STATIC_URL"]) == (
        "https://example.org",
        None,
        "/static/",
    )
    assert (found["SESSION_COOKIE_NAME"], found["SESSION_COOKIE_PATH"]) == ("__Host-session", "/")


def read_settings(given: dict[str, str]) -> dict[str, object]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "MODELKEEP_READ_DOTENV": "0",
        "SECRET_KEY": "x" * 50,
    } | given
    done = subprocess.run(
        [sys.executable, "-c", SETTINGS],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


# -------------------------------------------------------------------------- a server below a prefix


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(env={"SCRIPT_NAME": PREFIX}) as running:
        yield running


def sign_in(server: Server) -> tuple[requests.Session, str]:
    session = requests.Session()
    session.trust_env = False
    page = session.get(f"{server.url}{PREFIX}/t/{server.workspace}/", timeout=30)
    assert urlsplit(page.url).path == f"{PREFIX}/accounts/login/", (
        "a redirect to the login page, below the prefix"
    )
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token
    form = {"username": server.owner, "password": server.password, "csrfmiddlewaretoken": token[1]}
    home = session.post(page.url, data=form, headers={"Referer": page.url}, timeout=30)
    assert (home.status_code, urlsplit(home.url).path) == (
        200,
        f"{PREFIX}/t/{server.workspace}/",
    ), home.text[:500]
    return session, home.text


def addresses_of(text: str, base: str) -> set[str]:
    found = {urljoin(base, unescape(one)) for one in ADDRESSES.findall(text)}
    return {one for one in found if urlsplit(one).netloc == urlsplit(base).netloc}


@pytest.mark.slow
def test_every_address_on_the_pages_is_below_the_prefix_and_answers(server: Server) -> None:
    session, text = sign_in(server)
    assert {cookie.path for cookie in session.cookies} == {f"{PREFIX}/"}
    base = f"{server.url}{PREFIX}/t/{server.workspace}/"
    waiting, seen = addresses_of(text, base), set[str]()
    while waiting - seen:
        address = min(waiting - seen)
        seen.add(address)
        assert urlsplit(address).path.startswith(f"{PREFIX}/"), address
        # Buttons' addresses take POST only; they exist all the same.
        answer = session.get(address, timeout=30, allow_redirects=False)
        assert answer.status_code in (200, 302, 405), f"{address}: {answer.status_code}"
        if answer.status_code == 302:
            waiting.add(urljoin(address, answer.headers["location"]))
        elif answer.headers["content-type"].startswith("text/html") and len(seen) < 120:
            assert "'self'" in answer.headers["content-security-policy"]
            waiting |= addresses_of(answer.text, address)
    paths = {urlsplit(one).path.removeprefix(PREFIX) for one in seen}
    assert any(path.startswith("/static/") and path.endswith(".css") for path in paths)
    assert {
        f"/t/{server.workspace}/settings/model-providers/",
        f"/t/{server.workspace}/settings/default-models/",
    } <= paths


@pytest.mark.slow
@pytest.mark.parametrize("prefix", [PREFIX, ""], ids=["kept", "taken off by the proxy"])
def test_the_endpoint_and_the_rest_api_answer_below_the_prefix(server: Server, prefix: str) -> None:
    headers = {"Authorization": f"Bearer {server.app_key}"}
    for path in ("/v1/models", "/api/v1/providers/", "/healthz", "/readyz"):
        answer = requests.get(f"{server.url}{prefix}{path}", headers=headers, timeout=30)
        assert answer.status_code == 200, f"{path}: {answer.text[:300]}"
    refused = requests.post(
        f"{server.url}{prefix}/v1/chat/completions",
        headers=headers,
        json={"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]},
        timeout=30,
    )
    assert refused.status_code == 424
    made = requests.post(
        f"{server.url}{prefix}/api/v1/providers/demo/credentials/",
        headers=headers,
        json={"name": f"Demo {prefix}", "values": {}},
        timeout=30,
    )
    assert made.status_code == 201, made.text
    answered = requests.post(
        f"{server.url}{prefix}/v1/chat/completions",
        headers=headers,
        json={"model": "demo/demo-chat", "messages": [{"role": "user", "content": "Hi"}]},
        timeout=30,
    )
    assert answered.json()["choices"][0]["message"]["content"]
    large = requests.post(
        f"{server.url}{prefix}/api/v1/providers/",
        headers=headers,
        data=b"x" * (3 * 1024 * 1024),
        timeout=30,
    )
    assert (large.status_code, large.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.slow
def test_htmx_is_sent_to_the_login_page_below_the_prefix(server: Server) -> None:
    page = f"{server.url}{PREFIX}/t/{server.workspace}/settings/model-providers/"
    headers = {"HX-Request": "true", "HX-Current-URL": page}
    answer = requests.get(page, headers=headers, timeout=30, allow_redirects=False)
    assert answer.status_code == 204
    assert (
        answer.headers["hx-redirect"]
        == f"{PREFIX}/accounts/login/?next={PREFIX}/t/{server.workspace}/settings/model-providers/"
    )
