"""What a narrow app key may do in the REST API: no more than under /v1, and nothing that outlives
or outgrows it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tenants.auth.permissions import Role, Scope
from tenants.models import AppKey, AuditEntry, Invitation, Membership
from tenants.scope import tenant_scope
from tests import factories
from tests.api.conftest import Api, error

READ_AND_CHANGE = [Scope.READ, Scope.MANAGE]


def narrow(workspace: factories.Workspace, **limits: Any) -> Api:
    values: dict[str, Any] = {"scopes": READ_AND_CHANGE} | limits
    return Api(factories.make_app_key(workspace.tenant, name="Narrow", **values)[1])


@pytest.fixture
def one_provider(acme: factories.Workspace) -> Api:
    for provider in ("openai", "anthropic"):
        factories.make_credential(acme.tenant, provider=provider)
    return narrow(acme, allowed_providers=["openai"])


@pytest.fixture
def one_model(one_provider: Api, acme: factories.Workspace) -> Api:
    values: dict[str, Any] = {"scopes": READ_AND_CHANGE, "allowed_models": ["openai/gpt-4o"]}
    return Api(factories.make_app_key(acme.tenant, name="One model", **values)[1])


def test_a_key_of_one_provider_sees_that_one(one_provider: Api) -> None:
    assert [row["slug"] for row in one_provider.get("/providers/").json()["results"]] == ["openai"]
    models = one_provider.get("/models/").json()["results"]
    assert {row["provider"] for row in models} == {"openai"}
    assert one_provider.get("/providers/openai/credentials/").json()["results"]
    for path in ("/providers/anthropic/", "/providers/anthropic/credentials/"):
        error(one_provider.get(path), 403, "key_scope")
    change = {"enabled": False}
    error(one_provider.patch("/models/anthropic/claude-x/", change), 403, "key_scope")
    error(one_provider.post("/providers/anthropic/refresh/", {}), 403, "key_scope")


def test_a_key_of_one_model_sees_that_one_and_leaves_the_provider_alone(one_model: Api) -> None:
    assert [row["id"] for row in one_model.get("/models/").json()["results"]] == ["openai/gpt-4o"]
    assert one_model.patch("/models/openai/gpt-4o/", {"enabled": False}).status_code == 200
    error(one_model.patch("/models/openai/gpt-4o-mini/", {"enabled": False}), 403, "key_scope")
    new = {"model": "other", "type": "reasoning", "values": {}, "check": False}
    error(one_model.post("/providers/openai/models/", new), 403, "key_scope")
    credential = {"name": "Mine", "values": {"api_key": "sk-x"}, "check": False}
    error(one_model.post("/providers/openai/credentials/", credential), 403, "key_scope")
    error(one_model.put("/providers/openai/source-order/", {"order": ["trial"]}), 403, "key_scope")


@pytest.mark.parametrize(
    "path",
    [
        "/members/",
        "/invitations/",
        "/audit/",
        "/usage/calls/",
        "/usage/summary/",
        "/trials/",
        "/default-models/",
        "/app-keys/",
    ],
)
def test_what_concerns_the_whole_workspace_is_closed_to_a_limited_key(
    one_provider: Api, path: str
) -> None:
    error(one_provider.get(path), 403, "key_scope")


def test_a_key_with_a_limit_invites_nobody(acme: factories.Workspace) -> None:
    soon = timezone.now() + timedelta(days=1)
    for limits in (
        {"allowed_operations": ["embeddings"]},
        {"expires": soon},
        {"allowed_providers": ["openai"]},
    ):
        api = narrow(acme, scopes=list(Scope), **limits)
        answer = api.post("/invitations/", {"email": "x@evil.test", "role": "viewer"})
        assert answer.status_code == 403, limits
        with tenant_scope(acme.tenant):
            AppKey.objects.filter(name="Narrow").update(revoked=timezone.now())
            assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    ("scopes", "role", "allowed"),
    [
        ([Scope.MANAGE], "admin", False),
        ([Scope.MANAGE], "editor", False),
        ([Scope.MANAGE], "viewer", True),
        (list(Scope), "admin", True),
        (list(Scope), "owner", False),
    ],
)
def test_a_key_gives_no_role_that_may_do_more_than_itself(
    acme: factories.Workspace, scopes: list[Scope], role: str, allowed: bool
) -> None:
    api = narrow(acme, scopes=scopes)
    with tenant_scope(acme.tenant):
        member = Membership.objects.get(role=Role.EDITOR).pk
    invited = api.post("/invitations/", {"email": "x@example.test", "role": role})
    changed = api.patch(f"/members/{member}/", {"role": role})
    assert (invited.status_code, changed.status_code) == ((201, 200) if allowed else (403, 403))


def test_a_key_makes_no_key_that_is_valid_for_longer(acme: factories.Workspace) -> None:
    soon = timezone.now() + timedelta(hours=1)
    api = narrow(acme, expires=soon)
    child = api.post("/app-keys/", {"name": "Child", "scopes": ["manage"]})
    assert child.status_code == 201, child.content
    with tenant_scope(acme.tenant):
        assert AppKey.objects.get(name="Child").expires == soon
    later = (soon + timedelta(seconds=1)).isoformat()
    body = {"name": "Later", "scopes": ["manage"], "expires": later}
    assert error(api.post("/app-keys/", body), 403, "limits_too_wide")["param"] == "expires"
    eternal = factories.make_app_key(acme.tenant, name="Eternal", scopes=[Scope.MANAGE])[0]
    error(api.post(f"/app-keys/{eternal.pk}/rotate/", {}), 403, "limits_too_wide")


def test_what_a_key_made_ends_with_it(
    api: Api, acme: factories.Workspace, globex: factories.Workspace
) -> None:
    parent = narrow(acme, scopes=list(Scope))
    child = parent.post("/app-keys/", {"name": "Child", "scopes": ["read", "manage"]}).json()
    grandchild = Api(child["key"]).post("/app-keys/", {"name": "Grandchild", "scopes": ["read"]})
    sibling = api.post("/app-keys/", {"name": "Sibling", "scopes": ["read"]}).json()
    other = Api(globex.app_key[1])
    parent.post("/invitations/", {"email": "x@example.test", "role": "viewer"})
    api.post("/invitations/", {"email": "y@example.test", "role": "viewer"})
    with tenant_scope(acme.tenant):
        narrow_id = AppKey.objects.get(name="Narrow").pk
    assert api.delete(f"/app-keys/{narrow_id}/").status_code == 204
    for ended in (child["key"], grandchild.json()["key"]):
        error(Api(ended).get("/workspace/"), 401, "revoked_key")
    for alive in (Api(sibling["key"]), api, other):
        assert alive.get("/workspace/").status_code == 200
    with tenant_scope(acme.tenant):
        assert [row.email for row in Invitation.objects.all()] == ["y@example.test"]
        revoked = AuditEntry.objects.filter(action="app_key.revoked")
        assert {row.object_label for row in revoked} == {"Narrow", "Child", "Grandchild"}


def test_a_key_that_was_rotated_still_answers_for_what_it_made(
    api: Api, acme: factories.Workspace
) -> None:
    parent = narrow(acme, scopes=list(Scope))
    child = parent.post("/app-keys/", {"name": "Child", "scopes": ["read"]}).json()
    with tenant_scope(acme.tenant):
        old_id = AppKey.objects.get(name="Narrow").pk
    new = parent.post(f"/app-keys/{old_id}/rotate/", {"overlap_hours": 1}).json()
    taken = Api(new["key"]).post(f"/app-keys/{acme.app_key[0].pk}/rotate/", {}).json()
    assert api.get("/workspace/").status_code == 401
    with tenant_scope(acme.tenant):
        owner = Api(factories.make_app_key(acme.tenant, name="Owner's")[1])
    assert owner.delete(f"/app-keys/{new['id']}/").status_code == 204
    for ended in (child["key"], taken["key"]):
        error(Api(ended).get("/workspace/"), 401, "revoked_key")


def test_nobody_is_shown_another_persons_key(acme: factories.Workspace) -> None:
    editors, _text = factories.make_app_key(
        acme.tenant, name="Editor's", scopes=[Scope.USE], user=acme.editor
    )
    admins = Api(factories.make_app_key(acme.tenant, name="Admin's", user=acme.admin)[1])
    commands = Api(acme.app_key[1])
    for api in (admins, commands):
        error(api.post(f"/app-keys/{editors.pk}/rotate/", {}), 403, "not_your_key")
    assert admins.delete(f"/app-keys/{editors.pk}/").status_code == 204
