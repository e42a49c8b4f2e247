"""Fills a running server with workspaces for the browser tests: whoever needs one asks for it by
kind.

`with Keeper(server) as keeper: keeper.make("furnished", "acme")` - a process beside the server,
with the server's own settings, because the tests' process has another database. Kinds: fresh
(nothing in it), furnished (every page has something to show), long (names as long as the fields
allow), huge (500 models, 400 calls, 60 of what is listed elsewhere), states (what passes: keys that
end, invitations that ended, a rotation that was interrupted).
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import timedelta
from types import TracebackType
from typing import Any
from unittest import mock

from tests.command_server import REPOSITORY
from tests.server import Server

MODELS = 500
LISTED = 60


class Keeper:
    """Makes workspaces on the server's database; `make` answers a dict of what a page's address may
    need.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Keeper:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.world"],
            cwd=REPOSITORY,
            env=self.server.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.communicate()

    def make(self, kind: str, slug: str) -> dict[str, str]:
        """slug, owner and viewer (e-mail addresses), and the ids of one credential, call, key,
        member and invitation.
        """
        return self._ask(kind=kind, slug=slug)

    def read(self, slug: str) -> dict[str, str]:
        """How many rows the workspace has, by what they are."""
        return self._ask(kind="count", slug=slug)

    def sign_in(self, email: str) -> dict[str, str]:
        """The cookies of a browser whose person has just signed in, without the slow check of a
        password.
        """
        return self._ask(kind="sign in", email=email)

    def _ask(self, **question: str) -> dict[str, str]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, f"{question}: the process ended with {self._process.wait(10)}"
        result: dict[str, str] = json.loads(answer)
        return result


def long(length: int) -> str:
    """A text without a place to break, as people make them."""
    return ("Donaudampfschifffahrtsgesellschaft" * 8)[:length]


def main() -> None:
    """Answer one line of JSON for each line of JSON. What takes long is cut short: key pairs,
    passwords' hashes, lists of models.
    """
    import django

    django.setup()
    from Crypto.PublicKey import RSA
    from django.contrib.auth.hashers import PBKDF2PasswordHasher
    from django.db import transaction

    from tests.pairs import pair

    with (
        mock.patch.object(RSA, "generate", return_value=pair("browser")),
        mock.patch.object(PBKDF2PasswordHasher, "iterations", 1),
        mock.patch.object(transaction, "on_commit"),
    ):
        for line in sys.stdin:
            print(json.dumps(_answer(**json.loads(line))), flush=True)


def _answer(kind: str, **question: str) -> dict[str, str]:
    other = {"count": _counts, "sign in": _cookies}.get(kind)
    return other(**question) if other else make(kind, **question)


def _cookies(email: str) -> dict[str, str]:
    from django.test import Client

    from tenants.models import User

    client = Client()
    client.force_login(User.objects.get(email=email))
    return {name: cookie.value for name, cookie in client.cookies.items()}


def _counts(slug: str) -> dict[str, str]:
    from models_catalog.models import DefaultModel
    from providers.models import ProviderCredential
    from tenants.models import AppKey, Tenant
    from tenants.scope import tenant_scope

    tenant = Tenant.objects.get(slug=slug)
    with tenant_scope(tenant):
        return {
            model.__name__: str(model.objects.count())
            for model in (ProviderCredential, AppKey, DefaultModel)
        }


def make(kind: str, slug: str) -> dict[str, str]:
    """Within Django: what Keeper.make gives."""
    from django.db import transaction

    from tests import factories

    with transaction.atomic():
        space = factories.make_workspace(slug)
        FILL[kind](space)
    return {"slug": slug, "owner": space.owner.email, "viewer": space.viewer.email, **_ids(space)}


def _fresh(space: Any) -> None:
    """Nothing but its people."""


def _furnished(space: Any) -> None:
    from tenants.models import Membership, Tenant
    from tenants.scope import all_tenants
    from tests.browser.scene import furnish

    furnish(space)
    space.owner.is_staff = space.owner.is_superuser = True
    space.owner.save()
    with all_tenants():
        for other in Tenant.objects.filter(slug__in=("fresh", "huge")):
            Membership.objects.create(tenant=other, user=space.owner, role="owner")


def _long(space: Any) -> None:
    from models_catalog.models import TenantModel
    from providers.models import CredentialState, ProviderCredential
    from quotas.models import CallRecord
    from tenants.models import Tenant, User
    from tests import factories

    tenant = space.tenant
    Tenant.objects.filter(pk=tenant.pk).update(name=long(120))
    User.objects.filter(pk__in=[user.pk for user in space.people.values()]).update(name=long(120))
    factories.make_credential(tenant, provider="openai", name=long(80))
    factories.make_credential(tenant, provider="openai", name=long(79), is_active=False)
    _scoped(
        tenant,
        lambda: ProviderCredential.objects.update(
            state=CredentialState.REJECTED,
            state_detail={"text": f"The provider said: {long(200)} (401)."},
            base_url=f"https://{'host-' * 11}.example/v1",
        ),
    )
    factories.make_app_key(tenant, name=long(80))
    _scoped(tenant, lambda: _add_models(tenant, [f"{long(190)}/{number}" for number in range(3)]))
    _scoped(
        tenant,
        lambda: _defaults(
            tenant,
            "reasoning",
            f"openai_compatible/{TenantModel.objects.order_by('model')[0].model}",
        ),
    )
    _scoped(
        tenant,
        lambda: _calls(
            CallRecord, tenant, [f"{long(190)}/{number}" for number in range(3)], long(80)
        ),
    )


