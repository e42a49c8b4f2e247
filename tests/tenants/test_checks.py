"""`manage.py check`: every id with the setting that causes it, and silence where all is well."""

from __future__ import annotations

import base64
import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import run_checks

from tenants import checks
from tests.factories import Workspace

GOOD = base64.b64encode(hashlib.sha256(b"checks").digest()).decode()
PUBLIC = {
    "SITE_URL": "https://hub.example.org",
    "ALLOWED_HOSTS": ["hub.example.org"],
    "MODELKEEP_DEMO_PROVIDER": False,
}


def found(**options: Any) -> dict[str, Any]:
    return {
        message.id: message
        for message in run_checks(**options)
        if message.id and message.id.startswith("modelkeep.")
    }


@pytest.fixture(autouse=True)
def no_ports_in_hosts(settings: Any) -> None:
    settings.SITE_URL = "http://localhost:8000"


def test_a_first_start_is_silent() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"MODELKEEP_MASTER_KEYS": ""}, "modelkeep.E001"),
        ({"SITE_URL": "https://elsewhere.example.org"}, "modelkeep.E002"),
        ({"MODELKEEP_MASTER_KEYS": "m1:" + "A" * 43 + "="}, "modelkeep.E003"),
        ({"MODELKEEP_MASTER_KEYS": GOOD}, "modelkeep.E004"),
        ({"MODELKEEP_MASTER_KEYS": "m1:c2hvcnQ="}, "modelkeep.E005"),
        ({"MODELKEEP_MASTER_KEYS": f"m1:{GOOD},m2:{GOOD}"}, "modelkeep.E006"),
        ({"MODELKEEP_MASTER_KEYS": f"m1:{GOOD}", "SECRET_KEY": GOOD}, "modelkeep.E007"),
        ({**PUBLIC, "DEBUG": True}, "modelkeep.W001"),
        ({"CONTENT_SECURITY_POLICY": ""}, "modelkeep.W004"),
        (
            {"CONTENT_SECURITY_POLICY": "default-src 'none'; script-src 'unsafe-inline'"},
            "modelkeep.W004",
        ),
        ({"USE_TZ": False}, "modelkeep.W006"),
        ({"MODELKEEP_EGRESS_ALLOW": ["127.0.0.1:11434"]}, "modelkeep.W102"),
        ({"MODELKEEP_EGRESS_ALLOW": ["http://127.0.0.1:11434/v1"]}, "modelkeep.W102"),
        ({"MODELKEEP_EGRESS_ALLOW": ["https://*.example.org"]}, "modelkeep.W102"),
        ({"MODELKEEP_EGRESS_ALLOW": ["ftp://models.example.org"]}, "modelkeep.W102"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named_with_a_hint(
    settings: Any, changed: dict[str, Any], expected: str
) -> None:
    for name, value in changed.items():
        setattr(settings, name, value)
    messages = found()
    assert set(messages) == {expected}
    assert messages[expected].hint
    assert GOOD not in str(messages[expected])


def on_database(monkeypatch: pytest.MonkeyPatch, vendor: str) -> None:
    monkeypatch.setattr(checks, "connection", SimpleNamespace(vendor=vendor))


@pytest.mark.parametrize(
    ("vendor", "demo", "expected"),
    [
        ("postgresql", False, set()),
        ("postgresql", True, {"modelkeep.W005"}),
        ("sqlite", False, {"modelkeep.W002"}),
    ],
)
def test_a_server_that_others_reach(
    settings: Any, monkeypatch: pytest.MonkeyPatch, vendor: str, demo: bool, expected: set[str]
) -> None:
    for name, value in (PUBLIC | {"MODELKEEP_DEMO_PROVIDER": demo}).items():
        setattr(settings, name, value)
    on_database(monkeypatch, vendor)
    assert set(found(include_deployment_checks=True)) == expected
    assert found() == {}


def test_whole_origins_may_be_allowed(settings: Any) -> None:
    settings.MODELKEEP_EGRESS_ALLOW = [
        "http://127.0.0.1:11434",
        " https://models.example.org/",
        "http://[::1]:8000",
    ]
    assert found() == {}


def test_sqlite_and_the_demo_are_right_on_ones_own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    on_database(monkeypatch, "sqlite")
    assert found(include_deployment_checks=True) == {}


def test_no_secret_key(settings: Any) -> None:
    class Empty:
        SECRET_KEY = ""
        MODELKEEP_MASTER_KEYS = f"m1:{GOOD}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "settings", Empty)
        assert [message.id for message in checks.check_secrets(None)] == ["modelkeep.E008"]


def test_the_wrong_master_key_is_seen_in_the_database(acme: Workspace, settings: Any) -> None:
    assert found(databases=["default"]) == {}
    settings.MODELKEEP_MASTER_KEYS = f"m1:{GOOD}"
    assert set(found(databases=["default"])) == {"modelkeep.E009"}


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("localhost", False),
        ("127.0.0.1", False),
        ("[::1]", False),
        ("10.0.0.1", True),
        ("*", True),
        ("hub.local", True),
    ],
)
def test_who_can_reach_it(settings: Any, host: str, public: bool) -> None:
    settings.ALLOWED_HOSTS = [host]
    assert checks.is_public() == public
