"""App keys that are changed: in force at once, signed, never wider than who made them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from core.errors import Conflict, NotAllowed, NotFound, ServiceError
from tenants.audit.trail import Actor
from tenants.auth.permissions import Role, Scope
from tenants.auth.principal import find_principal, principal_of_member
from tenants.crypto.digest_key import is_genuine
from tenants.models import AppKey, AuditEntry, Invitation, Membership, User
from tenants.scope import tenant_scope
from tenants.services import app_keys, members, settings
from tests.factories import Workspace
from tests.tenants.services.test_app_keys import acting_key, create, works
from tests.tenants.services.test_services import acting

IN_A_WEEK = timezone.now() + timedelta(days=7)


def change(workspace: Workspace, row: AppKey, actor: Actor, **values: Any) -> AppKey:
    with tenant_scope(workspace.tenant):
        return app_keys.change_app_key(
            tenant=workspace.tenant, app_key_id=row.pk, actor=actor, values=values
        )


def test_the_next_request_follows(acme: Workspace) -> None:
    row, text = create(acme, acting(acme, Role.OWNER), scopes=[Scope.USE, Scope.READ])
    row = change(
        acme,
        row,
        acting(acme, Role.OWNER),
        name="Other",
        allowed_providers=["a"],
        allowed_models=["a/b"],
        allowed_operations=["embeddings"],
        expires=IN_A_WEEK,
    )
    principal = find_principal({"x-api-key": text})
    assert (principal.app_key_name, principal.expires) == ("Other", IN_A_WEEK)
    assert principal.may_use("a", "b")
    assert not principal.may_use("a", "c")
    assert not principal.may_ask("chat.completions")
    assert principal.scopes == {Scope.USE, Scope.READ}
    assert is_genuine(row)
    row = change(acme, row, acting(acme, Role.OWNER), allowed_models=[], expires=None)
    principal = find_principal({"x-api-key": text})
    assert principal.may_use("a", "c")
    assert not principal.may_use("x", "c"), "what is not named stays"
    assert principal.expires is None


def test_the_audit_log_tells_what_changed(acme: Workspace) -> None:
    row, _text = create(acme, acting(acme, Role.OWNER), allowed_models=["a/b"])
    change(acme, row, acting(acme, Role.OWNER), name="Other", allowed_models=[], expires=IN_A_WEEK)
    change(acme, row, acting(acme, Role.OWNER), name="Other", allowed_models=[])
    with tenant_scope(acme.tenant):
        entry = AuditEntry.objects.get(action="app_key.changed")
    assert entry.object_label == "Other"
    assert entry.details == {
        "prefix": row.prefix,
        "before": "Mine",
        "allowed_models": "all",
        "expires": f"{IN_A_WEEK:%Y-%m-%d}",
    }


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"allowed_models": [""]}, "allowed_models"),
        ({"allowed_operations": ["x" * 300]}, "allowed_operations"),
        ({"expires": timezone.now() - timedelta(seconds=1)}, "expires"),
        ({"name": "Taken"}, "name"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_values_that_are_refused_change_nothing(
    acme: Workspace, values: dict[str, Any], field: str
) -> None:
    create(acme, acting(acme, Role.OWNER), name="Taken")
    row, text = create(acme, acting(acme, Role.OWNER))
    with pytest.raises(ServiceError) as caught:
        change(acme, row, acting(acme, Role.OWNER), **values)
    assert caught.value.field == field
    assert find_principal({"x-api-key": text}).app_key_name == "Mine"


def test_who_may_change_which(acme: Workspace, globex: Workspace, stranger: User) -> None:
    editors, _text = create(acme, acting(acme, Role.EDITOR))
    owners, _text = create(acme, acting(acme, Role.OWNER), name="Owner's")
    change(acme, editors, acting(acme, Role.EDITOR), name="Mine still")
    change(acme, editors, acting(acme, Role.ADMIN), name="Mine still, says an admin")
    for actor in (acting(acme, Role.EDITOR), Actor(stranger.email, stranger.pk)):
        with pytest.raises(NotAllowed):
            change(acme, owners, actor, name="Taken over")
    with pytest.raises(NotFound):
        change(globex, owners, acting(globex, Role.OWNER), name="Taken over")


def test_neither_revoked_nor_expired_keys_come_back(acme: Workspace) -> None:
    row, text = create(acme, acting(acme, Role.OWNER), expires=IN_A_WEEK)
    with tenant_scope(acme.tenant):
        AppKey.objects.update(expires=timezone.now())
    with pytest.raises(Conflict):
        change(acme, row, acting(acme, Role.OWNER), expires=None)
    with tenant_scope(acme.tenant):
        app_keys.revoke_app_key(
            tenant=acme.tenant, app_key_id=row.pk, actor=acting(acme, Role.OWNER)
        )
    with pytest.raises(NotFound):
        change(acme, row, acting(acme, Role.OWNER), expires=None)
    assert not works(text)


def test_an_acting_key_gives_no_more_than_it_has(acme: Workspace) -> None:
    row, _text = create(acme, acting(acme, Role.OWNER), allowed_models=["a/b"])
    narrow = acting_key(acme, scopes=list(Scope), allowed_models=["a/b"], expires=IN_A_WEEK)
    for values in ({}, {"allowed_models": []}, {"allowed_models": ["a/c"]}, {"name": "Other"}):
        with pytest.raises(NotAllowed):
            change(acme, row, narrow, **({"name": "x"} | values))
    change(acme, row, narrow, name="Other", expires=IN_A_WEEK)
    reader = acting_key(acme, scopes=[Scope.MANAGE])
    with pytest.raises(NotAllowed, match="more than the key"):
        change(acme, row, reader, name="Scopes are wider than the actor's")


def test_rates_count_for_key_member_and_workspace(acme: Workspace, globex: Workspace) -> None:
    _row, text = create(acme, acting(acme, Role.EDITOR), rates={"calls_at_once": 3})
    _row, other = create(globex, acting(globex, Role.EDITOR))
    with tenant_scope(acme.tenant):
        member = Membership.objects.get(user=acme.editor, tenant=acme.tenant)
        members.set_member_rates(
            tenant=acme.tenant,
            membership_id=member.pk,
            rates={"requests_per_minute": 5, "tokens_per_minute": None},
            actor=acting(acme, Role.ADMIN),
        )
        settings.set_rates(
            tenant=acme.tenant, rates={"tokens_per_minute": 7}, actor=acting(acme, Role.ADMIN)
        )
    rates = find_principal({"x-api-key": text}).rates
    assert [rate._replace(key=0) for rate in rates] == [
        ("app_key", 0, None, None, 3),
        ("member", 0, 5, None, None),
        ("workspace", 0, None, 7, None),
    ]
    assert len({rate.key for rate in rates}) == 3
    assert find_principal({"x-api-key": other}).rates == ()
    member.refresh_from_db()
    assert principal_of_member(member).rates == rates[1:]


def test_only_admins_raise_rates(acme: Workspace) -> None:
    row, _text = create(acme, acting(acme, Role.EDITOR), rates={"calls_at_once": 3})
    for rates in ({}, {"calls_at_once": 4}, {"requests_per_minute": 1}):
        with pytest.raises(NotAllowed):
            change(acme, row, acting(acme, Role.EDITOR), rates=rates)
    change(acme, row, acting(acme, Role.EDITOR), rates={"calls_at_once": 2, "tokens_per_minute": 9})
    row = change(acme, row, acting(acme, Role.ADMIN), rates={"calls_at_once": 4})
    assert row.rates == {"calls_at_once": 4}
    assert change(acme, row, acting(acme, Role.ADMIN), rates={}).rates is None
    with tenant_scope(acme.tenant):
        owner = Membership.objects.get(user=acme.owner, tenant=acme.tenant)
        with pytest.raises(NotAllowed):
            members.set_member_rates(
                tenant=acme.tenant,
                membership_id=owner.pk,
                rates={"calls_at_once": 1},
                actor=acting(acme, Role.ADMIN),
            )


@pytest.mark.parametrize("number", [0, -1, 10**9 + 1, 1.5, True, "7"])
def test_rates_that_are_none(acme: Workspace, number: Any) -> None:
    with pytest.raises(ServiceError) as caught:
        create(acme, acting(acme, Role.OWNER), rates={"calls_at_once": number})
    assert caught.value.field == "calls_at_once"


def test_rates_are_passed_on(acme: Workspace) -> None:
    rates = {"requests_per_minute": 5}
    maker = acting_key(acme, scopes=list(Scope), rates=rates)
    row, _text = create(acme, maker)
    assert row.rates == rates
    with pytest.raises(NotAllowed):
        create(acme, maker, name="Faster", rates={"requests_per_minute": 6})
    with tenant_scope(acme.tenant):
        new, _text = app_keys.rotate_app_key(
            tenant=acme.tenant,
            app_key_id=row.pk,
            actor=maker,
            overlap=timedelta(0),
        )
    assert new.rates == rates


def test_a_key_stays_within_the_one_that_made_it(acme: Workspace) -> None:
    maker = acting_key(acme, scopes=list(Scope), allowed_models=["a/b", "a/c"])
    row, text = create(acme, maker, allowed_models=["a/b"])
    change(acme, row, acting(acme, Role.OWNER), allowed_models=["a/c"])
    with pytest.raises(NotAllowed):
        change(acme, row, acting(acme, Role.OWNER), allowed_models=["a/c", "x/y"])
    assert find_principal({"x-api-key": text}).allowed_models == {"a/c"}


def test_a_key_keeps_room_for_those_made_with_it(acme: Workspace) -> None:
    maker = acting_key(acme, scopes=list(Scope))
    made, _text = create(acme, maker, allowed_models=["a/b"])
    with tenant_scope(acme.tenant):
        maker_row = AppKey.objects.get(pk=maker.app_key_id)
    with pytest.raises(NotAllowed, match="Mine"):
        change(acme, maker_row, acting(acme, Role.OWNER), allowed_models=["a/c"])
    with pytest.raises(NotAllowed, match="Mine"):
        change(acme, maker_row, acting(acme, Role.OWNER), expires=IN_A_WEEK)
    change(acme, made, acting(acme, Role.OWNER), expires=IN_A_WEEK)
    change(acme, maker_row, acting(acme, Role.OWNER), allowed_models=["a/b"], expires=IN_A_WEEK)


def test_a_key_with_open_invitations_is_not_limited(acme: Workspace) -> None:
    maker = acting_key(acme, scopes=list(Scope))
    with tenant_scope(acme.tenant):
        row = AppKey.objects.get(pk=maker.app_key_id)
        invitation = Invitation.objects.create(
            tenant=acme.tenant,
            email="new@example.org",
            role=Role.VIEWER,
            digest="x",
            expires=IN_A_WEEK,
            made_by_key=row,
        )
    with pytest.raises(NotAllowed, match="invit"):
        change(acme, row, acting(acme, Role.OWNER), allowed_models=["a/b"])
    with tenant_scope(acme.tenant):
        invitation.delete()
    change(acme, row, acting(acme, Role.OWNER), allowed_models=["a/b"])


def test_a_key_that_was_revoked_meanwhile_makes_none(acme: Workspace) -> None:
    maker = acting_key(acme, scopes=list(Scope))
    with tenant_scope(acme.tenant):
        app_keys.revoke_app_key(
            tenant=acme.tenant, app_key_id=maker.app_key_id, actor=acting(acme, Role.OWNER)
        )
    with pytest.raises(NotAllowed):
        create(acme, maker)
    with tenant_scope(acme.tenant):
        assert not AppKey.objects.filter(name="Mine").exists()