def _huge(space: Any) -> None:
    from quotas.models import CallRecord
    from tenants.auth.permissions import Role
    from tests import factories

    tenant, names = (
        space.tenant,
        [f"family-{number % 7}/model-{number:03}-instruct" for number in range(MODELS)],
    )
    factories.make_credential(
        tenant, provider="openai_compatible", name="Main", base_url="https://models.example.com/v1"
    )
    _scoped(tenant, lambda: _add_models(tenant, names))
    _scoped(tenant, lambda: _defaults(tenant, "reasoning", f"openai_compatible/{names[0]}"))
    _scoped(tenant, lambda: _calls(CallRecord, tenant, names[:400], "Batch job"))
    for number in range(LISTED):
        factories.make_member(tenant, Role.VIEWER, f"person{number}@{tenant.slug}.test")
        factories.make_app_key(tenant, name=f"Application {number}")
        if number < 20:
            factories.make_credential(
                tenant, provider="openai", name=f"Key {number}", is_active=number == 0
            )


def _states(space: Any) -> None:
    from tests.browser import states

    states.show(space)


def _spent(space: Any) -> None:
    from tests.browser import spent

    spent.show(space)


FILL = {
    "fresh": _fresh,
    "furnished": _furnished,
    "long": _long,
    "huge": _huge,
    "states": _states,
    "spent": _spent,
}


def _scoped(tenant: Any, work: Any) -> None:
    from tenants.scope import tenant_scope

    with tenant_scope(tenant):
        work()


def _add_models(tenant: Any, names: list[str]) -> None:
    from models_catalog.models import TenantModel

    TenantModel.objects.bulk_create(
        TenantModel(
            tenant=tenant,
            provider="openai_compatible",
            model=name,
            type="reasoning",
            origin=TenantModel.Origin.ADDED,
        )
        for name in names
    )


def _defaults(tenant: Any, scenario: str, model: str) -> None:
    from models_catalog.models import DefaultModel

    DefaultModel.objects.create(tenant=tenant, scenario=scenario, model=model)


def _calls(record: Any, tenant: Any, models: list[str], name: str) -> None:
    from django.utils import timezone

    now = timezone.now()
    rows = []
    for number, model in reversed(list(enumerate(models))):
        failed = number % 9 == 2
        row = record(
            tenant=tenant,
            time=now - timedelta(hours=number),
            request_id=hashlib.sha256(f"{tenant.slug}{number}".encode()).hexdigest()[:24],
            operation="chat.completions",
            provider="openai_compatible",
            model=model,
            source=f"credential:{name}",
            app_key_name=name,
            prompt_tokens=number * 7 + 20,
            completion_tokens=None if failed else 30,
            usage_source="none" if failed else "reported",
            status="error" if failed else "ok",
            http_status=502 if failed else 200,
            error_code="provider_unreachable" if failed else "",
            latency_ms=300 + number,
        )
        rows.append(row)
    record.objects.bulk_create(rows)


def _ids(space: Any) -> dict[str, str]:
    """The id of one object of every kind that a page's address names; what the workspace has none
    of is left out.
    """
    from models_catalog.models import TenantModel
    from providers.models import ProviderCredential
    from quotas.models import CallRecord, CreditPool, TrialPlan
    from tenants.models import AppKey, AuditEntry, Invitation, KeyPair, Membership
    from tenants.scope import tenant_scope

    with tenant_scope(space.tenant):
        found = {
            "credential": ProviderCredential.objects.order_by("-is_active", "provider")
            .filter(provider="openai")
            .first(),
            "standby": ProviderCredential.objects.filter(is_active=False).first(),
            "only": ProviderCredential.objects.filter(provider="demo").first(),
            "call": CallRecord.objects.filter(status="ok").first(),
            "failed_call": CallRecord.objects.filter(status="error").first(),
            "app_key": AppKey.objects.order_by("name").last(),
            "invitation": Invitation.objects.first(),
            "membership": Membership.objects.get(user=space.viewer),
            "key_pair": KeyPair.objects.first(),
            "audit_entry": AuditEntry.objects.first(),
            "pool": CreditPool.objects.first(),
        }
        first = TenantModel.objects.order_by("model").first()
        ids = {name: str(row.pk) for name, row in found.items() if row is not None}
        ids |= {"model": first.model, "model_row": str(first.pk)} if first else {}
        ids |= {"tenant": str(space.tenant.pk), "person": str(space.viewer.pk)}
        if space.tenant.slug == "acme":
            ids["token"] = _invitation(space)
            ids["plan"] = str(TrialPlan.objects.get(slug="anthropic").pk)
    return ids


def _invitation(space: Any) -> str:
    """The token of an invitation that nobody has accepted yet."""
    from tenants.audit.trail import Actor
    from tenants.auth.permissions import Role
    from tenants.services import invitations

    actor = Actor(space.owner.email, space.owner.pk, role=Role.OWNER)
    _row, token = invitations.invite(
        tenant=space.tenant, email="newcomer@example.org", role=Role.VIEWER, actor=actor
    )
    return str(token)


if __name__ == "__main__":
    main()
