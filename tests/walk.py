"""What every route takes, so that the isolation walker, the role matrix and the mass-assignment
test can open all of them.

A new route needs a line in PAGES or API below; without one tests/isolation/test_isolation.py fails
and names the route.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache, cached_property
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from models_catalog.models import DefaultModel, TenantModel
from providers.declaration.spec import Call, Reply
from providers.models import ProviderChoice, ProviderCredential, StoredBatch, StoredFile
from quotas.models import CallRecord, CreditPool, Grant, Hold, SealedCredits, TrialPlan
from quotas.rating.models import CostCorrection, Rating
from quotas.usage import rollups
from tenants.auth.permissions import Action, Role
from tenants.models import (
    AllowedOrigin,
    AppKey,
    AuditEntry,
    FormerAddress,
    Invitation,
    KeptItem,
    KeyOpening,
    Membership,
    SentInvitation,
    Tenant,
    TenantOwned,
    User,
)
from tenants.scope import tenant_scope
from tests import factories, routes

PROVIDER = "openai"
HOSTING = "openai_compatible"

# ---------------------------------------------------------------------------------------- the world


@dataclass
class Side:
    """One workspace with one object of every model. Everything it has bears `mark`, which nobody
    else may ever see.
    """

    workspace: factories.Workspace
    mark: str
    objects: dict[str, Any] = field(default_factory=dict)

    @property
    def tenant(self) -> Tenant:
        return self.workspace.tenant

    def __getitem__(self, name: str) -> Any:
        return self.objects[name]

    @cached_property
    def model(self) -> str:
        return f"{self.mark}-model"


def make_side(slug: str, mark: str) -> Side:
    side = Side(factories.make_workspace(slug, name=f"{mark} workspace"), mark)
    for user in side.workspace.people.values():
        User.objects.filter(pk=user.pk).update(name=f"{mark} {user.name}")
    row, text = factories.make_app_key(side.tenant, name=f"{mark} key")
    side.workspace.__dict__["app_key"] = (row, text)
    with tenant_scope(side.tenant):
        _people(side)
        _providers(side)
        _credits(side)
    return side


def _people(side: Side) -> None:
    tenant = side.tenant
    side.objects["app_key"] = side.workspace.app_key[0]
    side.objects["member"] = Membership.objects.get(user=side.workspace.viewer)
    SentInvitation.objects.create(tenant=side.tenant)
    side.objects["invitation"] = Invitation.objects.create(
        tenant=tenant,
        email=f"{side.mark}-guest@example.test",
        role=Role.VIEWER,
        digest=hashlib.sha256(side.mark.encode()).hexdigest(),
        created_by=side.workspace.owner,
        expires=timezone.now() + timedelta(days=7),
    )
    side.objects["audit"] = AuditEntry.objects.create(
        tenant=tenant, actor=side.mark, action="member.added", object_label=side.mark
    )
    KeyOpening.objects.create(
        tenant=tenant,
        day=timezone.now().date(),
        purpose="check",
        subject=f"credential:{side.mark}",
        count=1,
    )


def _providers(side: Side) -> None:
    tenant = side.tenant
    side.objects["credential"] = factories.make_credential(
        tenant, provider=PROVIDER, name=f"{side.mark} credential"
    )
    side.objects["standby"] = factories.make_credential(
        tenant, provider=PROVIDER, name=f"{side.mark} standby", is_active=False
    )
    ProviderChoice.objects.update_or_create(
        tenant=tenant, provider=PROVIDER, defaults={"models_fetched": timezone.now()}
    )
    stored = {
        "tenant": tenant,
        "credential": side["credential"],
        "provider": PROVIDER,
        "path": "/v1/chat/completions",
        "model_names": [side.model],
    }
    side.objects["file"] = StoredFile.objects.create(
        provider_id=f"file-{side.mark}", purpose="batch", filename=f"{side.mark}.jsonl", **stored
    )
    side.objects["batch"] = StoredBatch.objects.create(
        provider_id=f"batch_{side.mark}",
        input_id=f"file-{side.mark}",
        request_id=f"{side.mark}-batch",
        status="in_progress",
        **stored,
    )
    side.objects["model"] = TenantModel.objects.create(
        tenant=tenant,
        provider=PROVIDER,
        model=side.model,
        type="reasoning",
        origin=TenantModel.Origin.ADDED,
    )
    side.objects["default"] = DefaultModel.objects.create(
        tenant=tenant, scenario="reasoning", model=f"{PROVIDER}/{side.model}"
    )


def _credits(side: Side) -> None:
    tenant, plan = side.tenant, TrialPlan.objects.get(slug="openai")
    FormerAddress.objects.create(tenant=tenant, slug=f"{side.mark}-before")
    AllowedOrigin.objects.create(tenant=tenant, origin=f"https://{side.mark}.example")
    now = timezone.now()
    KeptItem.objects.create(
        tenant=tenant, key=side.mark, sealed="x", size=1, created=now, expires=now + timedelta(1)
    )
    pool, _made = CreditPool.objects.get_or_create(tenant=tenant, plan=plan)
    Grant.objects.create(tenant=tenant, pool=pool, amount=7, reason=side.mark, actor="command")
    SealedCredits.objects.create(tenant=tenant, pool=pool, month=date(2020, 1, 1), calls=1)
    CreditPool.objects.filter(pk=pool.pk).update(limit=7, held=1)
    Hold.objects.create(
        tenant=tenant,
        pool=pool,
        key=side.mark,
        fingerprint="0" * 64,
        amount=1,
        model="gpt-3.5-turbo",
        request_id=side.mark,
        expires=timezone.now() + timedelta(hours=1),
    )
    side.objects["call"] = CallRecord.objects.create(
        tenant=tenant,
        request_id=f"{side.mark}-request",
        app_key_id=side["app_key"].pk,
        app_key_name=side["app_key"].name,
        operation="chat.completions",
        provider=PROVIDER,
        model=side.model,
        source=f"credential:{side.mark} credential",
        status="ok",
    )
    rating = Rating.objects.create(
        tenant=tenant, since=now, before=now, actor="command", reason=side.mark
    )
    CostCorrection.objects.create(tenant=tenant, rating=rating, call=side["call"])


def _early_call(side: Side) -> None:
    """Of long ago, and recorded now: it notes its hour."""
    with tenant_scope(side.tenant):
        CallRecord.objects.create(
            tenant=side.tenant,
            time=timezone.now() - timedelta(days=400),
            request_id=f"{side.mark}-early",
            operation="chat.completions",
            provider=PROVIDER,
            model=side.model,
            status="error",
            error_code=f"{side.mark}-code",
        )


@dataclass
class World:
    """Two workspaces that must not know of each other, and people who belong nowhere."""

    acme: Side
    globex: Side
    stranger: User


def make_world() -> World:
    world = World(
        make_side("acme", "acmark"),
        make_side("globex", "glomark"),
        factories.make_user("stranger@nowhere.test"),
    )
    for side in (world.acme, world.globex):
        _early_call(side)
    rollups.roll_up()
    for side in (world.acme, world.globex):
        _early_call(side)  # the sums of its hour are stale now
    return world


_CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "new-model",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
_LIST = {"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]}


def friendly_provider(call: Call, **_context: Any) -> Reply:
    """In place of providers.transport.sync_client.send: whoever is asked answers that all is
    well.
    """
    return Reply(
        200,
        {"content-type": "application/json"},
        json.dumps(_LIST if call.method == "GET" else _CHAT).encode(),
    )


OWNED: list[type[Model]] = [model for model in apps.get_models() if issubclass(model, TenantOwned)]
# Written by looking: when somebody was last here, and when a key was last used.
LOOKED_AT = {"last_active", "last_used"}


ACCOUNT = ("email", "name", "password", "is_active", "is_staff", "is_superuser", "language")


@cache
def _statements() -> list[str]:
    """One statement for each table: all columns that a workspace or a person owns."""
    tables: dict[type[Model], Collection[str]] = {
        model: {one.column for one in model._meta.concrete_fields} - LOOKED_AT
        for model in [*OWNED, Tenant]
    }
    tables[User] = ACCOUNT
    quoted = connection.ops.quote_name
    return [
        f"SELECT {', '.join(map(quoted, sorted(names)))} FROM {quoted(model._meta.db_table)}"
        for model, names in tables.items()
    ]


def digest_of_rows() -> str:
    """A hash of all rows of all workspaces, and of all accounts."""
    digest = hashlib.sha256()
    with connection.cursor() as cursor:
        for statement in _statements():
            cursor.execute(statement)
            digest.update("\n".join([statement, *sorted(map(repr, cursor.fetchall()))]).encode())
    return digest.hexdigest()


def browser(user: User | None) -> Client:
    """A signed-in browser whose password was typed just now; nobody's for None."""
    client = Client(raise_request_exception=True)
    if user is not None:
        session = client.session  # a new one, already stored
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session["proven"] = session["seen"] = session["signed_in"] = int(time.time())
        session.save()
    return client


