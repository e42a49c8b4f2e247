"""Make the first workspace with its owner, an app key and an operator; idempotent."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import transaction

from tenants.audit.trail import COMMAND
from tenants.auth.permissions import Role, Scope
from tenants.crypto import keys
from tenants.management.base import ServiceCommand, migrate, refusals_as_messages
from tenants.models import AppKey, Membership, Tenant, User
from tenants.scope import tenant_scope
from tenants.services import accounts, app_keys, members, workspaces

KEY_NAME = "First key"


class Command(ServiceCommand):
    help = (
        "Make a workspace, its owner, an app key and, if there is none, an operator. "
        "Passwords and keys are printed once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--workspace",
            required=True,
            metavar="SLUG",
            help="the workspace's address: lower-case letters, digits, hyphens",
        )
        parser.add_argument(
            "--owner", required=True, metavar="EMAIL", help="the owner's e-mail address"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        migrate()
        with refusals_as_messages(), transaction.atomic():
            made = _make(options["workspace"], options["owner"])
        self.answer(options, made, _lines(made))


def _make(slug: str, email: str) -> dict[str, str]:
    """Return the values for --json; passwords and the key only if they were made now."""
    owner, password = _get_or_make_user(email, slug)
    tenant = Tenant.objects.filter(slug=slug).first() or workspaces.create_workspace(
        slug=slug, name=slug, owner=owner, actor=COMMAND
    )
    made = {"workspace": tenant.slug, "owner": owner.email}
    if password:
        made["password"] = password
    with tenant_scope(tenant):
        if not Membership.objects.filter(tenant=tenant, user=owner).exists():
            members.add_member(tenant=tenant, user=owner, role=Role.OWNER, actor=COMMAND)
        keys.make_key_pair(tenant=tenant)
        if not AppKey.objects.filter(tenant=tenant).exists():
            made["app_key"] = app_keys.create_app_key(
                tenant=tenant, actor=COMMAND, name=KEY_NAME, scopes=Scope
            )[1]
    return made | _make_operator(owner.email)


def _get_or_make_user(email: str, slug: str) -> tuple[User, str]:
    """Return (user, password).

    The password is "" for an existing account, unless its first password has expired, or it is to
    become an owner and was made through a link, so that someone else may know its password.
    """
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        password = secrets.token_urlsafe(15)
        user = accounts.make_user(email=email, password=password, is_first_password=True)
        return user, password
    if user.first_password_expired or (user.made_by_link is not None and not _owns(user, slug)):
        return user, accounts.new_first_password(user=user)
    return user, ""


def _owns(user: User, slug: str) -> bool:
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        return False
    with tenant_scope(tenant):
        return Membership.objects.filter(tenant=tenant, user=user, role=Role.OWNER).exists()


def _make_operator(owner_email: str) -> dict[str, str]:
    """Make an operator if there is none, as a separate account without access to workspaces."""
    if User.objects.filter(is_staff=True, is_active=True).exists():
        return {}
    domain = owner_email.rpartition("@")[2]
    names = (f"operator@{domain}", *(f"operator-{number}@{domain}" for number in range(2, 100)))
    email = next(name for name in names if not User.objects.filter(email=name).exists())
    operator = User.objects.create_superuser(email)
    return {
        "operator": email,
        "operator_password": accounts.new_first_password(user=operator),
    }


def _lines(made: dict[str, str]) -> list[str]:
    site = settings.SITE_URL
    lines = [
        f"Workspace          {made['workspace']}   {site}/t/{made['workspace']}/",
        f"Owner              {made['owner']}",
    ]
    if "password" in made:
        lines.append(f"Password           {made['password']}")
    if "app_key" in made:
        lines.append(f"App key            {made['app_key']}")
    if "operator" in made:
        lines += [
            f"Operator           {made['operator']}   {site}/admin/",
            f"Operator password  {made['operator_password']}",
        ]
    if {"password", "app_key", "operator"} & set(made):
        lines.append(
            "Passwords and keys are shown only now. Store the key. The passwords are for the first "
            f"sign-in, within {accounts.FIRST_PASSWORD_LIFETIME.days} days: you choose others then."
        )
    return lines
