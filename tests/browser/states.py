"""A workspace of its own for the states that pass: keys that end, invitations that ended, a
rotation that was interrupted.
"""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

from django.utils import timezone

from models_catalog.services import defaults
from tenants.audit.trail import Actor
from tenants.auth.permissions import Role, Scope
from tenants.crypto import keys
from tenants.models import AppKey, Invitation, Membership, User
from tenants.scope import tenant_scope
from tenants.services import app_keys, invitations, members
from tests import factories
from tests.pairs import pair

ADDRESS = "198.51.100.7"


def show(space: factories.Workspace) -> None:
    owner = Actor(space.owner.email, space.owner.pk, ADDRESS, Role.OWNER)
    with tenant_scope(space.tenant):
        _providers(space, owner)
        _app_keys(space, owner)
        _people(space, owner)
        _interrupted(space, owner)


def _providers(space: factories.Workspace, owner: Actor) -> None:
    factories.make_credential(space.tenant, provider="demo", name="Default")
    factories.make_credential(space.tenant, provider="openai", name="Production")
    factories.make_credential(space.tenant, provider="openai", name="Backup", is_active=False)
    for scenario, model in (("reasoning", "demo/demo-chat"), ("embedding", "demo/demo-embedding")):
        defaults.set_default(tenant=space.tenant, actor=owner, scenario=scenario, model=model)
    defaults.clear_default(tenant=space.tenant, actor=owner, scenario="embedding")


def _app_keys(space: factories.Workspace, owner: Actor) -> None:
    """Rotated with overlap, ended, ending soon, limited, of somebody who left, and one that is
    revoked and not listed.
    """
    now = timezone.now()

    def made(name: str, **fields: object) -> AppKey:
        row, _text = app_keys.create_app_key(
            tenant=space.tenant, actor=owner, name=name, scopes=[Scope.USE], user=space.owner
        )
        AppKey.objects.filter(pk=row.pk).update(**fields)
        return row

    made("Old import", expires=now - timedelta(days=3), last_used=now - timedelta(days=40))
    made("Demonstration", expires=now + timedelta(days=5))
    made(
        "Search index",
        allowed_providers=["demo", "openai"],
        allowed_models=["demo/demo-embedding"],
        allowed_operations=["embeddings"],
    )
    made("Left behind", created_by=None)
    app_keys.revoke_app_key(tenant=space.tenant, app_key_id=made("Revoked").pk, actor=owner)
    website = made("Website", last_used=now - timedelta(minutes=2))
    app_keys.rotate_app_key(
        tenant=space.tenant, app_key_id=website.pk, actor=owner, overlap=timedelta(days=7)
    )


def _people(space: factories.Workspace, owner: Actor) -> None:
    """Invitations by link, by e-mail and too old; somebody whose password came through a link."""
    for email, by_email, days in (
        ("grace@example.org", False, 7),
        ("linus@example.org", True, 7),
        ("barbara@example.org", False, -2),
    ):
        row, _token = invitations.invite(
            tenant=space.tenant, email=email, role=Role.EDITOR, actor=owner, by_email=by_email
        )
        Invitation.objects.filter(pk=row.pk).update(expires=timezone.now() + timedelta(days=days))
    User.objects.filter(pk=space.editor.pk).update(
        password_by_link=timezone.now() - timedelta(days=1)
    )
    Membership.objects.filter(user=space.editor).update(
        invited_by=space.owner, last_active=timezone.now() - timedelta(hours=5)
    )
    member = Membership.objects.get(user=space.viewer)
    members.change_role(tenant=space.tenant, membership_id=member.pk, role=Role.EDITOR, actor=owner)
    members.change_role(tenant=space.tenant, membership_id=member.pk, role=Role.VIEWER, actor=owner)


def _interrupted(space: factories.Workspace, owner: Actor) -> None:
    with mock.patch("Crypto.PublicKey.RSA.generate", return_value=pair("rotated")):
        keys.begin_rotation(tenant=space.tenant, actor=owner)