# --------------------------------------------------------------------------------------- the routes

Value = Callable[[Side], Any]


def text(value: str) -> Value:
    return lambda side: value


def pk(name: str) -> Value:
    return lambda side: str(side[name].pk)


@dataclass(frozen=True)
class Entry:
    """What one route takes.

    own: parameters of the path (besides the workspace) that name a tenant's object; another
    tenant's are 404. fixed: parameters that mean the same in every workspace. bodies: what a method
    sends, by side; GET sends nothing. borrowed: bodies that name the *side's* objects, to be sent
    by somebody else: refused, nothing changes. optional: fields besides those of `bodies` that the
    route takes on purpose and that bear the name of a column.
    """

    own: Mapping[str, Value] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    bodies: Mapping[str, Callable[[Side], Any]] = field(default_factory=dict)
    borrowed: Mapping[str, Callable[[Side], Any]] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()

    def values(self, side: Side, *, objects_of: Side | None = None) -> dict[str, str]:
        """The path's parameters in `side`'s workspace; with `objects_of`, another side's objects in
        them.
        """
        own = {name: str(value(objects_of or side)) for name, value in self.own.items()}
        return {"workspace": side.tenant.slug, **self.fixed, **own}

    def body(self, method: str, side: Side) -> Any:
        return self.bodies.get(method, lambda side: {})(side)


