"""Every page comes with a strict policy, loads nothing from elsewhere, and is not kept by caches
where it shows masks.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import html5lib
import pytest
from django.test import Client

from tests import routes, walk
from tests.module_rows import for_one_test, module_rows
from tests.source import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
PAGES = walk.page_routes()
by_path = {"ids": lambda route: route.path}
OUTSIDE = re.compile(r"^(https?:)?//", re.IGNORECASE)
# Attributes that make a browser fetch something by itself.
FETCHING = {
    "src",
    "srcset",
    "poster",
    "data",
    "action",
    "formaction",
    "background",
    "ping",
    "manifest",
}


@pytest.fixture(scope="module")
def made_side(django_db_setup: None, django_db_blocker: Any) -> Iterator[walk.Side]:
    with module_rows(django_db_blocker):
        yield walk.make_side("acme", "acmark")


@pytest.fixture
def side(made_side: walk.Side) -> walk.Side:
    return for_one_test(made_side, made_side.workspace)


def policy(answer) -> dict[str, str]:
    parts = (
        part.strip().partition(" ") for part in answer.headers["Content-Security-Policy"].split(";")
    )
    return {name: value for name, _space, value in parts if name}


def check_headers(answer) -> None:
    rules = policy(answer)
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["style-src"] == "'self'"
    assert rules["base-uri"] == "'none'"
    assert "frame-ancestors" in rules
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "*" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["X-Frame-Options"] in ("DENY", "SAMEORIGIN")
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", answer.headers["X-Request-Id"])


def parsed(answer: Any) -> Any:
    return html5lib.parse(answer.content.decode(), namespaceHTMLElements=False)


def check_html(tree: Any) -> None:
    """No inline script or style, no handler, and nothing that a browser would fetch from another
    host.
    """
    for node in tree.iter():
        if not isinstance(node.tag, str):
            continue
        inline_script = (
            node.tag == "script"
            and "src" not in node.attrib
            and node.attrib.get("type") not in ("application/json",)
        )
        assert not inline_script, "an inline script"
        assert node.tag != "style", "an inline style sheet"
        for name, value in node.attrib.items():
            assert name != "style", f"<{node.tag} style=...>"
            assert not str(name).startswith("on"), f"<{node.tag} {name}=...>"
            fetches = name in FETCHING or (
                name == "href" and node.tag in ("link", "use", "image", "base")
            )
            assert not (fetches and OUTSIDE.match(value.strip())), f"<{node.tag} {name}={value}>"


@pytest.mark.slow
@pytest.mark.parametrize("route", PAGES, **by_path)
def test_a_page_is_strict_and_loads_nothing_from_elsewhere(
    route: routes.Route, side: walk.Side
) -> None:
    answer = walk.browser(side.workspace.owner).get(
        route.url(walk.page_entry(route).values(side)), follow=True
    )
    check_headers(answer)
    if (
        answer.status_code == 200
        and answer.headers["Content-Type"].startswith("text/html")
        and not answer.streaming
    ):
        check_html(parsed(answer))


@pytest.mark.slow
@pytest.mark.parametrize("route", PAGES, **by_path)
def test_a_page_with_masks_is_not_kept(route: routes.Route, side: walk.Side) -> None:
    answer = walk.browser(side.workspace.owner).get(route.url(walk.page_entry(route).values(side)))
    shows_mask = not answer.streaming and (
        side["credential"].mask in answer.content.decode()
        or side["app_key"].prefix in answer.content.decode()
    )
    if shows_mask:
        assert "no-store" in answer.headers.get("Cache-Control", ""), (
            "a page with masked keys must be no-store"
        )


@pytest.mark.parametrize("path", ["/accounts/profile/", "/workspaces/", "/t/acme/"])
def test_a_page_of_a_person_is_not_kept(path: str, side: walk.Side) -> None:
    answer = walk.browser(side.workspace.owner).get(path)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/accounts/login/", "/no-such-page", "/t/acme/", "/api/docs/"])
def test_pages_for_everybody_are_strict_too(path: str, client: Client) -> None:
    answer = client.get(path)
    check_headers(answer)
    if answer.headers["Content-Type"].startswith("text/html") and answer.content:
        check_html(parsed(answer))


@pytest.mark.parametrize("path", ["/api/v1/providers/", "/api/v1/no-such/"])
def test_the_api_is_never_kept(path: str, client: Client, side: walk.Side) -> None:
    for answer in (
        client.get(path),
        walk.call(client, side.workspace.app_key[1], "GET", path, None),
    ):
        check_headers(answer)
        assert "no-store" in answer.headers["Cache-Control"]


def test_a_request_id_of_a_proxy_is_kept_and_a_strange_one_is_not(client: Client) -> None:
    assert (
        client.get("/accounts/login/", HTTP_X_REQUEST_ID="proxy-0123456789").headers["X-Request-Id"]
        == "proxy-0123456789"
    )
    for strange in ("short", "x" * 65, "with blank 123", 'quote"12345'):
        assert (
            client.get("/accounts/login/", HTTP_X_REQUEST_ID=strange).headers["X-Request-Id"]
            != strange
        )


PRODUCTION = {
    "MODELKEEP_READ_DOTENV": "0",
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "SITE_URL": "https://hub.example.org",
    "ALLOWED_HOSTS": "hub.example.org",
    "DATABASE_URL": "postgresql://modelkeep@127.0.0.1:1/modelkeep",
    "MODELKEEP_DEMO_PROVIDER": "0",
    "TRUST_X_FORWARDED_PROTO": "1",
}


def in_production(tmp_path: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = keep | PRODUCTION | {"DATA_DIR": str(tmp_path)} | more
    # Secrets for PostgreSQL are only made where the database can be asked whether it knows others.
    own = environment | {"DATABASE_URL": ""}
    subprocess.run([sys.executable, "-m", "config.first_start"], cwd=ROOT, env=own, check=True)
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_deployment_check_is_clean(tmp_path: Path) -> None:
    done = in_production(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues" in done.stdout


@pytest.mark.slow
def test_https_makes_cookies_and_headers_strict(tmp_path: Path) -> None:
    script = """
import django; django.setup()
from django.test import Client
https = Client(HTTP_HOST="hub.example.org").get(
    "/accounts/login/", secure=True, HTTP_X_FORWARDED_PROTO="https"
)
plain = Client(HTTP_HOST="hub.example.org").get("/accounts/login/", HTTP_X_FORWARDED_PROTO="http")
assert plain.status_code == 301, plain
assert plain.headers["Location"].startswith("https://hub.example.org/"), plain
assert "max-age=31536000" in https.headers["Strict-Transport-Security"], https.headers
assert https.headers["Cross-Origin-Opener-Policy"] == "same-origin", https.headers
cookie = https.cookies["__Host-csrftoken"]
assert cookie["secure"] and cookie["httponly"] and cookie["samesite"] == "Lax", cookie
assert cookie["path"] == "/" and not cookie["domain"], cookie
print("strict")
"""
    database = f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    assert (
        in_production(
            tmp_path,
            "manage.py",
            "collectstatic",
            "--noinput",
            "--verbosity",
            "0",
            DATABASE_URL=database,
        ).returncode
        == 0
    )
    done = in_production(tmp_path, "-c", script, DATABASE_URL=database)
    assert done.stdout.strip() == "strict", done.stdout + done.stderr
