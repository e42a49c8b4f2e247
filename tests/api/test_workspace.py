"""Workspace, members, invitations, app keys and audit trail through the REST API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tenants.auth.permissions import Role, Scope
from tenants.models import Membership, Tenant
from tenants.scope import tenant_scope
from tests import factories
from tests.api.conftest import Api, error


def member_id(workspace: factories.Workspace, role: Role) -> int:
    with tenant_scope(workspace.tenant):
        return Membership.objects.get(role=role).pk


def test_the_workspace_is_shown_and_renamed(api: Api, acme: factories.Workspace) -> None:
    assert api.get("/workspace/").json()["slug"] == "acme"
    assert api.patch("/workspace/", {"name": "Acme Labs"}).json()["name"] == "Acme Labs"
    assert Tenant.objects.get(slug="acme").name == "Acme Labs"


def test_how_long_calls_keep_what_they_need_later(api: Api) -> None:
    assert api.get("/workspace/").json()["kept_hours"] == 0
    assert api.patch("/workspace/", {"kept_hours": 24}).json()["kept_hours"] == 24
    for wrong in (5, -1, "24", True, None):
        error(api.patch("/workspace/", {"kept_hours": wrong}), 400, "invalid_request")
    assert api.get("/workspace/").json()["kept_hours"] == 24


def test_members(api: Api, acme: factories.Workspace) -> None:
    rows = api.get("/members/").json()["results"]
    assert {row["role"] for row in rows} == {"owner", "admin", "editor", "viewer"}
    pk = member_id(acme, Role.VIEWER)
    assert api.get(f"/members/{pk}/").json()["email"] == "viewer@acme.test"
    for _time in range(2):
        assert api.patch(f"/members/{pk}/", {"role": "editor"}).json()["role"] == "editor"
    assert api.delete(f"/members/{pk}/").status_code == 204
    error(api.get(f"/members/{pk}/"), 404, "no_such_member")


def test_a_key_gives_and_takes_no_role_above_its_own(api: Api, acme: factories.Workspace) -> None:
    error(
        api.patch(f"/members/{member_id(acme, Role.VIEWER)}/", {"role": "owner"}),
        403,
        "role_too_high",
    )
    error(api.delete(f"/members/{member_id(acme, Role.OWNER)}/"), 403, "role_too_high")
    error(
        api.patch(f"/members/{member_id(acme, Role.VIEWER)}/", {"role": "emperor"}),
        400,
        "invalid_request",
    )


def test_another_workspaces_members_are_not_there(other: Api, acme: factories.Workspace) -> None:
    pk = member_id(acme, Role.VIEWER)
    for response in (
        other.get(f"/members/{pk}/"),
        other.patch(f"/members/{pk}/", {"role": "editor"}),
        other.delete(f"/members/{pk}/"),
    ):
        error(response, 404, "no_such_member")
    error(other.get(f"/members/{10**30}/"), 404, "no_such_member")


def test_invitations(api: Api, other: Api, acme: factories.Workspace) -> None:
    response = api.post("/invitations/", {"email": "new@example.test", "role": "viewer"})
    assert response.status_code == 201
    found = response.json()
    assert found["url"].startswith("http")
    listed = api.get("/invitations/").json()["results"]
    assert [row["email"] for row in listed] == ["new@example.test"]
    assert "url" not in listed[0]
    error(
        api.post("/invitations/", {"email": "viewer@acme.test", "role": "viewer"}),
        409,
        "already_member",
    )
    error(api.post("/invitations/", {"email": "no address", "role": "viewer"}), 400, "bad_email")
    error(other.delete(f"/invitations/{found['id']}/"), 404, "no_such_invitation")
    assert api.delete(f"/invitations/{found['id']}/").status_code == 204
    error(api.delete(f"/invitations/{found['id']}/"), 404, "no_such_invitation")


def test_an_app_key_is_shown_once(api: Api) -> None:
    response = api.post(
        "/app-keys/", {"name": "CI", "scopes": ["read"], "allowed_providers": ["openai"]}
    )
    assert response.status_code == 201, response.content
    made = response.json()
    assert Api(made["key"]).get("/workspace/").status_code == 200
    shown = api.get(f"/app-keys/{made['id']}/")
    assert "key" not in shown.json()
    assert made["key"] not in shown.content.decode()
    assert made["key"].startswith(shown.json()["prefix"])
    error(api.post("/app-keys/", {"name": "CI", "scopes": ["read"]}), 409, "name_taken")
    assert api.delete(f"/app-keys/{made['id']}/").status_code == 204
    error(Api(made["key"]).get("/workspace/"), 401, "revoked_key")


def test_an_app_key_is_changed(api: Api, other: Api) -> None:
    made = api.post("/app-keys/", {"name": "CI", "scopes": ["read"]}).json()
    path = f"/app-keys/{made['id']}/"
    limits = {"allowed_providers": ["openai"], "expires": "2999-01-01T00:00:00Z"}
    changed = api.patch(path, {"name": "CI 2", **limits})
    assert changed.status_code == 200, changed.content
    assert changed.json() == {
        key: value for key, value in made.items() if key != "key"
    } | limits | {"name": "CI 2"} | {"last_used": None}
    error(api.patch(path, {"scopes": ["manage"]}), 400, "invalid_request")
    error(api.patch(path, {}), 400, "invalid_request")
    error(api.patch(path, {"expires": "2001-01-01T00:00:00Z"}), 400, "expires_in_past")
    error(other.patch(path, {"name": "Mine"}), 404, "no_such_app_key")
    assert api.patch(path, {"expires": None}).json()["expires"] is None
    assert Api(made["key"]).patch(path, {"name": "Mine"}).status_code == 403


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"name": ""}, "name"),
        ({"expires": "2001-01-01T00:00:00Z"}, "expires"),
        ({"expires": "soon"}, "expires"),
        ({"allowed_models": "all"}, "allowed_models"),
        ({"made_by_command": True}, "made_by_command"),
        ({"digest": "x"}, "digest"),
    ],
)
def test_app_keys_that_are_refused(api: Api, change: dict[str, object], param: str) -> None:
    response = api.post("/app-keys/", {"name": "CI", "scopes": ["read"]} | change)
    assert response.status_code == 400, response.content
    assert response.json()["error"]["param"].startswith(param)


def test_a_key_makes_no_wider_key(acme: factories.Workspace) -> None:
    manager = Api(
        factories.make_app_key(acme.tenant, name="Manager", scopes=[Scope.MANAGE, Scope.READ])[1]
    )
    error(manager.post("/app-keys/", {"name": "Wide", "scopes": ["use"]}), 403, "scope_too_wide")


def test_rotation_keeps_the_old_key_for_a_while(api: Api) -> None:
    old = api.post("/app-keys/", {"name": "CI", "scopes": ["read"]}).json()
    new = api.post(f"/app-keys/{old['id']}/rotate/", {"overlap_hours": 24}).json()
    assert new["name"] == "CI"
    for key in (old["key"], new["key"]):
        assert Api(key).get("/workspace/").status_code == 200
    newest = api.post(f"/app-keys/{new['id']}/rotate/").json()
    error(Api(new["key"]).get("/workspace/"), 401, "revoked_key")
    assert Api(newest["key"]).get("/workspace/").status_code == 200
    error(
        api.post(f"/app-keys/{newest['id']}/rotate/", {"overlap_hours": 169}),
        400,
        "invalid_request",
    )


def test_another_workspaces_keys_are_not_there(
    other: Api, api: Api, acme: factories.Workspace
) -> None:
    path = f"/app-keys/{acme.app_key[0].pk}/"
    assert other.get(path).status_code == 404
    assert other.delete(path).status_code == 404
    assert other.post(path + "rotate/").status_code == 404
    assert api.get(path).status_code == 200


def test_the_audit_trail_is_filtered_and_paged(api: Api, acme: factories.Workspace) -> None:
    for number in range(5):
        api.patch("/workspace/", {"name": f"Name {number}"})
    every = api.get("/audit/").json()["results"]
    assert every == sorted(every, key=lambda row: row["time"], reverse=True)
    renamed = api.get("/audit/?action=workspace.renamed&search=Everything").json()["results"]
    assert len(renamed) == 5
    assert renamed[0]["object_label"] == "Name 4"
    seen, after = [], None
    while True:
        found = api.get(f"/audit/?limit=2{'&after=' + after if after else ''}").json()
        seen += found["results"]
        after = found["next"]
        if after is None:
            break
    assert seen == every
    error(api.get("/audit/?after=nonsense"), 400, "invalid_request")


def test_the_audit_trail_of_others_is_not_shown(api: Api, other: Api) -> None:
    api.patch("/workspace/", {"name": "Only Acme's"})
    assert "Only Acme" not in other.get("/audit/").content.decode()


def test_who_may_read_what(acme: factories.Workspace) -> None:
    """A person's key is bound by the person's role."""
    viewer = factories.make_app_key(
        acme.tenant, name="Editor's", scopes=[Scope.READ], user=acme.editor
    )[1]
    error(Api(viewer).get("/audit/"), 403, "key_scope")
    assert Api(viewer).get("/members/").status_code == 200


def test_queries_do_not_grow(api: Api, acme: factories.Workspace) -> None:
    counts = []
    for number in range(3):
        factories.make_app_key(
            acme.tenant, name=f"Key {number}", expires=timezone.now() + timedelta(days=1)
        )
        factories.make_member(acme.tenant, Role.VIEWER, f"person{number}@acme.test")
        api.post("/invitations/", {"email": f"guest{number}@example.test", "role": "viewer"})
        found = []
        for path in ("/members/", "/app-keys/", "/invitations/", "/audit/"):
            with CaptureQueriesContext(connection) as captured:
                assert api.get(path).status_code == 200
            found.append(len(captured))
        counts.append(found)
    assert counts[0] == counts[2]