MEMBER = {"membership_id": pk("member")}
INVITATION = {"invitation_id": pk("invitation")}
APP_KEY = {"app_key_id": pk("app_key")}
STORED = {"credential_id": pk("credential")}
MODEL: dict[str, Value] = {"model": lambda side: side.model}
OF_PROVIDER = {"provider": PROVIDER}
OF_SCENARIO = {"scenario": "reasoning"}
SETTINGS = "/t/{workspace}/settings/"
PROVIDERS = f"{SETTINGS}model-providers/"


def _new_credential(side: Side) -> dict[str, Any]:
    return {"name": "New", "values-api_key": factories.marked_secret("typed credential")}


def _new_model(side: Side) -> dict[str, Any]:
    return {"model": "new-model", "type": "reasoning"}


def _pasted_lines(side: Side) -> dict[str, Any]:
    return {"do": "read", "text": f"OPENAI_API_KEY={factories.marked_secret('pasted key')}"}


def _default_form(side: Side) -> dict[str, Any]:
    return {"reasoning-model": f"{PROVIDER}/{side.model}"}


def _chat_form(side: Side) -> dict[str, Any]:
    return {"model": f"{PROVIDER}/{side.model}", "message": "Hello"}


OWN_FACTS = frozenset(
    {
        "label",
        "since",
        "context_window",
        "max_output",
        "features",
        "currency",
        "input",
        "output",
        "cached_input",
    }
)

