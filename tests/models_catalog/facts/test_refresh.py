"""Operators load newer facts: for all workspaces, at once or not at all, and back again."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core.errors import Conflict, ServiceError
from models_catalog import queries
from models_catalog.facts import library, refresh
from models_catalog.facts.refresh import NeedsSecondLook
from models_catalog.facts.values import BadFact
from models_catalog.models import CatalogSnapshot
from models_catalog.services import models
from tenants.audit.trail import COMMAND
from tenants.models import AuditEntry, Tenant
from tenants.scope import all_tenants, tenant_scope
from tests.factories import Workspace, make_credential

pytestmark = pytest.mark.django_db
NAME = "gpt-6-luna"
Edit = Callable[[dict[str, Any]], Any]


@pytest.fixture(autouse=True)
def as_shipped() -> Iterator[None]:
    """What counts is of the process: no test leaves its facts to the next one."""
    yield
    library.use({})
    refresh._loaded = None


@pytest.fixture
def commits(django_capture_on_commit_callbacks: Any) -> Any:
    return lambda: django_capture_on_commit_callbacks(execute=True)


def newer(edit: Edit | None = None, *, days: int = 1) -> bytes:
    """A file of everything that is in effect, of a later day, with one model changed."""
    document = copy.deepcopy(refresh.export())
    document["date"] = (date.fromisoformat(document["date"]) + timedelta(days=days)).isoformat()
    if edit is not None:
        edit(next(row for row in document["providers"]["openai"]["model"] if row["name"] == NAME))
    return json.dumps(document).encode()


def dearer(row: dict[str, Any]) -> None:
    row["price"] = {"currency": "USD", "input": "0.15", "output": "0.5"}
    row["context_window"] = 2_000_000


def entry(workspace: Workspace, model: str = NAME) -> Any:
    with tenant_scope(workspace.tenant):
        return queries.entry(tenant_id=workspace.tenant.pk, provider="openai", model=model)


def price(workspace: Workspace) -> str:
    return str(entry(workspace).price.input)


def load(commits: Any, data: bytes, **options: Any) -> Any:
    with commits():
        return refresh.load(actor=COMMAND, data=data, **options)


def run(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("refresh_catalog", *arguments, stdout=out, **options)
    return out.getvalue()


# ------------------------------------------------------------------------------------------ loading


def test_new_facts_count_for_everybody_and_overrides_stay(
    acme: Workspace, globex: Workspace, commits: Any
) -> None:
    with tenant_scope(acme.tenant):
        models.override(
            tenant=acme.tenant,
            actor=COMMAND,
            provider="openai",
            model=NAME,
            overrides={"price": {"currency": "EUR", "input": "7"}},
        )
    with tenant_scope(globex.tenant):
        models.override(
            tenant=globex.tenant,
            actor=COMMAND,
            provider="openai",
            model=NAME,
            overrides={"context_window": 5},
        )
    versions = dict(Tenant.objects.values_list("pk", "config_version"))
    outcome = load(commits, newer(dearer))
    assert str(outcome.changes[0]).startswith(f"price: openai/{NAME} input 0.1 -> 0.15")
    assert (price(acme), entry(acme).context_window) == ("7", 2_000_000)
    assert (price(globex), entry(globex).context_window) == ("0.15", 5)
    assert all(
        version > versions[pk]
        for pk, version in Tenant.objects.values_list("pk", "config_version")
        if pk in versions
    )


def test_who_loaded_it_is_written_down(acme: Workspace, commits: Any) -> None:
    load(commits, newer(dearer))
    with all_tenants():
        row = AuditEntry.objects.get(action="catalog.refreshed")
        assert (row.tenant.is_system, row.actor, row.object_type, row.details) == (
            True,
            "command",
            "catalog",
            {"price": 1, "other": 1},
        )
    snapshot = CatalogSnapshot.objects.get()
    assert (snapshot.in_effect, snapshot.actor, snapshot.summary) == (
        True,
        "command",
        {"price": 1, "other": 1},
    )


def test_an_unknown_provider_is_left_out_and_a_missing_one_keeps_its_files(
    acme: Workspace, commits: Any
) -> None:
    document = json.loads(newer(dearer))
    document["providers"] = {"openai": document["providers"]["openai"], "later": {"model": 5}}
    outcome = load(commits, json.dumps(document).encode())
    assert outcome.skipped == ("later",)
    assert library.shipped("anthropic") is library.from_file("anthropic")
    assert price(acme) == "0.15"


def drop(data: bytes) -> bytes:
    document = json.loads(data)
    part = document["providers"]["openai"]
    part["model"] = [row for row in part["model"] if row["name"] != "gpt-5.5"]
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "data",
    [
        lambda: drop(newer()),
        lambda: newer(lambda row: row.pop("price")),
        lambda: newer(lambda row: row["price"].update(input="0.3")),
        lambda: newer(lambda row: row["price"].update(currency="CNY")),
    ],
)
def test_what_looks_like_a_slip_needs_a_second_look(
    acme: Workspace, commits: Any, data: Callable[[], bytes]
) -> None:
    with pytest.raises(NeedsSecondLook) as refused:
        load(commits, data())
    assert len(refused.value.outcome.grave) == 1
    assert not CatalogSnapshot.objects.exists()
    assert (price(acme), entry(acme, "gpt-5.5") is not None) == ("0.1", True)
    load(commits, data(), accept=True)
    assert CatalogSnapshot.objects.get().in_effect


def test_what_is_older_is_refused_whatever_is_accepted(acme: Workspace, commits: Any) -> None:
    old = newer(days=-1)
    with pytest.raises(Conflict, match=r"."):
        load(commits, old, accept=True)
    same_day = newer(dearer)
    load(commits, newer(days=2))
    with pytest.raises(Conflict) as refused:
        load(commits, same_day)
    assert refused.value.code == "older"
    load(commits, newer(dearer, days=0))
    assert price(acme) == "0.15", "of the same day it may be mended"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"[" * 5000,
        b'{"format": "modelkeep-catalog/1"}',
    ],
)
def test_what_is_no_snapshot_changes_nothing(commits: Any, data: bytes) -> None:
    with pytest.raises(BadFact):
        load(commits, data)
    assert not CatalogSnapshot.objects.exists()


def test_a_file_without_end_is_refused(commits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "MOST_BYTES", 10)
    with pytest.raises(ServiceError):
        load(commits, newer())


def test_a_rehearsal_changes_nothing(acme: Workspace, commits: Any) -> None:
    outcome = load(commits, newer(lambda row: row["price"].update(input="0.3")), dry_run=True)
    assert [change.kind for change in outcome.changes] == ["price jump"]
    assert not CatalogSnapshot.objects.exists()
    assert price(acme) == "0.1"


def test_it_is_applied_whole_or_not_at_all(
    acme: Workspace, commits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(commits, newer(dearer))
    versions = dict(Tenant.objects.values_list("pk", "config_version"))
    monkeypatch.setattr(refresh, "_prune", lambda: 1 / 0)
    data = newer(lambda row: row["price"].update(input="0.2"))
    with pytest.raises(ZeroDivisionError):
        load(commits, data)
    assert dict(Tenant.objects.values_list("pk", "config_version")) == versions
    assert CatalogSnapshot.objects.get().in_effect
    assert price(acme) == "0.15"


def test_the_database_lets_only_one_be_in_effect(
    commits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(commits, newer(dearer))
    # The other refresh ends between our look and our write.
    monkeypatch.setattr(
        CatalogSnapshot.objects, "filter", lambda **_wanted: CatalogSnapshot.objects.none()
    )
    with pytest.raises(Conflict) as refused, transaction.atomic():
        refresh._put(
            CatalogSnapshot(date=date(2030, 1, 1), document={}),
            COMMAND,
            "catalog.refreshed",
            refresh.Outcome(date(2030, 1, 1), ()),
        )
    assert refused.value.code == "busy"


# ---------------------------------------------------------------------------------- other processes


def test_another_process_notices_by_one_small_query(acme: Workspace, commits: Any) -> None:
    load(commits, newer(dearer))
    library.use({})
    refresh._loaded = None  # as a process that started before
    assert price(acme) == "0.1"
    assert refresh.reload()
    assert price(acme) == "0.15"
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert not refresh.reload()
    assert len(seen) == 1
    assert "document" not in seen[0]["sql"].split("WHERE")[0]


def test_no_call_asks_for_the_catalog(acme: Workspace, commits: Any) -> None:
    with tenant_scope(acme.tenant):
        make_credential(acme.tenant)
    load(commits, newer(dearer))
    with CaptureQueriesContext(connection) as seen:
        assert entry(acme) is not None
    assert not [query for query in seen if "catalogsnapshot" in query["sql"]]


def test_a_later_release_outdates_it(
    acme: Workspace, commits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(commits, newer(dearer))
    monkeypatch.setattr(refresh, "shipped_on", lambda: date(2099, 1, 1))
    assert refresh.in_effect() is None
    assert refresh.reload()
    assert price(acme) == "0.1"


def test_what_another_release_wrote_and_this_one_cannot_read_is_left_out(
    acme: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    CatalogSnapshot.objects.create(
        date=date(2030, 1, 1), document={"format": "modelkeep-catalog/9"}, in_effect=True
    )
    assert refresh.reload()
    assert price(acme) == "0.1"
    assert "Cannot read" in caplog.text


# --------------------------------------------------------------------------------------- back again


def test_the_previous_state_comes_back_step_by_step(acme: Workspace, commits: Any) -> None:
    load(commits, newer(dearer))
    load(commits, newer(lambda row: row["price"].update(input="0.2")))
    assert price(acme) == "0.2"
    for expected in ("0.15", "0.1"):
        with commits():
            outcome = refresh.restore_previous(actor=COMMAND)
        assert outcome.changes
        assert price(acme) == expected
    with pytest.raises(Conflict) as refused:
        refresh.restore_previous(actor=COMMAND)
    assert refused.value.code == "no_snapshot"


def test_going_back_can_be_rehearsed(acme: Workspace, commits: Any) -> None:
    load(commits, newer(dearer))
    with commits():
        assert refresh.restore_previous(actor=COMMAND, dry_run=True).changes
    assert price(acme) == "0.15"


def test_old_ones_go_but_what_would_come_back_stays(
    commits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "KEPT_SNAPSHOTS", 2)
    for _number in range(4):
        load(commits, newer())
    assert CatalogSnapshot.objects.count() == 2
    current = CatalogSnapshot.objects.get(in_effect=True)
    assert current.previous is not None


# --------------------------------------------------------------------------- the command, the admin


def test_the_command_from_end_to_end(acme: Workspace, tmp_path: Path, commits: Any) -> None:
    file = tmp_path / "catalog.json"
    run(str(file), "--export")
    assert "No differences; nothing was changed." in run(str(file), "--dry-run")
    file.write_bytes(newer(dearer))
    assert f"price: openai/{NAME}" in run(str(file), "--dry-run")
    with commits():
        assert "are in effect." in run(str(file))
    assert price(acme) == "0.15"
    exported = json.loads(run("-", "--export"))["providers"]["openai"]
    [row] = [row for row in exported["model"] if row["name"] == NAME]
    assert row.pop("earlier_prices")[0]["input"] == "0.1"
    assert row["price"].pop("since") == exported["sources"].pop("earlier")["date"]
    assert exported == json.loads(file.read_bytes())["providers"]["openai"]
    with commits():
        answer = json.loads(run("--previous", "--json"))
    assert answer["applied"]
    assert price(acme) == "0.1"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--export"],
        ["file.json", "--previous"],
        ["/nowhere/file.json"],
        ["/nowhere/x.json", "--export"],
        ["--previous"],
    ],
)
def test_what_the_command_cannot_do_it_says(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)


def test_the_command_names_file_provider_model_and_fact(tmp_path: Path) -> None:
    file = tmp_path / "catalog.json"
    file.write_bytes(newer(lambda row: row.update(context_window=0)))
    with pytest.raises(CommandError, match=rf"catalog\.json: openai: {NAME}: context_window: "):
        run(str(file))
    file.write_bytes(drop(newer()))
    with pytest.raises(
        CommandError, match=r"dropped: openai/gpt-5\.5\nNothing was changed\..*--accept"
    ):
        run(str(file))


def test_operators_see_what_is_in_effect(client: Client, operator: Any, commits: Any) -> None:
    client.force_login(operator)
    address = reverse("admin:models_catalog_catalogsnapshot_changelist")
    assert "the facts of this release, as of 2026-" in client.get(address).content.decode()
    load(commits, newer(dearer))
    row = CatalogSnapshot.objects.get()
    assert f"the snapshot of {row.date}" in client.get(address).content.decode()
    page = client.get(
        reverse("admin:models_catalog_catalogsnapshot_change", args=[row.pk])
    ).content.decode()
    assert "other: 1, price: 1" in page
    assert (
        client.post(
            reverse("admin:models_catalog_catalogsnapshot_delete", args=[row.pk]), {"post": "yes"}
        ).status_code
        == 403
    )
