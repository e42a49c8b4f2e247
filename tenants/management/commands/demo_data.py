"""Make a demo workspace with people of every role, an app key, and other apps' example data."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.db import transaction

from tenants.audit.trail import COMMAND
from tenants.auth.permissions import Role, Scope
from tenants.crypto import keys
from tenants.management.base import ServiceCommand, refusals_as_messages
from tenants.models import AppKey, Membership, Tenant, User
from tenants.scope import tenant_scope
from tenants.services import accounts, app_keys, members, workspaces
from tenants.signals import demo_data_wanted

SLUG = "demo"
PEOPLE = {
    Role.OWNER: "Olga Owner",
    Role.ADMIN: "Adam Admin",
    Role.EDITOR: "Edith Editor",
    Role.VIEWER: "Viktor Viewer",
}


class Command(ServiceCommand):
    help = (
        "Make the workspace “demo” with people of every role, an app key and example data. "
        "Running it again changes nothing."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with refusals_as_messages(), transaction.atomic():
            made = _make()
        lines = [f"Workspace  {made['workspace']}   {settings.SITE_URL}/t/{made['workspace']}/"]
        lines += [f"{role.title():<10} {email}" for role, email in made["people"].items()]
        if "password" in made:
            lines.append(f"Password   {made['password']}   (for all of them, shown only now)")
        if "app_key" in made:
            lines.append(f"App key    {made['app_key']}   (shown only now)")
        self.answer(options, made, lines)


def _make() -> dict[str, Any]:
    people, password = _make_people()
    made: dict[str, Any] = {
        "workspace": SLUG,
        "people": {role.value: user.email for role, user in people.items()},
    }
    if password:
        made["password"] = password
    tenant = Tenant.objects.filter(slug=SLUG).first() or workspaces.create_workspace(
        slug=SLUG, name="Demo", owner=people[Role.OWNER], actor=COMMAND
    )
    with tenant_scope(tenant):
        keys.make_key_pair(tenant=tenant)
        for role, user in people.items():
            if not Membership.objects.filter(tenant=tenant, user=user).exists():
                members.add_member(tenant=tenant, user=user, role=role, actor=COMMAND)
        if not AppKey.objects.filter(tenant=tenant).exists():
            made["app_key"] = app_keys.create_app_key(
                tenant=tenant, actor=COMMAND, name="Demo key", scopes=Scope
            )[1]
        demo_data_wanted.send(sender=Tenant, tenant=tenant, actor=COMMAND)
    return made


def _make_people() -> tuple[dict[Role, User], str]:
    """Return the demo people and their common new password.

    The password is "" unless someone is new, or the first password has expired.
    """
    password = secrets.token_urlsafe(15)
    people, any_new = {}, False
    for role, name in PEOPLE.items():
        email = f"{role}@demo.example"
        user = User.objects.filter(email=email).first()
        any_new = any_new or user is None or user.first_password_expired
        people[role] = user or accounts.make_user(email=email, password=password, name=name)
    if not any_new:
        return people, ""
    for user in people.values():
        user.set_password(password)
        accounts.hand_out_password(user)
        user.save(update_fields=["password", "first_password_until"])
    return people, password