# Pages of a workspace, by path.
PAGES: dict[str, Entry] = {
    f"{SETTINGS}members/": Entry(),
    f"{SETTINGS}members/invite/": Entry(
        bodies={"POST": lambda side: {"email": "new@example.test", "role": "viewer"}}
    ),
    f"{SETTINGS}members/invitations/{{invitation_id}}/revoke/": Entry(own=INVITATION),
    f"{SETTINGS}members/{{membership_id}}/role/": Entry(
        own=MEMBER, bodies={"POST": lambda side: {"role": "editor"}}
    ),
    f"{SETTINGS}members/{{membership_id}}/rates/": Entry(
        own=MEMBER, bodies={"POST": lambda side: {"calls_at_once": "9"}}
    ),
    f"{SETTINGS}members/{{membership_id}}/remove/": Entry(own=MEMBER),
    f"{SETTINGS}app-keys/": Entry(),
    f"{SETTINGS}app-keys/connect/": Entry(),
    f"{SETTINGS}app-keys/new/": Entry(
        bodies={"POST": lambda side: {"name": "New", "scopes": ["use"]}}
    ),
    f"{SETTINGS}app-keys/{{app_key_id}}/": Entry(
        own=APP_KEY, bodies={"POST": lambda side: {"name": "Other", "days": "-1"}}
    ),
    f"{SETTINGS}app-keys/{{app_key_id}}/revoke/": Entry(own=APP_KEY),
    f"{SETTINGS}app-keys/{{app_key_id}}/rotate/": Entry(
        own=APP_KEY, bodies={"POST": lambda side: {"overlap": "0"}}
    ),
    f"{SETTINGS}audit/": Entry(),
    f"{SETTINGS}audit/export.csv": Entry(),
    f"{SETTINGS}workspace/": Entry(
        bodies={
            "POST": lambda side: {
                "name": "Renamed",
                "slug": side.tenant.slug,
                "default_language": "",
            }
        },
        optional=frozenset({"kept_hours"}),
    ),
    f"{SETTINGS}workspace/key-pair/rotate/": Entry(
        bodies={"POST": lambda side: {"typed": side.tenant.slug}}
    ),
    f"{SETTINGS}workspace/key-pair/progress/": Entry(),
    f"{SETTINGS}workspace/leave/": Entry(),
    f"{SETTINGS}workspace/close/": Entry(bodies={"POST": lambda side: {"typed": side.tenant.slug}}),
    f"{PROVIDERS}": Entry(),
    f"{PROVIDERS}{{provider}}/": Entry(fixed=OF_PROVIDER),
    f"{PROVIDERS}{{provider}}/activity/": Entry(fixed=OF_PROVIDER),
    f"{PROVIDERS}{{provider}}/setup/": Entry(fixed=OF_PROVIDER, bodies={"POST": _new_credential}),
    f"{PROVIDERS}{{provider}}/credentials/": Entry(fixed=OF_PROVIDER),
    f"{PROVIDERS}{{provider}}/credentials/order/": Entry(
        fixed=OF_PROVIDER, bodies={"POST": lambda side: {"first": "trial"}}
    ),
    f"{PROVIDERS}{{provider}}/credentials/{{credential_id}}/edit/": Entry(
        own=STORED, fixed=OF_PROVIDER, bodies={"POST": _new_credential}
    ),
    f"{PROVIDERS}{{provider}}/credentials/{{credential_id}}/rename/": Entry(
        own=STORED, fixed=OF_PROVIDER, bodies={"POST": lambda side: {"name": "Other"}}
    ),
    f"{PROVIDERS}{{provider}}/credentials/{{credential_id}}/test/": Entry(
        own=STORED, fixed=OF_PROVIDER
    ),
    f"{PROVIDERS}{{provider}}/credentials/{{credential_id}}/activate/": Entry(
        own={"credential_id": pk("standby")}, fixed=OF_PROVIDER
    ),
    f"{PROVIDERS}{{provider}}/credentials/{{credential_id}}/delete/": Entry(
        own=STORED, fixed=OF_PROVIDER
    ),
    f"{PROVIDERS}{{provider}}/credentials/{{credential_id}}/move/": Entry(
        own={"credential_id": pk("standby")},
        fixed=OF_PROVIDER,
        bodies={"POST": lambda side: {"direction": "up"}},
    ),
    f"{PROVIDERS}import/": Entry(bodies={"POST": _pasted_lines}),
    f"{PROVIDERS}{{provider}}/models/add/": Entry(fixed=OF_PROVIDER, bodies={"POST": _new_model}),
    f"{PROVIDERS}{{provider}}/models/bulk/": Entry(
        fixed=OF_PROVIDER,
        bodies={"POST": lambda side: {"model": [side.model], "enabled": "0"}},
        borrowed={"POST": lambda side: {"model": [side.model], "enabled": "0"}},
    ),
    f"{PROVIDERS}{{provider}}/models/refresh/": Entry(fixed=OF_PROVIDER),
    f"{PROVIDERS}{{provider}}/models/{{model}}/toggle/": Entry(
        own=MODEL, fixed=OF_PROVIDER, bodies={"POST": lambda side: {"enabled": "0"}}
    ),
    f"{PROVIDERS}{{provider}}/models/{{model}}/test/": Entry(own=MODEL, fixed=OF_PROVIDER),
    f"{PROVIDERS}{{provider}}/models/{{model}}/delete/": Entry(own=MODEL, fixed=OF_PROVIDER),
    f"{PROVIDERS}{{provider}}/models/{{model}}/": Entry(
        own=MODEL,
        fixed=OF_PROVIDER,
        bodies={"POST": lambda side: {"label": "Renamed"}},
        optional=OWN_FACTS,
    ),
    "/t/{workspace}/": Entry(),
    "/t/{workspace}/models/": Entry(),
    "/t/{workspace}/playground/": Entry(bodies={"POST": _chat_form}, borrowed={"POST": _chat_form}),
    "/t/{workspace}/playground/embeddings/": Entry(
        bodies={"POST": lambda side: {"model": f"{PROVIDER}/{side.model}", "texts": "Hello"}}
    ),
    "/t/{workspace}/playground/speech/": Entry(
        bodies={
            "POST": lambda side: {
                "action": "speak",
                "model": f"{PROVIDER}/{side.model}",
                "input": "Hello",
            }
        }
    ),
    "/t/{workspace}/playground/images/": Entry(
        bodies={"POST": lambda side: {"model": f"{PROVIDER}/{side.model}", "prompt": "Hello"}},
        optional=frozenset({"action"}),  # which of the page's forms was sent
    ),
    "/t/{workspace}/playground/rerank/": Entry(
        bodies={
            "POST": lambda side: {
                "model": f"{PROVIDER}/{side.model}",
                "query": "Hello",
                "documents": "Hello",
            }
        }
    ),
    "/t/{workspace}/playground/clients/": Entry(),
    "/t/{workspace}/playground/render/": Entry(bodies={"POST": lambda side: {"text": "**Hello**"}}),
    "/t/{workspace}/playground/call/{operation}/": Entry(fixed={"operation": "chat.completions"}),
    "/t/{workspace}/usage/": Entry(),
    "/t/{workspace}/usage/calls/": Entry(),
    "/t/{workspace}/usage/calls/{call_id}/": Entry(own={"call_id": pk("call")}),
    "/t/{workspace}/usage/calls/export.csv": Entry(),
    "/t/{workspace}/usage/export.csv": Entry(),
    f"{SETTINGS}default-models/": Entry(
        bodies={"POST": _default_form}, borrowed={"POST": _default_form}
    ),
    f"{SETTINGS}default-models/{{scenario}}/test/": Entry(fixed=OF_SCENARIO),
}
# Pages that belong to no workspace, each with the reason why it needs no action.
PUBLIC: dict[str, str] = {
    "/": "leads to the person's own workspace",
    "/workspaces/": "the person's own workspaces",
    "/help/": "tells nothing about an installation",
    "/help/{slug}/": "tells nothing about an installation",
    "/help/providers/{slug}/": "tells nothing about an installation",
    "/accounts/login/": "signing in",
    "/accounts/logout/": "signing out",
    "/accounts/profile/": "the person's own",
    "/accounts/password_change/": "the person's own",
    "/accounts/password_reset/": "tells nothing about an account",
    "/accounts/password_reset/{uid}/{token}/": "whoever holds the token is meant",
    "/accounts/password_reset/new/": "whoever holds the cookie is meant",
    "/accounts/sign_out_elsewhere/": "the person's own",
    "/accounts/theme/": "a cookie",
    "/accounts/language/": "a cookie",
    "/accounts/invite/{token}/": "whoever holds the token is meant",
}

