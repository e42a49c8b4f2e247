"""Workspaces and their members: owners, ranks, invitations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from core.errors import Conflict, NotAllowed, NotFound, ServiceError
from tenants.audit.trail import COMMAND, Actor
from tenants.auth.permissions import Role
from tenants.models import AuditEntry, Invitation, Membership, Tenant, User
from tenants.scope import tenant_scope
from tenants.services import accounts, invitations, members, settings, workspaces
from tenants.signals import workspace_created
from tests.factories import Workspace, make_user


def acting(workspace: Workspace, role: Role) -> Actor:
    person = workspace.people[role]
    return Actor(person.email, person.pk, "192.0.2.1", role)


def member(workspace: Workspace, role: Role) -> Membership:
    with tenant_scope(workspace.tenant):
        found: Membership = Membership.objects.get(user=workspace.people[role])
    return found


def roles(workspace: Workspace) -> dict[str, str]:
    with tenant_scope(workspace.tenant):
        return {
            row.user.email.partition("@")[0]: row.role
            for row in Membership.objects.select_related("user")
        }


def last_entry(workspace: Workspace) -> AuditEntry:
    with tenant_scope(workspace.tenant):
        found: AuditEntry = AuditEntry.objects.order_by("-time").first()
    return found


def code(caught: Any) -> str:
    return caught.value.code  # type: ignore[no-any-return]


class TestWorkspaces:
    def test_it_comes_with_an_owner_and_a_trace(self, db: None, stranger: User) -> None:
        seen = []

        def note(sender: Any, tenant: Tenant, **kwargs: Any) -> None:
            seen.append(tenant.slug)

        workspace_created.connect(note)
        try:
            tenant = workspaces.create_workspace(
                slug="new-one", name=" New ", owner=stranger, actor=COMMAND
            )
        finally:
            workspace_created.disconnect(note)
        assert (tenant.name, tenant.status, seen) == ("New", "active", ["new-one"])
        with tenant_scope(tenant):
            assert Membership.objects.get().role == Role.OWNER
            entry = AuditEntry.objects.get(action="workspace.created")
        assert (entry.actor, entry.object_label) == ("command", "new-one")

    @pytest.mark.parametrize(
        "slug", ["", "Upper", "a_b", "-a", "a-", "ä", "a b", "a" * 51, "a/b", "a\n"]
    )
    def test_addresses_that_are_none(self, db: None, slug: str) -> None:
        with pytest.raises(ServiceError) as caught:
            workspaces.create_workspace(slug=slug, name="x", owner=None, actor=COMMAND)
        assert (code(caught), caught.value.field) == ("bad_slug", "slug")

    @pytest.mark.parametrize("slug", ["acme", settings.SYSTEM_SLUG])
    def test_addresses_that_are_taken(self, acme: Workspace, slug: str) -> None:
        with pytest.raises(Conflict):
            workspaces.create_workspace(slug=slug, name="x", owner=None, actor=COMMAND)

    def test_nothing_is_left_of_one_that_failed(self, db: None) -> None:
        def refuse(sender: Any, **kwargs: Any) -> None:
            raise RuntimeError

        workspace_created.connect(refuse)
        try:
            with pytest.raises(RuntimeError):
                workspaces.create_workspace(slug="new", name="x", owner=None, actor=COMMAND)
        finally:
            workspace_created.disconnect(refuse)
        assert not Tenant.objects.filter(slug="new").exists()

    def test_suspending_is_traced_and_can_be_undone(self, acme: Workspace) -> None:
        version = Tenant.objects.get(pk=acme.tenant.pk).config_version
        with tenant_scope(acme.tenant):
            settings.suspend_workspace(tenant=acme.tenant, actor=COMMAND)
            settings.suspend_workspace(tenant=acme.tenant, actor=COMMAND)
            assert AuditEntry.objects.filter(action="workspace.suspended").count() == 1
            stored = Tenant.objects.get(pk=acme.tenant.pk)
            assert (stored.status, stored.config_version) == ("suspended", version + 1)
            settings.resume_workspace(tenant=acme.tenant, actor=COMMAND)
        assert Tenant.objects.get(pk=acme.tenant.pk).status == "active"

    def test_renaming(self, acme: Workspace) -> None:
        with tenant_scope(acme.tenant):
            settings.rename_workspace(
                tenant=acme.tenant, name="Acme Ltd", actor=acting(acme, Role.ADMIN)
            )
            with pytest.raises(ServiceError):
                settings.rename_workspace(
                    tenant=acme.tenant, name=" ", actor=acting(acme, Role.ADMIN)
                )
        assert Tenant.objects.get(pk=acme.tenant.pk).name == "Acme Ltd"
        assert last_entry(acme).details == {"before": "Acme"}

    def test_the_operators_row_is_made_once(self, db: None) -> None:
        assert workspaces.system_tenant() == workspaces.system_tenant()
        assert workspaces.system_tenant().is_system


class TestMembers:
    @pytest.mark.parametrize(
        ("actor", "subject", "new", "allowed"),
        [
            (Role.OWNER, Role.ADMIN, Role.OWNER, True),
            (Role.OWNER, Role.VIEWER, Role.EDITOR, True),
            (Role.ADMIN, Role.VIEWER, Role.ADMIN, True),
            (Role.ADMIN, Role.VIEWER, Role.OWNER, False),
            (Role.ADMIN, Role.OWNER, Role.VIEWER, False),
            (Role.ADMIN, Role.ADMIN, Role.OWNER, False),
            (Role.EDITOR, Role.VIEWER, Role.EDITOR, False),
            (Role.EDITOR, Role.EDITOR, Role.ADMIN, False),
            (Role.VIEWER, Role.VIEWER, Role.OWNER, False),
        ],
    )
    def test_ranks(
        self, acme: Workspace, actor: Role, subject: Role, new: Role, allowed: bool
    ) -> None:
        row = member(acme, subject)
        with tenant_scope(acme.tenant):
            if not allowed:
                with pytest.raises(NotAllowed):
                    members.change_role(
                        tenant=acme.tenant,
                        membership_id=row.pk,
                        role=new,
                        actor=acting(acme, actor),
                    )
            else:
                members.change_role(
                    tenant=acme.tenant, membership_id=row.pk, role=new, actor=acting(acme, actor)
                )
        assert roles(acme)[subject] == (new if allowed else subject)

    def test_nobody_without_a_role_changes_one(self, acme: Workspace) -> None:
        row = member(acme, Role.VIEWER)
        with tenant_scope(acme.tenant), pytest.raises(NotAllowed):
            members.change_role(
                tenant=acme.tenant, membership_id=row.pk, role=Role.EDITOR, actor=Actor("system")
            )

    def test_the_change_is_traced_with_what_it_was_before(self, acme: Workspace) -> None:
        row = member(acme, Role.VIEWER)
        with tenant_scope(acme.tenant):
            members.change_role(
                tenant=acme.tenant,
                membership_id=row.pk,
                role=Role.EDITOR,
                actor=acting(acme, Role.OWNER),
            )
        entry = last_entry(acme)
        assert (entry.action, entry.actor, entry.address, entry.object_label) == (
            "member.role_changed",
            "owner@acme.test",
            "192.0.2.1",
            "viewer@acme.test",
        )
        assert entry.details == {"role": "editor", "before": "viewer"}

    def test_the_last_owner_stays_owner(self, acme: Workspace) -> None:
        row = member(acme, Role.OWNER)
        owner = acting(acme, Role.OWNER)
        with tenant_scope(acme.tenant):
            for attempt in (
                lambda: members.change_role(
                    tenant=acme.tenant, membership_id=row.pk, role=Role.ADMIN, actor=owner
                ),
                lambda: members.remove_member(
                    tenant=acme.tenant, membership_id=row.pk, actor=owner
                ),
                lambda: members.leave_workspace(tenant=acme.tenant, user=acme.owner, actor=owner),
            ):
                with pytest.raises(Conflict) as caught:
                    attempt()
                assert code(caught) == "last_owner"
        assert roles(acme)["owner"] == Role.OWNER

    def test_an_owner_whose_account_is_closed_is_no_other_owner(self, acme: Workspace) -> None:
        second, first = member(acme, Role.ADMIN), member(acme, Role.OWNER)
        User.objects.filter(pk=acme.admin.pk).update(is_active=False)
        with tenant_scope(acme.tenant):
            Membership.objects.filter(pk=second.pk).update(role=Role.OWNER)
            with pytest.raises(Conflict):
                members.remove_member(tenant=acme.tenant, membership_id=first.pk, actor=COMMAND)

    def test_one_of_two_owners_may_leave(self, acme: Workspace) -> None:
        with tenant_scope(acme.tenant):
            members.change_role(
                tenant=acme.tenant,
                membership_id=member(acme, Role.ADMIN).pk,
                role=Role.OWNER,
                actor=COMMAND,
            )
            members.leave_workspace(
                tenant=acme.tenant, user=acme.owner, actor=acting(acme, Role.OWNER)
            )
        assert "owner" not in roles(acme)
        assert last_entry(acme).action == "member.left"

    def test_everybody_may_leave(self, acme: Workspace) -> None:
        with tenant_scope(acme.tenant):
            members.leave_workspace(
                tenant=acme.tenant, user=acme.viewer, actor=acting(acme, Role.VIEWER)
            )
        assert "viewer" not in roles(acme)

    def test_an_admin_removes_no_owner(self, acme: Workspace) -> None:
        with tenant_scope(acme.tenant), pytest.raises(NotAllowed):
            members.remove_member(
                tenant=acme.tenant,
                membership_id=member(acme, Role.OWNER).pk,
                actor=acting(acme, Role.ADMIN),
            )

    def test_another_workspaces_members_are_not_there(
        self, acme: Workspace, globex: Workspace
    ) -> None:
        row = member(globex, Role.VIEWER)
        with tenant_scope(acme.tenant):
            for attempt in (
                lambda: members.change_role(
                    tenant=acme.tenant,
                    membership_id=row.pk,
                    role=Role.ADMIN,
                    actor=acting(acme, Role.OWNER),
                ),
                lambda: members.remove_member(
                    tenant=acme.tenant, membership_id=row.pk, actor=acting(acme, Role.OWNER)
                ),
            ):
                with pytest.raises(NotFound):
                    attempt()
        assert roles(globex)["viewer"] == Role.VIEWER

    def test_adding(self, acme: Workspace, stranger: User) -> None:
        with tenant_scope(acme.tenant):
            members.add_member(tenant=acme.tenant, user=stranger, role=Role.EDITOR, actor=COMMAND)
            with pytest.raises(Conflict):
                members.add_member(
                    tenant=acme.tenant, user=stranger, role=Role.EDITOR, actor=COMMAND
                )
            with pytest.raises(NotAllowed):
                members.add_member(
                    tenant=acme.tenant,
                    user=make_user("x@y.test"),
                    role=Role.OWNER,
                    actor=acting(acme, Role.ADMIN),
                )


class TestInvitations:
    def invite(
        self,
        workspace: Workspace,
        email: str = "new@people.test",
        role: Role = Role.EDITOR,
        by: Role = Role.ADMIN,
    ) -> str:
        with tenant_scope(workspace.tenant):
            return invitations.invite(
                tenant=workspace.tenant, email=email, role=role, actor=acting(workspace, by)
            )[1]

    def test_a_new_person_joins_with_a_password(self, acme: Workspace) -> None:
        token = self.invite(acme, " New@People.test ")
        joined = invitations.accept_invitation(
            token=token, name="New", password="a long enough sentence"
        )
        assert (joined.user.email, joined.role) == ("new@people.test", Role.EDITOR)
        assert joined.user.check_password("a long enough sentence")
        assert last_entry(acme).action == "member.joined"

    def test_a_person_with_an_account_joins(self, acme: Workspace, stranger: User) -> None:
        token = self.invite(acme, stranger.email)
        assert invitations.accept_invitation(token=token, user=stranger).role == Role.EDITOR

    def test_an_address_longer_than_its_column_is_none(self, acme: Workspace) -> None:
        longest = f"{'x' * 50}@{'y' * 60}.{'z' * 60}.{'w' * 60}.{'v' * 15}.test"
        assert len(longest) == 254
        self.invite(acme, longest)
        for refused in (
            lambda: self.invite(acme, "x" + longest),
            lambda: accounts.make_user(email="x" + longest, password=None),
        ):
            with pytest.raises(ServiceError) as caught:
                refused()
            assert (caught.value.code, caught.value.field) == ("bad_email", "email")

    def test_a_link_that_is_sent_twice_at_the_same_moment(
        self, acme: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = self.invite(acme)
        make_user("new@people.test")
        monkeypatch.setattr(
            QuerySet, "exists", lambda rows: False
        )  # both looked before either wrote
        with pytest.raises(Conflict) as caught:
            invitations.accept_invitation(
                token=token, name="New", password="a long enough sentence"
            )
        assert caught.value.code == "sign_in_first"

    def test_the_token_is_not_stored(self, acme: Workspace) -> None:
        token = self.invite(acme)
        with tenant_scope(acme.tenant):
            stored = Invitation.objects.get()
        assert token not in (stored.digest, str(stored.pk))
        assert token not in str(last_entry(acme).details)

    def test_it_works_once(self, acme: Workspace, stranger: User) -> None:
        token = self.invite(acme, stranger.email)
        invitations.accept_invitation(token=token, user=stranger)
        with pytest.raises(NotFound):
            invitations.accept_invitation(token=token, user=stranger)

    def test_it_is_for_one_address(self, acme: Workspace, stranger: User) -> None:
        token = self.invite(acme)
        with pytest.raises(NotAllowed) as caught:
            invitations.accept_invitation(token=token, user=stranger)
        assert code(caught) == "other_account"
        assert invitations.find_invitation(token).email == "new@people.test"

    def test_an_account_is_not_taken_over(self, acme: Workspace, stranger: User) -> None:
        token = self.invite(acme, stranger.email)
        with pytest.raises(Conflict) as caught:
            invitations.accept_invitation(token=token, password="a long enough sentence")
        assert code(caught) == "sign_in_first"

    @pytest.mark.parametrize("password", ["", "short", "password123", "1234567890123"])
    def test_weak_passwords(self, acme: Workspace, password: str) -> None:
        token = self.invite(acme)
        with pytest.raises(ServiceError) as caught:
            invitations.accept_invitation(token=token, password=password)
        assert caught.value.field == "password"
        assert not User.objects.filter(email="new@people.test").exists()

    def test_it_expires(self, acme: Workspace) -> None:
        token = self.invite(acme)
        with tenant_scope(acme.tenant):
            Invitation.objects.update(expires=timezone.now() - timedelta(seconds=1))
        with pytest.raises(NotFound):
            invitations.find_invitation(token)

    def test_it_can_be_withdrawn(self, acme: Workspace, globex: Workspace) -> None:
        token = self.invite(acme)
        invitation = invitations.find_invitation(token)
        with tenant_scope(globex.tenant), pytest.raises(NotFound):
            invitations.revoke_invitation(
                tenant=globex.tenant, invitation_id=invitation.pk, actor=acting(globex, Role.OWNER)
            )
        with tenant_scope(acme.tenant):
            invitations.revoke_invitation(
                tenant=acme.tenant, invitation_id=invitation.pk, actor=acting(acme, Role.ADMIN)
            )
        with pytest.raises(NotFound):
            invitations.find_invitation(token)

    def test_a_newer_one_ends_the_older(self, acme: Workspace) -> None:
        first, second = self.invite(acme), self.invite(acme)
        with pytest.raises(NotFound):
            invitations.find_invitation(first)
        invitations.find_invitation(second)

    def test_it_gives_no_more_than_its_author_still_may(self, acme: Workspace) -> None:
        token = self.invite(acme, role=Role.ADMIN)
        with tenant_scope(acme.tenant):
            Membership.objects.filter(user=acme.admin).update(role=Role.EDITOR)
        with pytest.raises(NotFound):
            invitations.find_invitation(token)

    def test_a_suspended_workspace_takes_nobody_in(self, acme: Workspace) -> None:
        token = self.invite(acme)
        Tenant.objects.filter(pk=acme.tenant.pk).update(status="suspended")
        with pytest.raises(NotFound):
            invitations.find_invitation(token)

    @pytest.mark.parametrize(
        ("by", "role"),
        [(Role.ADMIN, Role.OWNER), (Role.EDITOR, Role.VIEWER), (Role.VIEWER, Role.VIEWER)],
    )
    def test_ranks(self, acme: Workspace, by: Role, role: Role) -> None:
        with pytest.raises(NotAllowed):
            self.invite(acme, role=role, by=by)

    def test_members_and_addresses_that_are_none(self, acme: Workspace) -> None:
        with pytest.raises(Conflict):
            self.invite(acme, acme.viewer.email)
        with pytest.raises(ServiceError) as caught:
            self.invite(acme, "nobody")
        assert caught.value.field == "email"

    @pytest.mark.parametrize("token", ["", "x", "../..", "\udcff"])
    def test_a_guess(self, acme: Workspace, token: str) -> None:
        with pytest.raises(NotFound):
            invitations.find_invitation(token)


class TestAccounts:
    def test_addresses_are_kept_small(self, db: None) -> None:
        assert (
            accounts.make_user(email=" Ada@Example.ORG ", password="x").email == "ada@example.org"
        )

    def test_twice_and_none(self, stranger: User) -> None:
        with pytest.raises(Conflict):
            accounts.make_user(email=stranger.email.upper(), password="x")
        with pytest.raises(ServiceError):
            accounts.make_user(email="nobody", password="x")
