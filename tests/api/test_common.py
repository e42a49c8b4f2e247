"""What every endpoint does alike: keys, input, errors, lists."""

from __future__ import annotations

import json
from datetime import timedelta
from unittest import mock

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from tenants.audit.trail import COMMAND
from tenants.models import AppKey
from tenants.scope import tenant_scope
from tenants.services import app_keys
from tests import factories
from tests.api.conftest import Api, error


def test_without_a_key(nobody: Api) -> None:
    found = error(nobody.get("/providers/"), 401, "missing_key")
    assert found["type"] == "authentication_error"
    assert nobody.get("/providers/")["WWW-Authenticate"].startswith("Bearer")


def test_a_session_is_no_key(acme: factories.Workspace) -> None:
    client = Client()
    client.force_login(acme.owner)
    assert client.get("/api/v1/providers/").status_code == 401


@pytest.mark.parametrize("key", ["x", "mk_live_" + "0" * 49, "Bearer", "sk-1234"])
def test_a_malformed_key_costs_no_query(db: None, key: str, django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        error(Api(key).get("/providers/"), 401, "malformed_key")


def test_an_unknown_revoked_or_expired_key(acme: factories.Workspace) -> None:
    from tenants.auth.key_format import new_key

    error(Api(new_key()).get("/providers/"), 401, "unknown_key")
    row, text = factories.make_app_key(acme.tenant, name="Short-lived")
    assert Api(text).get("/workspace/").status_code == 200
    with tenant_scope(acme.tenant):
        AppKey.objects.filter(pk=row.pk).update(expires=timezone.now() - timedelta(seconds=1))
        error(Api(text).get("/workspace/"), 401, "expired_key")
        AppKey.objects.filter(pk=row.pk).update(expires=None)
        app_keys.revoke_app_key(tenant=acme.tenant, app_key_id=row.pk, actor=COMMAND)
    error(Api(text).get("/workspace/"), 401, "revoked_key")


def test_two_different_keys_at_once(api: Api, other: Api) -> None:
    key = other.headers["Authorization"].removeprefix("Bearer ")
    error(api.get("/providers/", **{"x-api-key": key}), 400, "two_keys")


def test_scopes(api: Api, reader: Api, narrow: Api) -> None:
    assert reader.get("/workspace/").status_code == 200
    assert (
        error(reader.patch("/workspace/", {"name": "New"}), 403, "key_scope")["type"]
        == "permission_error"
    )
    error(narrow.get("/workspace/"), 403, "key_scope")
    assert api.patch("/workspace/", {"name": "New"}).json()["name"] == "New"


def test_a_key_is_refused_before_its_body_is_read(nobody: Api, narrow: Api) -> None:
    assert nobody.call("PATCH", "/workspace/", raw=b"{").status_code == 401
    assert narrow.call("PATCH", "/workspace/", raw=b"{").status_code == 403


@pytest.mark.parametrize(
    "path", ["/", "/nothing/", "/provider", "/models/openai", "/members/x/", "/usage/calls/1/"]
)
def test_unknown_paths_are_json_too(api: Api, path: str) -> None:
    error(api.get(path), 404, "unknown_path")


def test_a_slash_at_the_end_makes_no_difference(api: Api) -> None:
    for path in ("/workspace", "/providers", "/models/demo/demo-chat", "/default-models/reasoning"):
        plain, with_slash = api.get(path), api.get(f"{path}/")
        assert plain.status_code == with_slash.status_code
        if plain.status_code == 200:
            assert plain.json() == with_slash.json()
    assert api.patch("/workspace/", {"name": "New"}).json() == api.get("/workspace").json()
    error(api.get("/workspace//"), 404, "unknown_path")


@pytest.mark.parametrize("value", ["True", "1", "yes", ""])
def test_a_flag_in_a_query_is_true_or_false(api: Api, value: str) -> None:
    assert api.get("/models?enabled=true&callable=false").status_code == 200
    assert error(api.get(f"/models?enabled={value}"), 400, "invalid_request")["param"] == "enabled"


def test_a_method_that_is_not_there(api: Api) -> None:
    response = api.delete("/workspace/")
    error(response, 405, "method_not_allowed")
    assert set(response["Allow"].replace(" ", "").split(",")) >= {"GET", "PATCH"}


def test_only_json_is_answered(api: Api) -> None:
    error(api.get("/workspace/", Accept="text/html"), 406, "not_acceptable")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "invalid_json"),
        (b'{"name": "A", "name": "B"}', "invalid_json"),
        (b'{"name": NaN}', "invalid_json"),
        (b'{"name": "\xff"}', "invalid_json"),
        (b"[" * 100 + b"]" * 100, "invalid_json"),
        (b"[]", "invalid_request"),
        (b'"name"', "invalid_request"),
        (b"{}", "invalid_request"),
        (b'{"name": 1}', "invalid_request"),
        (b'{"name": null}', "invalid_request"),
        (b'{"name": "A\\u0000"}', "invalid_request"),
        (b'{"name": "A", "slug": "B b"}', "bad_slug"),
        (b'{"name": "A", "is_active": false}', "invalid_request"),
    ],
)
def test_bodies_that_are_refused(
    api: Api, acme: factories.Workspace, raw: bytes, code: str
) -> None:
    error(api.call("PATCH", "/workspace/", raw=raw), 400, code)
    acme.tenant.refresh_from_db()
    assert acme.tenant.name == "Acme"


