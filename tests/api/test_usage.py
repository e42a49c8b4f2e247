"""Trials, call records, CSV and sums through the REST API."""

from __future__ import annotations

import csv
import io
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from quotas.models import CreditPool, TrialPlan
from quotas.templatetags.usage_ui import amount, costs
from quotas.usage.summaries import Cost
from tenants.scope import tenant_scope
from tests import factories
from tests.api.conftest import CALL_FIELDS, Api, error


def record(workspace: factories.Workspace, **changes: Any) -> Any:
    return factories.make_call(
        workspace.tenant, **{"cost": Decimal("0.00043"), "currency": "USD"} | changes
    )


def test_calls_have_the_promised_fields(api: Api, acme: factories.Workspace) -> None:
    made = record(acme)
    body = api.get("/usage/calls/").json()
    assert body["next"] is None
    [found] = body["results"]
    assert set(found) >= CALL_FIELDS
    assert found["id"] == str(made.pk)
    assert (found["prompt_tokens"], found["completion_tokens"], found["usage_source"]) == (
        12,
        40,
        "reported",
    )
    assert Decimal(found["cost"]) == Decimal("0.00043")
    assert found["app_key"] == "CI"
    assert api.get(f"/usage/calls/{made.pk}/").json() == found


def test_what_is_not_known_is_null(api: Api, acme: factories.Workspace) -> None:
    record(
        acme,
        cost=None,
        currency="",
        prompt_tokens=None,
        completion_tokens=None,
        usage_source="none",
    )
    [found] = api.get("/usage/calls/").json()["results"]
    assert found["cost"] is None
    assert found["prompt_tokens"] is None


@pytest.mark.parametrize(
    ("cost", "shown"),
    [("0", "0"), ("0.00042", "0.00042"), ("0.0000000001", "0.0000000001"), ("100", "100")],
)
def test_amounts_are_plain_decimals_everywhere(
    api: Api, acme: factories.Workspace, cost: str, shown: str
) -> None:
    record(acme, cost=Decimal(cost))
    assert api.get("/usage/calls/").json()["results"][0]["cost"] == shown
    [row] = csv.DictReader(io.StringIO(api.get("/usage/calls/?format=csv").content.decode()))
    assert row["cost"] == shown
    assert api.get("/usage/summary/?by=model").json()["results"][0]["costs"] == [
        {"currency": "USD", "amount": shown}
    ]


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        ("0E-10", "0"),
        ("0.0004200000", "0.00042"),
        ("0.0000000001", "0.0000000001"),
        ("0.00123456", "0.00123"),
        ("0.1", "0.10"),
        ("0.99999", "1.00"),
        ("1234.5", "1,234.50"),
    ],
)
def test_amounts_on_pages(cost: str, shown: str) -> None:
    assert amount(Decimal(cost)) == shown
    assert costs([Cost("USD", Decimal(cost))]) == f"{shown} USD"


def test_calls_are_newest_first_filtered_and_paged(api: Api, acme: factories.Workspace) -> None:
    for number in range(5):
        record(acme, request_id=f"own-{number}", pk=uuid.UUID(int=number))
    record(acme, request_id="trial", source="trial:openai", model="gpt-3.5-turbo")
    rows = api.get("/usage/calls/").json()["results"]
    assert [row["request_id"] for row in rows] == [
        "trial",
        "own-4",
        "own-3",
        "own-2",
        "own-1",
        "own-0",
    ]
    first = api.get("/usage/calls/?limit=4").json()
    second = api.get(f"/usage/calls/?limit=4&after={first['next']}").json()
    assert first["results"] + second["results"] == rows
    assert second["next"] is None
    for query, count in (
        ("model=gpt-3.5-turbo", 1),
        ("model=openai/gpt-4o", 5),
        ("source=trial", 1),
        ("source=credential:Main", 5),
        ("source=credential", 5),
        ("source=credential:Other", 0),
    ):
        assert len(api.get(f"/usage/calls/?{query}").json()["results"]) == count, query
    error(api.get("/usage/calls/?after=x"), 400, "invalid_request")


