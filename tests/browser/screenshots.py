"""Pictures of every page in light, dark and at 320 pixels: `python -m tests.browser.screenshots FOLDER [NAME ...]`."""

# ruff: noqa: E402 - Django is set up before its models are imported
from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
# Playwright keeps an event loop in this thread; the ORM is used beside it, never inside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

import django

django.setup()

from django.contrib.staticfiles.testing import StaticLiveServerTestCase
from django.test.utils import get_runner, setup_test_environment, teardown_test_environment
from playwright.sync_api import Browser, Page

from tenants.models import Membership
from tenants.scope import all_tenants
from tests import factories
from tests.browser.chromium import Watch, browser
from tests.browser.scene import furnish

SETTINGS = "/t/acme/settings"
PROVIDERS = f"{SETTINGS}/model-providers"
PAGES = {
    "overview": "/t/acme/",
    "overview-new": "/t/fresh/",
    "providers": f"{PROVIDERS}/",
    "providers-new": "/t/fresh/settings/model-providers/",
    "providers-none": f"{PROVIDERS}/?q=zzzz",
    "setup-openai": f"{PROVIDERS}/openai/setup/",
    "setup-hosting": "/t/fresh/settings/model-providers/openai_compatible/setup/",
    "setup-demo": "/t/fresh/settings/model-providers/demo/setup/",
    "credentials": f"{PROVIDERS}/openai/credentials/",
    "credentials-none": f"{PROVIDERS}/anthropic/credentials/",
    "models": f"{PROVIDERS}/openai/",
    "models-empty": "/t/fresh/settings/model-providers/openai_compatible/",
    "model-add": f"{PROVIDERS}/openai_compatible/models/add/",
    "defaults": f"{SETTINGS}/default-models/",
    "defaults-new": "/t/fresh/settings/default-models/",
    "members": f"{SETTINGS}/members/",
    "member-invite": f"{SETTINGS}/members/invite/",
    "app-keys": f"{SETTINGS}/app-keys/",
    "app-keys-none": "/t/fresh/settings/app-keys/",
    "app-key-new": f"{SETTINGS}/app-keys/new/",
    "usage": "/t/acme/usage/",
    "usage-new": "/t/fresh/usage/",
    "calls": "/t/acme/usage/calls/",
    "audit": f"{SETTINGS}/audit/",
    "profile": "/accounts/profile/",
    "workspaces": "/workspaces/",
    "not-found": "/t/nowhere/",
    "admin": "/admin/",
    "admin-list": "/admin/tenants/tenant/",
}
WIDEST = """() => [...document.querySelectorAll("main *, header *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1
  && !e.closest(".scroll, .tabs, .side, pre")).slice(0, 3).map((e) => e.outerHTML.slice(0, 90))"""
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "dark"},
    "chinese": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light", "locale": "zh-CN"},
    "narrow": {"viewport": {"width": 320, "height": 700}, "color_scheme": "light"},
}


@contextmanager
def server() -> Iterator[str]:
    """A live server on a database of its own, with a furnished workspace and an empty one."""
    setup_test_environment()
    runner = get_runner(__import__("django.conf").conf.settings)(verbosity=0, interactive=False)
    old = runner.setup_databases()
    case = StaticLiveServerTestCase
    case.setUpClass()
    try:
        acme, fresh = factories.make_workspace("acme"), factories.make_workspace("fresh", name="Fresh start")
        with all_tenants():
            Membership.objects.create(tenant=fresh.tenant, user=acme.owner, role="owner")
        acme.owner.is_staff = acme.owner.is_superuser = True
        acme.owner.save()
        furnish(acme)
        yield case.live_server_url
    finally:
        case.tearDownClass()
        runner.teardown_databases(old)
        teardown_test_environment()


def sign_in(page: Page, address: str, email: str = "owner@acme.test") -> None:
    page.goto(f"{address}/accounts/login/")
    page.locator("input[name=username]").fill(email)
    page.locator("input[name=password]").fill(factories.PASSWORD)
    page.locator("main button[type=submit]").click()
    page.wait_for_load_state()


def take(running: Browser, address: str, folder: Path, look: str, wanted: list[str], watch: Watch) -> None:
    context = running.new_context(**{"locale": "en-GB", "reduced_motion": "reduce"} | LOOKS[look])
    page = context.new_page()
    watch.attach(page, address)
    page.goto(f"{address}/accounts/login/")
    page.screenshot(path=folder / f"sign-in-{look}.png", full_page=True)
    sign_in(page, address)
    for name, path in PAGES.items():
        if not wanted or name in wanted:
            page.goto(address + path)
            page.screenshot(path=folder / f"{name}-{look}.png", full_page=True)
            _report_width(page, name, look)
    if not wanted or "flows" in wanted:
        flows(page, address, folder, look)
    context.close()


def _report_width(page: Page, name: str, look: str) -> None:
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        print(f"{name} {look}: {wide} px too wide", page.evaluate(WIDEST))


def flows(page: Page, address: str, folder: Path, look: str) -> None:
    """States that take a click: the dialog, a refusal in it, a menu, a key that is shown once."""
    page.goto(f"{address}/t/fresh/settings/model-providers/")
    page.locator("#provider-openai_compatible a.btn.primary").click()
    page.locator("dialog[open]").wait_for()
    page.screenshot(path=folder / f"dialog-{look}.png")
    page.locator("dialog input[name=values-base_url]").fill("https://127.0.0.1/v1")
    page.locator("dialog button.primary").click()
    page.locator("dialog [role=alert], dialog .error").first.wait_for()
    page.screenshot(path=folder / f"dialog-error-{look}.png")
    page.goto(f"{address}/t/acme/")
    page.locator("header .end summary").click()
    page.screenshot(path=folder / f"menu-{look}.png")
    page.goto(f"{address}{SETTINGS}/app-keys/new/")
    page.locator("#id_name").fill(f"Notebook {look}")
    page.locator("main button.primary").click()
    page.locator("#app-key").wait_for()
    page.screenshot(path=folder / f"app-key-shown-{look}.png", full_page=True)
    page.locator("[data-stored]").click()
    page.goto(f"{address}{PROVIDERS}/openai/credentials/")
    page.locator(".credential .warnish").first.click()
    page.screenshot(path=folder / f"credential-delete-{look}.png", full_page=True)
    page.go_back()
    page.locator(".credential a[href*=edit]").first.click()
    page.screenshot(path=folder / f"credential-edit-{look}.png", full_page=True)


def main(folder: str, *wanted: str) -> int:
    target, watch = Path(folder), Watch()
    target.mkdir(parents=True, exist_ok=True)
    with server() as address, browser() as running:
        for look in LOOKS:
            take(running, address, target, look, list(wanted), watch)
    for line in [*watch.console, *watch.foreign]:
        print(line)
    return 1 if watch.console or watch.foreign else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
