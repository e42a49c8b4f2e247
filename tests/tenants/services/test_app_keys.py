"""App keys: never wider than who makes them, shown once, rotated with an overlap, revoked at
once.
"""

from __future__ import annotations

import inspect
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from core.errors import Conflict, NotAllowed, NotFound, ServiceError
from tenants.audit.trail import COMMAND, Actor, actor_of
from tenants.auth.headers import BadCredential
from tenants.auth.permissions import Role, Scope
from tenants.auth.principal import find_principal
from tenants.crypto.digest_key import app_key_digest
from tenants.models import AppKey, AuditEntry, Membership, User
from tenants.scope import tenant_scope
from tenants.services import app_keys
from tests.factories import Workspace, make_app_key
from tests.tenants.services.test_services import acting

ALL = list(Scope)


def create(workspace: Workspace, actor: Actor, **changed: Any) -> tuple[AppKey, str]:
    values: dict[str, Any] = {"name": "Mine", "scopes": [Scope.USE]} | changed
    with tenant_scope(workspace.tenant):
        return app_keys.create_app_key(tenant=workspace.tenant, actor=actor, **values)


def acting_key(workspace: Workspace, **limits: Any) -> Actor:
    """The actor of a request that came with an app key."""
    _row, text = make_app_key(workspace.tenant, name=f"Acting {len(limits)}", **limits)

    class Request:
        META = {"REMOTE_ADDR": "192.0.2.7"}
        principal = find_principal({"x-api-key": text})

    return actor_of(Request())  # type: ignore[arg-type]


def works(text: str) -> bool:
    try:
        find_principal({"x-api-key": text})
    except BadCredential:
        return False
    return True