V1 = "/api/v1/"
CREDENTIAL = {"pk": pk("credential")}


def _credential(side: Side) -> dict[str, Any]:
    return {"name": "New", "values": {"api_key": factories.marked_secret("API credential")}}


# Operations of the REST API, by path.
API: dict[str, Entry] = {
    f"{V1}providers": Entry(),
    f"{V1}providers/{{provider}}": Entry(fixed=OF_PROVIDER),
    f"{V1}providers/{{provider}}/source-order": Entry(
        fixed=OF_PROVIDER, bodies={"PUT": lambda side: {"order": ["trial", "credential"]}}
    ),
    f"{V1}providers/{{provider}}/credentials": Entry(
        fixed=OF_PROVIDER, bodies={"POST": _credential}
    ),
    f"{V1}providers/{{provider}}/credential-order": Entry(
        fixed=OF_PROVIDER,
        bodies={
            "PUT": lambda side: {"order": [str(side["standby"].pk), str(side["credential"].pk)]}
        },
        borrowed={
            "PUT": lambda side: {"order": [str(side["standby"].pk), str(side["credential"].pk)]}
        },
    ),
    f"{V1}providers/{{provider}}/credentials/{{pk}}": Entry(
        own=CREDENTIAL,
        fixed=OF_PROVIDER,
        bodies={"PATCH": lambda side: {"name": "Other"}},
        optional=frozenset({"values"}),
    ),
    f"{V1}providers/{{provider}}/credentials/{{pk}}/check": Entry(
        own=CREDENTIAL, fixed=OF_PROVIDER
    ),
    f"{V1}providers/{{provider}}/credentials/{{pk}}/activate": Entry(
        own={"pk": pk("standby")}, fixed=OF_PROVIDER
    ),
    f"{V1}providers/{{provider}}/refresh": Entry(fixed=OF_PROVIDER),
    f"{V1}providers/{{provider}}/models": Entry(
        fixed=OF_PROVIDER, bodies={"POST": _new_model}, optional=frozenset({"values"})
    ),
    f"{V1}models": Entry(),
    f"{V1}models/{{provider}}/{{model}}": Entry(
        own=MODEL,
        fixed=OF_PROVIDER,
        bodies={"PATCH": lambda side: {"enabled": False}},
        optional=frozenset({"type", "label", "retired"}),
    ),
    f"{V1}default-models": Entry(),
    f"{V1}default-models/{{scenario}}": Entry(
        fixed=OF_SCENARIO,
        bodies={"PUT": lambda side: {"model": f"{PROVIDER}/{side.model}"}},
        borrowed={"PUT": lambda side: {"model": f"{PROVIDER}/{side.model}"}},
        optional=frozenset({"fallbacks"}),
    ),
    f"{V1}trials": Entry(),
    f"{V1}usage/calls": Entry(),
    f"{V1}usage/calls/{{pk}}": Entry(own={"pk": pk("call")}),
    f"{V1}usage/summary": Entry(),
    f"{V1}workspace": Entry(
        bodies={"PATCH": lambda side: {"name": "Renamed"}},
        optional=frozenset({"slug", "default_language", "kept_hours", "allowed_origins", "rates"}),
    ),
    f"{V1}members": Entry(),
    f"{V1}members/{{pk}}": Entry(
        own={"pk": pk("member")},
        bodies={"PATCH": lambda side: {"role": "editor"}},
        optional=frozenset({"rates"}),
    ),
    f"{V1}invitations": Entry(
        bodies={"POST": lambda side: {"email": "new@example.test", "role": "viewer"}}
    ),
    f"{V1}invitations/{{pk}}": Entry(own={"pk": pk("invitation")}),
    f"{V1}app-keys": Entry(
        bodies={"POST": lambda side: {"name": "New", "scopes": ["read"]}},
        optional=frozenset(
            {"allowed_models", "allowed_operations", "allowed_providers", "expires", "rates"}
        ),
    ),
    f"{V1}app-keys/{{pk}}": Entry(
        own={"pk": pk("app_key")},
        bodies={"PATCH": lambda side: {"name": "Other"}},
        optional=frozenset(
            {"allowed_models", "allowed_operations", "allowed_providers", "expires", "rates"}
        ),
    ),
    f"{V1}app-keys/{{pk}}/rotate": Entry(own={"pk": pk("app_key")}),
    f"{V1}audit": Entry(),
}
API_PUBLIC: dict[str, str] = {
    "/api/schema/": "the document of the API",
    "/api/docs/": "the same for people",
    "/v1/openapi.json": "the document of the other API",
    "/v1/docs/": "the same for people",
}


