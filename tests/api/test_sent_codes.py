"""Every error code that the REST API sends, provoked."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import override_settings
from django.utils import timezone

from core.api.parsers import BODY_LIMIT
from providers.failures.reasons import Reason
from providers.models import ProviderCredential
from providers.transport.failures import TransportFailure
from quotas.ledger.reap import reap
from tenants import queries
from tenants.auth.key_format import new_key
from tenants.models import AppKey, Membership, Tenant
from tenants.scope import all_tenants
from tenants.services import settings as workspace_settings
from tests import factories, ledger
from tests.answers import Answers, openai_error, reply, unreachable
from tests.api.conftest import Api, error
from tests.quotas.conftest import make_pool, request_for
from tests.sent_codes import Cases

CASES = Cases()
SHIPPED = "gpt-6-luna"
NOBODY = uuid.uuid4()


@dataclass
class Stage:
    """A workspace, a key with every scope, and what providers answer."""

    space: factories.Workspace
    api: Api
    answers: Answers
    patch: pytest.MonkeyPatch

    @property
    def tenant(self) -> Tenant:
        return self.space.tenant

    def key(self, **fields: Any) -> tuple[AppKey, Api]:
        """One more app key and its client."""
        row, text = factories.make_app_key(
            self.tenant, name=f"Key {uuid.uuid4().hex[:6]}", **fields
        )
        return row, Api(text)

    def change_key(self, **changes: Any) -> Api:
        row, client = self.key()
        with all_tenants():
            AppKey.objects.filter(pk=row.pk).update(**changes)
        return client

    def credential(self, **fields: Any) -> ProviderCredential:
        row: ProviderCredential = factories.make_credential(self.tenant, **fields)
        return row


@pytest.fixture
def stage(
    acme: factories.Workspace, api: Api, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    return Stage(acme, api, answers, monkeypatch)


# The request


@CASES.sends("invalid_request", 400)
def _(stage: Stage) -> Any:
    return stage.api.get("/models/?nonsense=1")


@CASES.sends("invalid_json", 400)
def _(stage: Stage) -> Any:
    return stage.api.call("PATCH", "/workspace/", raw=b"{")


@CASES.sends("too_large", 413)
def _(stage: Stage) -> Any:
    return stage.api.call("PATCH", "/workspace/", raw=b" " * (BODY_LIMIT + 1))


@CASES.sends("unsupported_media_type", 415)
def _(stage: Stage) -> Any:
    return stage.api.call("PATCH", "/workspace/", {"name": "A"}, content_type="text/plain")


@CASES.sends("https_required", 403)
def _(stage: Stage) -> Any:
    with override_settings(SECURE_SSL_REDIRECT=True):
        return Api(stage.space.app_key[1]).get("/workspace/")


@CASES.sends("not_found", 404)
def _(stage: Stage) -> Any:
    return stage.api.get("/models/openai/%07/")


@CASES.sends("unknown_path", 404)
def _(stage: Stage) -> Any:
    return stage.api.get("/nothing/")


@CASES.sends("method_not_allowed", 405)
def _(stage: Stage) -> Any:
    return stage.api.delete("/workspace/")


@CASES.sends("not_acceptable", 406)
def _(stage: Stage) -> Any:
    return stage.api.get("/workspace/", Accept="text/html")


@CASES.sends("database_unavailable", 503)
def _(stage: Stage) -> Any:
    stage.patch.setattr(queries, "members", raising(OperationalError))
    return stage.api.get("/members/")


@CASES.sends("internal_error", 500)
def _(stage: Stage) -> Any:
    stage.patch.setattr(queries, "members", raising(RuntimeError))
    stage.api.client.raise_request_exception = False
    return stage.api.get("/members/")


def raising(kind: type[Exception]) -> Any:
    def fail(**_arguments: Any) -> None:
        raise kind

    return fail


# The app key


@CASES.sends("missing_key", 401)
def _(stage: Stage) -> Any:
    return Api(None).get("/workspace/")


@CASES.sends("malformed_key", 401)
def _(stage: Stage) -> Any:
    return Api("mk_live_short").get("/workspace/")


@CASES.sends("unknown_key", 401)
def _(stage: Stage) -> Any:
    return Api(new_key()).get("/workspace/")


@CASES.sends("two_keys", 400)
def _(stage: Stage) -> Any:
    return stage.api.call("GET", "/workspace/", **{"X-Api-Key": new_key()})


@CASES.sends("revoked_key", 401)
def _(stage: Stage) -> Any:
    return stage.change_key(revoked=timezone.now()).get("/workspace/")


@CASES.sends("expired_key", 401)
def _(stage: Stage) -> Any:
    return stage.change_key(expires=timezone.now()).get("/workspace/")


@CASES.sends("owner_left", 401)
def _(stage: Stage) -> Any:
    _row, client = stage.key(user=stage.space.admin)
    with all_tenants():
        Membership.objects.filter(user=stage.space.admin).delete()
    return client.get("/workspace/")


@CASES.sends("key_scope", 403)
def _(stage: Stage) -> Any:
    return stage.key(scopes=["read"])[1].patch("/workspace/", {"name": "A"})


@CASES.sends("workspace_suspended", 403)
def _(stage: Stage) -> Any:
    Tenant.objects.filter(pk=stage.tenant.pk).update(status=Tenant.Status.SUSPENDED)
    return stage.api.get("/workspace/")


@CASES.sends("workspace_closed", 403)
def _(stage: Stage) -> Any:
    Tenant.objects.filter(pk=stage.tenant.pk).update(status=Tenant.Status.CLOSED)
    return stage.api.get("/workspace/")


# Checks that a provider fails

FAILED_CHECKS = {
    "invalid_request": openai_error(400, "no_such_code"),
    "context_length_exceeded": openai_error(400, "context_length_exceeded"),
    "content_filter": openai_error(400, "content_filter"),
    "model_not_found": openai_error(404, "model_not_found"),
    "provider_auth_failed": openai_error(401, "invalid_api_key"),
    "provider_permission_denied": openai_error(403, "insufficient_permissions"),
    "provider_out_of_funds": openai_error(429, "insufficient_quota"),
    "provider_rate_limited": openai_error(429, "rate_limit_exceeded"),
    "provider_overloaded": openai_error(503, "engine_overloaded"),
    "provider_timeout": TransportFailure("timeout", Reason("timeout"), sent=True),
    "provider_unreachable": unreachable(),
    "provider_wrong_url": reply(200, b"<html></html>", {"content-type": "text/html"}),
    "provider_error": openai_error(500, ""),
}


def check_fails(answer: Any) -> Any:
    def case(stage: Stage) -> Any:
        stage.credential(provider="openai_compatible", base_url="https://models.example/v1")
        stage.answers.otherwise = answer
        return stage.api.post(
            "/providers/openai_compatible/models/", {"model": "m", "type": "reasoning"}
        )

    return case


for _code, _answer in FAILED_CHECKS.items():
    CASES.sends(_code, 422)(check_fails(_answer))


# Values


@CASES.sends("invalid_value", 400)
def _(stage: Stage) -> Any:
    return stage.api.post("/providers/openai/credentials/", {"name": "Main", "values": {}})


@CASES.sends("unknown_field", 400)
def _(stage: Stage) -> Any:
    return stage.api.post("/providers/openai/credentials/", {"name": "Main", "values": {"x": "y"}})


@CASES.sends("bad_name", 400)
def _(stage: Stage) -> Any:
    return stage.api.patch("/workspace/", {"name": "a\u2028b"})


@CASES.sends("name_taken", 409)
def _(stage: Stage) -> Any:
    row, _client = stage.key()
    return stage.api.post("/app-keys/", {"name": row.name, "scopes": ["read"]})


@CASES.sends("bad_slug", 400)
def _(stage: Stage) -> Any:
    return stage.api.patch("/workspace/", {"slug": "No Slug"})


@CASES.sends("slug_taken", 409)
def _(stage: Stage) -> Any:
    factories.make_tenant("globex", with_keys=False)
    return stage.api.patch("/workspace/", {"slug": "globex"})


@CASES.sends("moved_too_often", 409)
def _(stage: Stage) -> Any:
    stage.patch.setattr(workspace_settings, "MAX_FORMER_ADDRESSES", 0)
    return stage.api.patch("/workspace/", {"slug": "acme-2"})


@CASES.sends("bad_list", 400)
def _(stage: Stage) -> Any:
    body = {"name": "New", "scopes": ["read"], "allowed_models": ["a\u2028b"]}
    return stage.api.post("/app-keys/", body)


@CASES.sends("changed_meanwhile", 409)
def _(stage: Stage) -> Any:
    row = stage.credential()
    send = stage.answers.send

    def and_change(*arguments: Any, **options: Any) -> Any:
        with all_tenants():
            ProviderCredential.objects.filter(pk=row.pk).update(version=9)
        return send(*arguments, **options)

    stage.patch.setattr("providers.transport.sync_client.send", and_change)
    values = {"api_key": factories.marked_secret()}
    return stage.api.patch(f"/providers/openai/credentials/{row.pk}/", {"values": values})


# Providers and models


@CASES.sends("unknown_provider", 404)
def _(stage: Stage) -> Any:
    return stage.api.get("/providers/nothing/")


@CASES.sends("no_such_credential", 404)
def _(stage: Stage) -> Any:
    return stage.api.get(f"/providers/openai/credentials/{NOBODY}/")


@CASES.sends("no_credential", 409)
def _(stage: Stage) -> Any:
    return stage.api.post("/providers/openai/refresh/")


@CASES.sends("key_required", 400)
def _(stage: Stage) -> Any:
    row = stage.credential()
    body = {"values": {"base_url": "https://other.example/v1"}}
    return stage.api.patch(f"/providers/openai/credentials/{row.pk}/", body)


@CASES.sends("check_required", 400)
def _(stage: Stage) -> Any:
    body = {"name": "Main", "values": {"api_key": factories.marked_secret()}, "check": False}
    return stage.api.post("/providers/openai/credentials/", body)


@CASES.sends("credential_unreadable", 503)
def _(stage: Stage) -> Any:
    row = stage.credential()
    with all_tenants():
        ProviderCredential.objects.filter(pk=row.pk).update(version=9)
    return stage.api.patch(f"/providers/openai/credentials/{row.pk}/", {"values": {"project": "p"}})


@CASES.sends("keys_not_ready", 503)
def _(stage: Stage) -> Any:
    stage.patch.setattr("django.conf.settings.MODELKEEP_MASTER_KEYS", "")
    body = {"name": "Main", "values": {"api_key": factories.marked_secret()}}
    return stage.api.post("/providers/openai/credentials/", body)


@CASES.sends("invalid_order", 400)
def _(stage: Stage) -> Any:
    stage.credential()
    return stage.api.put("/providers/openai/credential-order/", {"order": [str(NOBODY)]})


@CASES.sends("model_not_found", 404)
def _(stage: Stage) -> Any:
    return stage.api.get("/models/openai/nothing/")


@CASES.sends("model_not_found", 400)
def _(stage: Stage) -> Any:
    return stage.api.put("/default-models/reasoning/", {"model": "openai/nothing", "fallbacks": []})


@CASES.sends("model_exists", 409)
def _(stage: Stage) -> Any:
    stage.credential()
    body = {"model": SHIPPED, "type": "reasoning", "check": False}
    return stage.api.post("/providers/openai/models/", body | {"check": True})


@CASES.sends("model_disabled", 400)
def _(stage: Stage) -> Any:
    stage.credential()
    assert stage.api.patch(f"/models/openai/{SHIPPED}/", {"enabled": False}).status_code == 200
    body = {"model": f"openai/{SHIPPED}", "fallbacks": []}
    return stage.api.put("/default-models/reasoning/", body)


@CASES.sends("wrong_type", 400)
def _(stage: Stage) -> Any:
    stage.credential()
    body = {"model": f"openai/{SHIPPED}", "fallbacks": []}
    return stage.api.put("/default-models/embedding/", body)


@CASES.sends("not_added", 409)
def _(stage: Stage) -> Any:
    stage.credential()
    return stage.api.delete(f"/models/openai/{SHIPPED}/")


@CASES.sends("unknown_scenario", 404)
def _(stage: Stage) -> Any:
    return stage.api.put("/default-models/nothing/", {"model": "a/b", "fallbacks": []})


# People and app keys


@CASES.sends("bad_email", 400)
def _(stage: Stage) -> Any:
    return stage.api.post("/invitations/", {"email": "nobody", "role": "viewer"})


@CASES.sends("already_member", 409)
def _(stage: Stage) -> Any:
    email = stage.space.viewer.email
    return stage.api.post("/invitations/", {"email": email, "role": "viewer"})


@CASES.sends("role_too_high", 403)
def _(stage: Stage) -> Any:
    return stage.api.post("/invitations/", {"email": "a@example.org", "role": "owner"})


@CASES.sends("no_such_member", 404)
def _(stage: Stage) -> Any:
    return stage.api.get("/members/987654/")


@CASES.sends("no_such_invitation", 404)
def _(stage: Stage) -> Any:
    return stage.api.delete(f"/invitations/{NOBODY}/")


@CASES.sends("scope_too_wide", 403)
def _(stage: Stage) -> Any:
    _row, client = stage.key(scopes=["read", "manage"])
    return client.post("/app-keys/", {"name": "New", "scopes": ["use"]})


@CASES.sends("limits_too_wide", 403)
def _(stage: Stage) -> Any:
    _row, client = stage.key(allowed_providers=["openai"])
    return client.post("/app-keys/", {"name": "New", "scopes": ["read"]})


@CASES.sends("expires_in_past", 400)
def _(stage: Stage) -> Any:
    body = {"name": "New", "scopes": ["read"], "expires": "2020-01-01T00:00:00Z"}
    return stage.api.post("/app-keys/", body)


@CASES.sends("expired_key", 409)
def _(stage: Stage) -> Any:
    row, _client = stage.key()
    with all_tenants():
        AppKey.objects.filter(pk=row.pk).update(expires=timezone.now())
    return stage.api.post(f"/app-keys/{row.pk}/rotate/", {})


@CASES.sends("no_such_app_key", 404)
def _(stage: Stage) -> Any:
    return stage.api.delete(f"/app-keys/{NOBODY}/")


@CASES.sends("no_such_key", 404)
def _(stage: Stage) -> Any:
    return stage.api.get(f"/app-keys/{NOBODY}/")


@CASES.sends("no_such_call", 404)
def _(stage: Stage) -> Any:
    return stage.api.get(f"/usage/calls/{NOBODY}/")


@pytest.mark.parametrize(("code", "status"), [*CASES])
def test_the_code_is_sent(stage: Stage, code: str, status: int) -> None:
    error(CASES[code, status](stage), status, code)


# Ends of calls that are only recorded

RECORDED = Cases()


@RECORDED.sends("not_sent", 0)
def _(stage: Stage) -> None:
    hold_and_reap(stage, sent=False)


@RECORDED.sends("unknown", 0)
def _(stage: Stage) -> None:
    hold_and_reap(stage, sent=True)


def hold_and_reap(stage: Stage, *, sent: bool) -> None:
    start = datetime.now(UTC)
    with all_tenants():
        pool = make_pool(stage.tenant)
        hold = ledger.hold(request_for(pool), now=start)
        if sent:
            ledger.mark_sent(tenant_id=stage.tenant.pk, hold_id=hold.hold_id)
        reap(now=start + timedelta(hours=1))


@pytest.mark.parametrize("code", [code for code, _status in RECORDED])
def test_the_code_is_in_the_list_of_calls(stage: Stage, code: str) -> None:
    RECORDED[code, 0](stage)
    (call,) = stage.api.get("/usage/calls/").json()["results"]
    assert call["error_code"] == code
