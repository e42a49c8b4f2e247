"""Rows for tests: workspaces with people of every role, app keys and credentials; a stranger;
secrets that can be searched for.

Every secret made here is marked and unique, so that `tests/isolation/test_canary.py` can look for
it where no secret may be.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tenants.auth.permissions import Role, Scope
from tenants.models import AppKey, Membership, Tenant, User
from tenants.scope import tenant_scope

if TYPE_CHECKING:
    from providers.models import ProviderCredential

PASSWORD = "correct horse battery staple"
MARK = "canary7f3a"
ALL_SCOPES: tuple[Scope, ...] = tuple(Scope)
# Texts of the app keys of the running test; tests/canary.py looks for them and for MARK in every
# answer and log line.
app_keys: list[str] = []


def marked_secret(what: str = "secret", *, prefix: str = "sk-") -> str:
    """A unique secret of printable ASCII that the canary looks for everywhere. `what` is for the
    reader of the test.
    """
    return f"{prefix}{MARK}{secrets.token_hex(16)}"


def make_user(email: str, *, password: str = PASSWORD, **fields: Any) -> User:
    return User.objects.create_user(email, password, **fields)


def make_operator(email: str = "operator@hub.test") -> User:
    return User.objects.create_superuser(email, PASSWORD)


def make_call(tenant: Tenant, **changes: Any) -> Any:
    """The record of a call with an own key that the provider answered."""
    from quotas.models import CallRecord

    fields = {
        "request_id": "request-1",
        "operation": "chat.completions",
        "provider": "openai",
        "model": "gpt-4o",
        "source": "credential:Main",
        "app_key_name": "CI",
        "prompt_tokens": 12,
        "completion_tokens": 40,
        "usage_source": "reported",
        "status": "ok",
    }
    with tenant_scope(tenant):
        return CallRecord.objects.create(tenant=tenant, **fields | changes)


def make_tenant(slug: str, *, name: str = "", with_keys: bool = True) -> Tenant:
    """A workspace's row and, unless told otherwise, its key pair (from the store of
    tests/pairs.py).
    """
    tenant = Tenant.objects.create(slug=slug, name=name or slug.title())
    if with_keys:
        make_key_pair(tenant)
    return tenant


def make_key_pair(tenant: Tenant) -> None:
    from tenants.crypto import keys

    keys.make_key_pair(tenant=tenant)


def make_member(tenant: Tenant, role: Role, email: str = "") -> User:
    user = make_user(email or f"{role}@{tenant.slug}.test", name=f"{tenant.name} {role}")
    with tenant_scope(tenant):
        Membership.objects.create(tenant=tenant, user=user, role=role)
    return user


def make_app_key(
    tenant: Tenant,
    *,
    name: str = "Key",
    scopes: Iterable[Scope] = ALL_SCOPES,
    user: User | None = None,
    **limits: Any,
) -> tuple[AppKey, str]:
    """(row, the key's text). `limits`: allowed_providers, allowed_models, expires."""
    from tenants.audit.trail import COMMAND
    from tenants.crypto import digest_key
    from tenants.services import app_keys as app_key_services

    with tenant_scope(tenant):
        row, text = app_key_services.create_app_key(
            tenant=tenant, actor=COMMAND, name=name, scopes=list(scopes), user=user, **limits
        )
    app_keys.append(text)
    digest_key.load()  # as a process that has answered calls before
    return row, text


def store_credential(**values: Any) -> ProviderCredential:
    """Store a credential as the product does, but without asking the provider.

    `values`: the arguments of draft_credential.
    """
    from providers.credentials import drafts
    from tenants.audit.trail import COMMAND

    return drafts.store_draft(drafts.draft_credential(**values), actor=COMMAND)


def make_credential(
    tenant: Tenant,
    *,
    provider: str = "openai",
    name: str = "Main",
    values: Mapping[str, str] | None = None,
    base_url: str = "",
    is_active: bool = True,
    **fields: Any,
) -> Any:
    """A credential that was connected; nothing is sent. Without `values` every secret field gets a
    marked secret.
    """
    from providers.declaration import registry
    from providers.models import CredentialState, ProviderCredential

    declared = registry.get(provider)
    if values is None:
        values = {
            one.name: marked_secret(f"{provider} {one.name}") if one.secret else "value"
            for one in declared.credential_fields
            if one.required and one.name != "base_url"
        }
    with tenant_scope(tenant):
        row = store_credential(
            tenant=tenant, provider=provider, name=name, values=values, base_url=base_url
        )
        fields = {"state": CredentialState.CONNECTED, "is_active": is_active} | fields
        ProviderCredential.objects.filter(pk=row.pk).update(**fields)
        row.refresh_from_db()
    return row


@dataclass
class Workspace:
    """One tenant of a test with a person of every role. App keys and credentials are made when
    first asked for.
    """

    tenant: Tenant
    people: dict[Role, User] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        return self.tenant.slug

    @property
    def owner(self) -> User:
        return self.people[Role.OWNER]

    @property
    def admin(self) -> User:
        return self.people[Role.ADMIN]

    @property
    def editor(self) -> User:
        return self.people[Role.EDITOR]

    @property
    def viewer(self) -> User:
        return self.people[Role.VIEWER]

    @cached_property
    def app_key(self) -> tuple[AppKey, str]:
        """A key with all scopes that no person's rights bound."""
        return make_app_key(self.tenant, name="Everything")

    @cached_property
    def narrow_key(self) -> tuple[AppKey, str]:
        """A key that may only call one model."""
        return make_app_key(
            self.tenant, name="Narrow", scopes=[Scope.USE], allowed_models=["demo/demo-chat"]
        )

    @cached_property
    def credential(self) -> Any:
        return make_credential(self.tenant)

    def headers(self, text: str = "") -> dict[str, str]:
        """Keyword arguments of Django's test client: the Authorization header of `text` or of the
        key with all scopes.
        """
        return {"HTTP_AUTHORIZATION": f"Bearer {text or self.app_key[1]}"}


def make_workspace(slug: str, *, name: str = "", with_keys: bool = True) -> Workspace:
    tenant = make_tenant(slug, name=name, with_keys=with_keys)
    return Workspace(tenant, _make_people(tenant))


def _make_people(tenant: Tenant) -> dict[Role, User]:
    """What make_member makes, for every role in two statements."""
    people = {
        role: User(email=f"{role}@{tenant.slug}.test", name=f"{tenant.name} {role}")
        for role in Role
    }
    for person in people.values():
        person.set_password(PASSWORD)
    User.objects.bulk_create(people.values())
    with tenant_scope(tenant):
        Membership.objects.bulk_create(
            Membership(tenant=tenant, user=person, role=role) for role, person in people.items()
        )
    return people