def test_an_unknown_field_is_named(api: Api) -> None:
    found = error(api.patch("/workspace/", {"name": "A", "colour": "red"}), 400, "invalid_request")
    assert found["param"] == "colour"


def test_an_unknown_query_parameter_is_named(api: Api) -> None:
    assert error(api.get("/workspace/?x=1"), 400, "invalid_request")["param"] == "x"
    assert error(api.get("/members/?limit=0"), 400, "invalid_request")["param"] == "limit"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=bz2_codec",
        "application/json; charset=utf-16",
    ],
)
def test_other_media_types(api: Api, content_type: str) -> None:
    error(
        api.call("PATCH", "/workspace/", {"name": "A"}, content_type=content_type),
        415,
        "unsupported_media_type",
    )


def test_utf8_may_be_said(api: Api) -> None:
    assert (
        api.call(
            "PATCH", "/workspace/", {"name": "é"}, content_type="application/json; charset=UTF-8"
        ).status_code
        == 200
    )


def test_a_large_body(api: Api) -> None:
    body = json.dumps({"name": "x" * 300_000}).encode()
    error(api.call("PATCH", "/workspace/", raw=body), 413, "too_large")
    error(api.call("PATCH", "/workspace/", raw=b" " * 1_200_000 + body), 413, "too_large")


def test_the_request_id_is_taken_over(api: Api) -> None:
    assert (
        api.get("/workspace/", **{"X-Request-Id": "my-request-1"})["X-Request-Id"] == "my-request-1"
    )
    assert (
        error(api.get("/nothing/", **{"X-Request-Id": "my-request-1"}), 404, "unknown_path")[
            "request_id"
        ]
        == "my-request-1"
    )


def test_a_lost_database_is_503(api: Api) -> None:
    with mock.patch(
        "tenants.queries.members", side_effect=OperationalError("connection refused at 10.0.0.1")
    ):
        response = api.get("/members/")
    assert "10.0.0.1" not in error(response, 503, "database_unavailable")["message"]
    assert response["Retry-After"]


def test_what_nobody_expected_is_500_without_details(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.client.raise_request_exception = False
    with mock.patch("tenants.queries.members", side_effect=RuntimeError("secret detail")):
        response = api.get("/members/")
    assert "secret detail" not in response.content.decode()
    error(response, 500, "internal_error")
    assert "Unexpected RuntimeError" in caplog.text


def test_lists_are_paged_by_cursor(api: Api, acme: factories.Workspace) -> None:
    whole = api.get("/members/").json()
    assert len(whole["results"]) == 4
    assert whole["next"] is None
    seen, after = [], ""
    while after is not None:
        found = api.get(f"/members/?limit=3{after and '&after=' + after}").json()
        seen += found["results"]
        after = found["next"]
    assert seen == whole["results"]


def test_answers_are_not_cached_and_carry_the_policy(api: Api) -> None:
    response = api.get("/workspace/")
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"