def page_routes() -> list[routes.Route]:
    return [route for route in routes.pages(get_resolver()) if "workspace" in route.parameters]


def other_routes() -> list[routes.Route]:
    return [route for route in routes.pages(get_resolver()) if "workspace" not in route.parameters]


def api_routes() -> list[routes.Route]:
    return [route for route in routes.operations(get_resolver()) if route.api_view is not None]


def page_entry(route: routes.Route) -> Entry:
    """Without a line in PAGES an empty one: test_every_page_has_an_entry fails for it, and so does
    filling its parameters.
    """
    return PAGES.get(route.path, Entry())


def api_entry(route: routes.Route) -> Entry:
    return API.get(route.path, Entry())


def page_actions(route: routes.Route) -> dict[str, Action]:
    """{"GET": action, "POST": action} of a page; a method that the view does not take is answered
    405.
    """
    table: dict[str, Action] = getattr(route.view, "required_actions", {})
    return table


def api_actions(route: routes.Route) -> dict[str, Action]:
    table: dict[str, Action] = route.api_view.required_actions
    return table


def call(client: Client, key: str | None, method: str, url: str, body: Any) -> Any:
    """One request to the REST API; `key` is an app key's text."""
    headers = {"HTTP_AUTHORIZATION": f"Bearer {key}"} if key else {}
    content = (
        {} if method == "GET" else {"data": json.dumps(body), "content_type": "application/json"}
    )
    return client.generic(method, url, **content, **headers)


def open_page(client: Client, method: str, url: str, body: Any) -> Any:
    return client.get(url) if method == "GET" else client.post(url, body)


__all__ = [
    "API",
    "API_PUBLIC",
    "PAGES",
    "PUBLIC",
    "AppKey",
    "Entry",
    "ProviderCredential",
    "Side",
    "World",
    "api_actions",
    "api_entry",
    "api_routes",
    "browser",
    "call",
    "digest_of_rows",
    "friendly_provider",
    "make_world",
    "open_page",
    "other_routes",
    "page_actions",
    "page_entry",
    "page_routes",
]
