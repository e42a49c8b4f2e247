"""The probes answer anybody, say what is wrong, and tell nothing else."""

from __future__ import annotations

import logging

import pytest
from django.db import DatabaseError, connection
from django.test import Client, override_settings

from console.doctor import readiness
from gateway.dataplane.store.spool import FILE, REJECTED
from tenants.crypto import keys
from tenants.installation import secret_key_problem
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db
OTHER_KEY = "m1:x8Ue0jS3v1bY2JwqYcN4oPz6rTg9hLkQmWdFaVuBiEs="


def test_healthz_needs_no_database(client: Client, django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_probes_come_by_address_and_without_https() -> None:
    with override_settings(ALLOWED_HOSTS=["hub.example.org"], SECURE_SSL_REDIRECT=True):
        for path in ("/healthz", "/readyz"):
            answer = Client(HTTP_HOST="10.2.3.4:8000").get(path)
            assert answer.status_code == 200
            assert answer["Cache-Control"] == "no-store"
            assert not answer.cookies


def test_readyz_lists_its_checks(client: Client) -> None:
    assert client.get("/readyz").json() == {
        "status": "ok",
        "checks": {
            "stopping": "ok",
            "database": "ok",
            "migrations": "ok",
            "master_keys": "ok",
            "records": "ok",
            "read_only": "ok",
            "spool": "ok",
            "disk": "ok",
            "secret_key": "ok",
        },
    }


def test_what_calls_survive_is_told_as_degraded(
    client: Client, monkeypatch, settings, tmp_path
) -> None:
    settings.DATA_DIR = tmp_path
    for name in (FILE, REJECTED):
        (tmp_path / name).write_text("{}\n")
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert "ends of calls" in answer.json()["checks"]["spool"].lower()
        assert str(tmp_path) not in answer.content.decode()
        (tmp_path / name).unlink()
    assert client.get("/readyz").json()["status"] == "ok"
    monkeypatch.setattr(readiness, "LEAST_FREE", 2**62)
    assert "disk" in client.get("/readyz").json()["checks"]["disk"]


def test_another_secret_key_is_told_as_degraded(client: Client) -> None:
    make_tenant("acme")
    secret_key_problem(adopt=True)
    assert client.get("/readyz").json()["status"] == "ok"
    with override_settings(SECRET_KEY="of-another-machine-0123456789"):
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert "SECRET_KEY" in answer.json()["checks"]["secret_key"]


def test_readyz_names_a_missing_database_without_its_address(
    client: Client, monkeypatch, caplog
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise DatabaseError("connection to 10.9.8.7 as modelkeep failed")

    monkeypatch.setattr(connection, "cursor", refuse)
    with caplog.at_level(logging.WARNING):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "10.9.8.7" not in answer.content.decode()
    assert "10.9.8.7" in caplog.text


def test_readyz_counts_migrations_that_are_missing(client: Client, monkeypatch) -> None:
    monkeypatch.setattr(readiness, "_migrated", type(readiness._migrated)())
    monkeypatch.setattr(
        readiness.MigrationExecutor,
        "migration_plan",
        lambda *_args: [("one", False), ("two", False)],
    )
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["migrations"].startswith("2 migrations")


def test_readyz_notices_another_master_key(client: Client) -> None:
    keys.make_key_pair(tenant=make_tenant("acme", with_keys=False))
    assert client.get("/readyz").status_code == 200
    with override_settings(MODELKEEP_MASTER_KEYS=OTHER_KEY):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "master key" in answer.json()["checks"]["master_keys"].lower()
    assert OTHER_KEY[3:] not in answer.content.decode()


def test_probes_take_no_post(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