class TestCreating:
    def test_what_is_stored(self, acme: Workspace) -> None:
        row, text = create(
            acme,
            acting(acme, Role.EDITOR),
            scopes=["use", "read"],
            allowed_models=["b/c", "a/b", "a/b"],
        )
        assert (row.digest, row.prefix) == (app_key_digest(text), text[:12])
        assert (row.scopes, row.allowed_models, row.allowed_providers) == (
            ["read", "use"],
            ["a/b", "b/c"],
            [],
        )
        assert (row.created_by_id, row.made_by_command) == (acme.editor.pk, False)
        with tenant_scope(acme.tenant):
            entry = AuditEntry.objects.get(action="app_key.created")
            stored = AppKey.objects.filter(pk=row.pk).values().get()
        assert text not in str(stored)
        assert entry.details == {"prefix": row.prefix, "scopes": ["read", "use"]}

    @pytest.mark.parametrize(
        ("role", "scopes", "allowed"),
        [
            (Role.OWNER, ALL, True),
            (Role.ADMIN, ALL, True),
            (Role.EDITOR, [Scope.USE, Scope.READ], True),
            (Role.EDITOR, [Scope.MANAGE], False),
            (Role.VIEWER, [Scope.READ], False),
        ],
    )
    def test_it_is_never_wider_than_its_maker(
        self, acme: Workspace, role: Role, scopes: list[Scope], allowed: bool
    ) -> None:
        if allowed:
            create(acme, acting(acme, role), scopes=scopes)
            return
        with pytest.raises(NotAllowed):
            create(acme, acting(acme, role), scopes=scopes)

    def test_the_role_of_now_counts_not_the_one_of_the_request(self, acme: Workspace) -> None:
        with tenant_scope(acme.tenant):
            Membership.objects.filter(user=acme.admin).update(role=Role.VIEWER)
        with pytest.raises(NotAllowed):
            create(acme, acting(acme, Role.ADMIN))

    def test_a_stranger_makes_none(self, acme: Workspace, stranger: User) -> None:
        with pytest.raises(NotAllowed):
            create(acme, Actor(stranger.email, stranger.pk, role=Role.OWNER))
        with pytest.raises(NotAllowed):
            create(acme, Actor("system"))

    def test_for_somebody_else(self, acme: Workspace) -> None:
        row, _text = create(acme, acting(acme, Role.ADMIN), user=acme.editor)
        assert row.created_by_id == acme.editor.pk
        with pytest.raises(NotAllowed):
            create(acme, acting(acme, Role.EDITOR), user=acme.admin, name="Other")
        with pytest.raises(NotAllowed):
            create(acme, acting(acme, Role.ADMIN), user=acme.editor, name="Other", scopes=ALL)

    def test_a_command_makes_one_without_a_person(self, acme: Workspace) -> None:
        row, text = create(acme, COMMAND, scopes=ALL)
        assert (row.created_by_id, row.made_by_command) == (None, True)
        assert works(text)

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"name": " "}, "name"),
            ({"name": "x" * 81}, "name"),
            ({"name": "a\nb"}, "name"),
            ({"scopes": []}, "scopes"),
            ({"scopes": ["admin"]}, "scopes"),
            ({"allowed_models": [""]}, "allowed_models"),
            ({"allowed_providers": ["x" * 300]}, "allowed_providers"),
            ({"allowed_models": [f"a/{number}" for number in range(201)]}, "allowed_models"),
            ({"expires": timezone.now() - timedelta(seconds=1)}, "expires"),
        ],
        ids=lambda value: value if isinstance(value, str) else next(iter(value)),
    )
    def test_input_that_is_wrong(
        self, acme: Workspace, changed: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(ServiceError) as caught:
            create(acme, acting(acme, Role.OWNER), **changed)
        assert caught.value.field == field

    def test_names_are_unique_among_living_keys_of_a_workspace(
        self, acme: Workspace, globex: Workspace
    ) -> None:
        row, _text = create(acme, acting(acme, Role.OWNER))
        create(globex, acting(globex, Role.OWNER))
        with pytest.raises(Conflict) as caught:
            create(acme, acting(acme, Role.OWNER))
        assert caught.value.field == "name"
        with tenant_scope(acme.tenant):
            app_keys.revoke_app_key(
                tenant=acme.tenant, app_key_id=row.pk, actor=acting(acme, Role.OWNER)
            )
        create(acme, acting(acme, Role.OWNER))

    def test_a_name_that_somebody_takes_at_the_same_moment(
        self, acme: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create(acme, acting(acme, Role.OWNER))
        monkeypatch.setattr(
            QuerySet, "exists", lambda rows: False
        )  # both looked before either wrote
        with pytest.raises(Conflict):
            create(acme, acting(acme, Role.OWNER))


class TestKeysThatMakeKeys:
    def test_never_wider_in_scopes(self, acme: Workspace) -> None:
        actor = acting_key(acme, scopes=[Scope.MANAGE])
        create(acme, actor, scopes=[Scope.MANAGE])
        with pytest.raises(NotAllowed):
            create(acme, actor, name="Wider", scopes=[Scope.USE])

    def test_never_wider_in_models_and_providers(self, acme: Workspace) -> None:
        actor = acting_key(acme, scopes=ALL, allowed_models=["a/b", "a/c"])
        create(acme, actor, allowed_models=["a/b"])
        for limits in ({}, {"allowed_models": ["a/b", "x/y"]}, {"allowed_providers": ["a"]}):
            with pytest.raises(NotAllowed):
                create(acme, actor, name="Wider", **limits)

    def test_a_persons_key_makes_keys_of_that_person(self, acme: Workspace) -> None:
        row, _text = create(acme, acting_key(acme, scopes=ALL, user=acme.admin))
        assert (row.created_by_id, row.made_by_command) == (acme.admin.pk, False)

    def test_a_commands_key_makes_keys_of_nobody_and_is_no_owner(self, acme: Workspace) -> None:
        actor = acting_key(acme, scopes=ALL)
        row, text = create(acme, actor)
        assert (row.created_by_id, row.made_by_command) == (None, True)
        assert works(text)
        assert actor.role is Role.ADMIN

    def test_a_narrow_key_does_not_rotate_a_wide_one(self, acme: Workspace) -> None:
        wide, _text = make_app_key(acme.tenant, name="Wide")
        with tenant_scope(acme.tenant):
            for actor in (
                acting_key(acme, scopes=[Scope.MANAGE]),
                acting_key(acme, scopes=ALL, allowed_models=["a/b"]),
            ):
                with pytest.raises(NotAllowed):
                    app_keys.rotate_app_key(
                        tenant=acme.tenant, app_key_id=wide.pk, actor=actor, overlap=timedelta(0)
                    )


class TestRevokingAndRotating:
    def revoke(self, workspace: Workspace, row: AppKey, actor: Actor) -> None:
        with tenant_scope(workspace.tenant):
            app_keys.revoke_app_key(tenant=workspace.tenant, app_key_id=row.pk, actor=actor)

    def rotate(
        self, workspace: Workspace, row: AppKey, actor: Actor, overlap: timedelta
    ) -> tuple[AppKey, str]:
        with tenant_scope(workspace.tenant):
            return app_keys.rotate_app_key(
                tenant=workspace.tenant, app_key_id=row.pk, actor=actor, overlap=overlap
            )

    def test_editors_revoke_their_own_admins_all(self, acme: Workspace) -> None:
        owners, _text = create(acme, acting(acme, Role.OWNER), name="Owner's")
        editors, text = create(acme, acting(acme, Role.EDITOR), name="Editor's")
        with pytest.raises(NotAllowed):
            self.revoke(acme, owners, acting(acme, Role.EDITOR))
        assert works(text)
        self.revoke(acme, editors, acting(acme, Role.EDITOR))
        assert not works(text)
        self.revoke(acme, owners, acting(acme, Role.ADMIN))
        with pytest.raises(NotFound):
            self.revoke(acme, owners, acting(acme, Role.ADMIN))

    def test_another_workspaces_key_is_not_there(self, acme: Workspace, globex: Workspace) -> None:
        row, text = create(globex, acting(globex, Role.OWNER))
        with pytest.raises(NotFound):
            self.revoke(acme, row, acting(acme, Role.OWNER))
        with pytest.raises(NotFound):
            self.rotate(acme, row, acting(acme, Role.OWNER), timedelta(0))
        assert works(text)

    @pytest.mark.slow
    def test_a_long_chain_of_keys_is_revoked_whole(self, acme: Workspace) -> None:
        row, _text = create(acme, acting(acme, Role.OWNER))
        maker = row
        with tenant_scope(acme.tenant):
            for number in range(160):  # more than the stack would hold
                maker = AppKey.objects.create(
                    tenant=acme.tenant, name=f"n{number}", digest=f"{number}", made_by_key=maker
                )
        frames = sys.getrecursionlimit()
        sys.setrecursionlimit(len(inspect.stack(0)) + 300)
        try:
            self.revoke(acme, row, acting(acme, Role.OWNER))
        finally:
            sys.setrecursionlimit(frames)
        with tenant_scope(acme.tenant):
            assert not AppKey.objects.filter(revoked=None).exists()

    def test_both_work_during_the_overlap(self, acme: Workspace) -> None:
        row, old = create(acme, acting(acme, Role.EDITOR), allowed_models=["a/b"])
        new_row, new = self.rotate(acme, row, acting(acme, Role.EDITOR), timedelta(days=1))
        assert works(old)
        assert works(new)
        assert (new_row.name, new_row.allowed_models, new_row.created_by_id) == (
            "Mine",
            ["a/b"],
            acme.editor.pk,
        )
        with tenant_scope(acme.tenant):
            row.refresh_from_db()
            assert timedelta(hours=23) < row.expires - timezone.now() <= timedelta(days=1)
            AppKey.objects.filter(pk=row.pk).update(expires=timezone.now())
        assert not works(old)
        assert works(new)

    def test_without_an_overlap_the_old_one_ends_at_once(self, acme: Workspace) -> None:
        row, old = create(acme, acting(acme, Role.EDITOR))
        _new_row, new = self.rotate(acme, row, acting(acme, Role.EDITOR), timedelta(0))
        assert not works(old)
        assert works(new)

    def test_rotation_does_not_prolong(self, acme: Workspace) -> None:
        soon = timezone.now() + timedelta(hours=2)
        row, _old = create(acme, acting(acme, Role.EDITOR), expires=soon)
        new_row, _new = self.rotate(acme, row, acting(acme, Role.EDITOR), timedelta(days=7))
        with tenant_scope(acme.tenant):
            row.refresh_from_db()
        assert row.expires == new_row.expires == soon

    def test_rotating_twice(self, acme: Workspace) -> None:
        row, _text = create(acme, acting(acme, Role.EDITOR))
        for _time in range(3):
            row, text = self.rotate(acme, row, acting(acme, Role.EDITOR), timedelta(days=1))
        assert works(text)
        with tenant_scope(acme.tenant):
            assert AppKey.objects.filter(revoked=None).count() == 4

    @pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=8)])
    def test_overlaps_that_are_none(self, acme: Workspace, overlap: timedelta) -> None:
        row, _text = create(acme, acting(acme, Role.EDITOR))
        with pytest.raises(ServiceError) as caught:
            self.rotate(acme, row, acting(acme, Role.EDITOR), overlap)
        assert caught.value.field == "overlap"

    def test_an_expired_key_is_not_brought_back(self, acme: Workspace) -> None:
        row, _text = create(
            acme, acting(acme, Role.EDITOR), expires=timezone.now() + timedelta(hours=1)
        )
        with tenant_scope(acme.tenant):
            AppKey.objects.update(expires=timezone.now())
        with pytest.raises(Conflict):
            self.rotate(acme, row, acting(acme, Role.EDITOR), timedelta(0))

    def test_another_persons_key_is_revoked_not_rotated(self, acme: Workspace) -> None:
        row, text = create(acme, acting(acme, Role.EDITOR))
        for role in (Role.ADMIN, Role.OWNER):
            with pytest.raises(NotAllowed) as caught:
                self.rotate(acme, row, acting(acme, role), timedelta(0))
            assert caught.value.code == "not_your_key"
        assert works(text)
        commands, _text = make_app_key(acme.tenant, name="A command's")
        self.rotate(acme, commands, acting(acme, Role.ADMIN), timedelta(0))
