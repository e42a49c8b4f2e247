"""The guides on the pages of app keys: whose model, and when the key is filled in."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from gateway.clients.snippets import PLACEHOLDER_KEY
from models_catalog.services import defaults
from tenants.audit.trail import COMMAND
from tenants.models import User
from tenants.scope import tenant_scope
from tests import factories, walk

pytestmark = pytest.mark.django_db
KEYS = "/t/{}/settings/app-keys/"


def page_of(workspace: factories.Workspace, **form: Any) -> str:
    """The page of the guides, or that of a new key."""
    client: Client = walk.browser(workspace.owner)
    address = KEYS.format(workspace.tenant.slug)
    if not form:
        return client.get(f"{address}connect/").content.decode()
    sent = {"name": "CI", "scopes": ["use"], "days": "90"} | form
    answer = client.post(f"{address}new/", sent)
    assert answer.status_code == 200
    return answer.content.decode()


def commands(text: str) -> str:
    """What is to be typed for Claude Code."""
    found = re.search(r'id="code-client-claude-code-0"[^>]*><code>(.*?)</code>', text, re.DOTALL)
    return found[1].replace("&#x27;", "'") if found else ""


@pytest.fixture
def with_default(acme: factories.Workspace) -> factories.Workspace:
    factories.make_credential(acme.tenant, provider="demo", values={})
    with tenant_scope(acme.tenant):
        defaults.set_default(
            tenant=acme.tenant, actor=COMMAND, scenario="reasoning", model="demo/demo-chat"
        )
    return acme


def test_without_a_key_there_is_a_placeholder(
    with_default: factories.Workspace, globex: factories.Workspace, stranger: User
) -> None:
    assert f"ANTHROPIC_AUTH_TOKEN='{PLACEHOLDER_KEY}'" in commands(page_of(with_default))
    assert "ANTHROPIC_MODEL='default'" in commands(page_of(with_default))
    # Nothing can be called yet; a default will be set.
    assert "ANTHROPIC_MODEL='default'" in commands(page_of(globex))
    factories.make_credential(globex.tenant, provider="demo", values={})
    assert "ANTHROPIC_MODEL='demo/demo-chat'" in commands(page_of(globex))
    assert walk.browser(stranger).get(f"{KEYS.format('acme')}connect/").status_code == 404


def test_a_new_key_is_filled_in(with_default: factories.Workspace) -> None:
    text = page_of(with_default, name="CI")
    key = re.search(r'id="app-key"[^>]*>(mk_live_\w+)<', text)
    assert key
    assert f"ANTHROPIC_AUTH_TOKEN='{key[1]}'" in commands(text)
    assert "ANTHROPIC_BASE_URL='http://testserver'" in commands(text)
    assert PLACEHOLDER_KEY not in text


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        ({"scopes": ["read"]}, False),
        ({"operations": ["embeddings"]}, False),
        ({"operations": ["embeddings", "chat.completions"]}, True),
        ({"models": "demo/demo-chat"}, True),
    ],
    ids=["reads", "embeds", "chats too", "one model"],
)
def test_a_key_that_may_not_chat_gets_no_guides(
    with_default: factories.Workspace, limits: dict[str, Any], shown: bool
) -> None:
    text = page_of(with_default, **limits)
    assert bool(commands(text)) == shown