@pytest.mark.parametrize("how", [{"path": "?format=csv"}, {"Accept": "text/csv"}])
def test_csv(api: Api, acme: factories.Workspace, how: dict[str, str]) -> None:
    record(acme, app_key_name="=HYPERLINK(1)", source='credential:"quoted", with comma')
    how = dict(how)
    response = api.get(f"/usage/calls/{how.pop('path', '')}", **how)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in response["Content-Disposition"]
    [row] = csv.DictReader(io.StringIO(response.content.decode()))
    assert set(row) >= CALL_FIELDS
    assert row["app_key"] == "'=HYPERLINK(1)"
    assert row["source"] == 'credential:"quoted", with comma'
    assert row["prompt_tokens"] == "12"
    assert row["scenario"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_taken_for_a_formula(api: Api, acme: factories.Workspace, start: str) -> None:
    record(acme, model=f"{start}cmd")
    [row] = csv.DictReader(io.StringIO(api.get("/usage/calls/?format=csv").content.decode()))
    assert row["model"] == f"'{start}cmd"


def test_csv_pages_go_on(api: Api, acme: factories.Workspace) -> None:
    for number in range(3):
        record(acme, request_id=f"own-{number}")
    response = api.get("/usage/calls/?format=csv&limit=2")
    rest = api.get(f"/usage/calls/?format=csv&limit=2&after={response['X-Next-Cursor']}")
    assert len(list(csv.DictReader(io.StringIO(rest.content.decode())))) == 1
    assert "X-Next-Cursor" not in rest


def test_errors_stay_json_where_csv_was_asked_for(api: Api, nobody: Api) -> None:
    error(nobody.get("/usage/calls/", Accept="text/csv"), 401, "missing_key")
    assert error(api.get("/usage/calls/?format=xml"), 400, "invalid_request")["param"] == "format"
    error(api.get("/usage/calls/?format=csv&limit=0"), 400, "invalid_request")


def test_another_workspaces_calls_are_not_there(other: Api, acme: factories.Workspace) -> None:
    made = record(acme)
    assert other.get("/usage/calls/").json()["results"] == []
    assert other.get(f"/usage/calls/?after={made.pk}").json()["results"] == []
    error(other.get(f"/usage/calls/{made.pk}/"), 404, "no_such_call")
    error(other.get(f"/usage/calls/{uuid.uuid4()}/"), 404, "no_such_call")


@pytest.mark.parametrize("by", ["day", "model", "provider", "app_key"])
def test_sums(api: Api, acme: factories.Workspace, by: str) -> None:
    record(acme)
    record(
        acme,
        cost=None,
        currency="",
        status="error",
        error_code="provider_error",
        prompt_tokens=None,
        completion_tokens=None,
    )
    body = api.get(f"/usage/summary/?days=7&by={by}").json()
    assert body["days"] == 7
    assert body["by"] == by
    assert body["next"] is None
    row = body["results"][-1]
    assert (row["calls"], row["errors"], row["prompt_tokens"], row["completion_tokens"]) == (
        2,
        1,
        12,
        40,
    )
    assert [cost["currency"] for cost in row["costs"]] == ["USD"]
    assert Decimal(row["costs"][0]["amount"]) == Decimal("0.00043")
    assert {"model": "openai/gpt-4o", "provider": "openai", "app_key": "CI"}.get(
        by, row["key"]
    ) == row["key"]


def test_sums_that_are_refused(api: Api) -> None:
    for query in ("days=0", "days=x", "by=week", "after=x"):
        error(api.get(f"/usage/summary/?{query}"), 400, "invalid_request")


def test_trials(api: Api, other: Api, acme: factories.Workspace) -> None:
    plan = TrialPlan.objects.get(slug="openai")
    with tenant_scope(acme.tenant):
        CreditPool.objects.update_or_create(
            tenant=acme.tenant, plan=plan, defaults={"limit": 500, "settled": 120, "held": 1}
        )
    found = {row["plan"]: row for row in api.get("/trials/").json()["results"]}["openai"]
    assert (found["provider"], found["limit"], found["settled"], found["held"], found["left"]) == (
        "openai",
        500,
        120,
        1,
        379,
    )
    assert {"model": "gpt-3.5-turbo", "credits": 1} in found["models"]
    assert "379" not in other.get("/trials/").content.decode()


def test_queries_do_not_grow(api: Api, acme: factories.Workspace) -> None:
    counts = []
    for _number in range(3):
        record(acme)
        api.get("/workspace/")
        found = []
        for path in ("/usage/calls/", "/usage/calls/?format=csv", "/usage/summary/", "/trials/"):
            with CaptureQueriesContext(connection) as captured:
                assert api.get(path).status_code == 200
            found.append(len(captured))
        counts.append(found)
    assert counts[0] == counts[2]
