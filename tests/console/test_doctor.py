"""The doctor finds each fault that it looks for, says what to do, and fails only for faults."""

from __future__ import annotations

import io
import json
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import override_settings

from config import instance
from console.doctor import database, examination, machine, network, readiness
from console.doctor.examination import LOOKS, NEEDS, ON_DEMAND, Examined, examine
from console.doctor.findings import Finding, Level
from gateway.dataplane.store.spool import REJECTED
from gateway.dataplane.tracing import exporting
from providers.failures.reasons import Reason
from providers.transport import sync_client
from providers.transport.failures import TransportFailure
from tenants import installation
from tenants.crypto import keys
from tenants.models import InstallationNote
from tests.factories import make_tenant
from tests.server import free_port

pytestmark = pytest.mark.django_db
OTHER_KEY = "m1:x8Ue0jS3v1bY2JwqYcN4oPz6rTg9hLkQmWdFaVuBiEs="
CACHE = "django.core.cache.backends.redis.RedisCache"


class Case(NamedTuple):
    """How a check is made to complain.

    Args:
        spoil: Does so, with the fixtures monkeypatch and tmp_path.
        says: Part of what the doctor then says.
        settings: In force meanwhile.
    """

    check: str
    level: Level
    says: str
    spoil: Callable[[pytest.MonkeyPatch, Path], Any] = lambda _patch, _folder: None
    settings: dict[str, Any] = {}


def _old_files(_patch: pytest.MonkeyPatch, folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "master_keys").touch(0o644)


def _no_cursor(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise DatabaseError("no")

    patch.setattr(connection, "cursor", refuse)


def _unmigrated(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    patch.setattr(readiness, "_migrated", threading.Event())
    plan = [("one", False)]
    patch.setattr(readiness.MigrationExecutor, "migration_plan", lambda *_args: plan)


def _other_master_key(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    keys.make_key_pair(tenant=make_tenant("acme", with_keys=False))
    patch.setattr("django.conf.settings.MODELKEEP_MASTER_KEYS", OTHER_KEY)


def _other_secret_key(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    make_tenant("acme")
    installation.secret_key_problem(adopt=True)
    patch.setattr("django.conf.settings.SECRET_KEY", "of-another-machine-0123456789")


def _old_backup(_patch: pytest.MonkeyPatch, _folder: Path) -> None:
    installation.note(installation.BACKUP, {})
    InstallationNote.objects.update(time=datetime.now(UTC) - timedelta(days=9))


def _unreachable(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise TransportFailure("dns", Reason("dns"), sent=False)

    patch.setattr(sync_client, "send", refuse)


CASES = [
    Case(
        "versions",
        Level.WARNING,
        "not compiled",
        lambda patch, folder: patch.setattr(machine.translations, "outdated", lambda: [folder]),
    ),
    Case("settings", Level.FAULT, "modelkeep.E001", settings={"MODELKEEP_MASTER_KEYS": ""}),
    Case(
        "settings",
        Level.WARNING,
        "MODELKEEP_METRICS_TOKEN?",
        lambda patch, _folder: patch.setenv("MODELKEEP_METRIC_TOKEN", "x"),
    ),
    Case(
        "settings",
        Level.WARNING,
        "DATABASE_URL?",
        lambda patch, _folder: patch.setenv("DATABSE_URL", "x"),
    ),
    Case(
        "settings",
        Level.WARNING,
        "LOG_FORMAT_FILE counts",
        lambda patch, _folder: [
            patch.setenv(name, "json") for name in ("LOG_FORMAT", "LOG_FORMAT_FILE")
        ],
    ),
    Case(
        "settings",
        Level.WARNING,
        "modelkeep.W012",
        lambda patch, _folder: patch.setattr(exporting, "find_spec", lambda _name: None),
        settings={"OTEL_ENDPOINT": "http://127.0.0.1:4318"},
    ),
    Case("settings", Level.WARNING, "W007", settings={"FORWARDED_ALLOW_IPS": ["proxy"]}),
    Case(
        "settings",
        Level.WARNING,
        "W008",
        settings={"FORWARDED_ALLOW_IPS": ["0.0.0.0/0"], "ALLOWED_HOSTS": ["hub.example.org"]},
    ),
    Case(
        "settings",
        Level.WARNING,
        "W009",
        settings={"FORWARDED_ALLOW_IPS": [], "HTTPS": True, "TRUSTED_PROXY_HEADER": False},
    ),
    Case(
        "settings",
        Level.WARNING,
        "unencrypted",
        settings={"HTTPS": False, "ALLOWED_HOSTS": ["hub.example.org"]},
    ),
    Case(
        "settings", Level.FAULT, "SECRET_KEY setting must not be empty", settings={"SECRET_KEY": ""}
    ),
    Case(
        "open_files",
        Level.WARNING,
        "256 files",
        lambda patch, _folder: patch.setattr(resource, "getrlimit", lambda _what: (256, 256)),
    ),
    Case(
        "static_files",
        Level.FAULT,
        "not collected",
        settings={
            "STORAGES": {
                "staticfiles": {
                    "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
                }
            }
        },
    ),
    Case(
        "email",
        Level.FAULT,
        "can't be used",
        settings={
            "EMAIL_URL": "smtp://127.0.0.1:1",
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": 1,
        },
    ),
    Case(
        "cache",
        Level.FAULT,
        "can't be used",
        settings={
            "CACHE_URL": "redis://127.0.0.1:1/0",
            "CACHES": {"default": {"BACKEND": CACHE, "LOCATION": "redis://127.0.0.1:1/0"}},
        },
    ),
    Case(
        "cache",
        Level.FAULT,
        "loses",
        settings={
            "CACHE_URL": "redis://127.0.0.1:1/0",
            "CACHES": {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
        },
    ),
    Case("files", Level.WARNING, "mode 644", _old_files),
    Case("files", Level.FAULT, "does not exist", lambda _patch, folder: folder.rmdir()),
    Case(
        "files",
        Level.FAULT,
        "not writable",
        lambda patch, _folder: patch.setattr("os.access", lambda *_args: False),
    ),
    Case(
        "files",
        Level.WARNING,
        "dotenv",
        lambda patch, folder: (
            (folder / "dotenv").touch(0o644),
            patch.setattr("django.conf.settings.DOTENV", folder / "dotenv"),
        ),
    ),
    Case(
        "disk",
        Level.WARNING,
        "nearly full",
        lambda patch, _folder: patch.setattr(readiness, "LEAST_FREE", 2**62),
    ),
    Case(
        "spool",
        Level.WARNING,
        "rejected",
        lambda _patch, folder: (folder / REJECTED).write_text("{}\n"),
    ),
    Case("database", Level.FAULT, "not responding", _no_cursor),
    Case(
        "database_version",
        Level.FAULT,
        "too old",
        lambda patch, _folder: patch.setattr(
            connection.features, "minimum_database_version", (99,)
        ),
    ),
    Case(
        "clock",
        Level.WARNING,
        "86400 seconds",
        lambda patch, _folder: patch.setattr(
            database.database, "now", lambda: datetime.now(UTC) - timedelta(days=1)
        ),
    ),
    Case("migrations", Level.FAULT, "1 migrations", _unmigrated),
    Case("master_keys", Level.FAULT, "master key", _other_master_key),
    Case("secret_key", Level.WARNING, "SECRET_KEY differs", _other_secret_key),
    Case("backup", Level.WARNING, "No backup"),
    Case("backup", Level.WARNING, "9 days", _old_backup),
    Case(
        "backup",
        Level.WARNING,
        "private key",
        settings={"MODELKEEP_BACKUP_KEY": "AGE-SECRET-KEY-1ABC"},
    ),
    Case("site", Level.FAULT, "does not answer", settings={"SITE_URL": "http://127.0.0.1:1"}),
    Case("providers", Level.WARNING, "OpenAI can't be reached", _unreachable),
]
# These are not in CASES: one never complains, the other needs PostgreSQL.
OTHERS = {"server", "connections"}


def look(check: str) -> list[Finding]:
    return list(LOOKS[check]())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    """A sound data folder."""
    made = tmp_path / "data"
    made.mkdir(0o700)
    settings.DATA_DIR = made
    return made


def test_every_check_has_a_case() -> None:
    assert {case.check for case in CASES} | OTHERS == set(LOOKS)
    assert set(NEEDS) | set(NEEDS.values()) <= set(LOOKS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}: {case.says}")
def test_it_complains(case: Case, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    with override_settings(**case.settings), monkeypatch.context() as patch:
        case.spoil(patch, folder)
        findings = look(case.check)
    [told] = [one for one in findings if case.says in f"{one.says} {one.do}"]
    assert told.level is case.level
    assert told.do or told.says.count(".") > 1, "nothing says what to do"


def test_it_is_content_with_a_sound_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    installation.note(installation.BACKUP, {})
    monkeypatch.setattr(machine.translations, "outdated", list)
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE", raising=False)  # of the browser's tests
    with override_settings(MODELKEEP_DEMO_PROVIDER=False):
        examined = list(examine())
    assert {one.check for one in examined} == set(LOOKS) - set(ON_DEMAND)
    complaints = [
        finding for one in examined for finding in one.findings if finding.level is not Level.OK
    ]
    assert complaints == []


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no such limit")
def test_it_counts_the_connections_that_all_workers_may_open(settings: Any) -> None:
    settings.WORKERS = 1
    assert [finding.level for finding in look("connections")] == [Level.OK]
    settings.WORKERS = 1_000
    [told] = look("connections")
    assert told.level is Level.WARNING
    assert "max_connections" in told.do


def test_it_tells_whether_a_server_runs(folder: Path) -> None:
    [before] = look("server")
    instance.claim(folder, alone=True)
    try:
        [during] = look("server")
    finally:
        instance.leave_to_parent()
    [after] = look("server")
    assert "No server has used" in before.says
    assert "A server uses DATA_DIR" in during.says
    assert "No server uses DATA_DIR now" in after.says


def test_what_depends_on_a_fault_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _no_cursor(monkeypatch, Path())
    names = {one.check for one in examine()}
    assert "database" in names
    assert not names & {"clock", "migrations", "master_keys", "backup"}


def test_a_check_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Iterator[Finding]:
        raise RuntimeError("boom")

    monkeypatch.setattr(examination, "LOOKS", {"versions": fail, "spool": LOOKS["spool"]})
    first, second = examine()
    assert "boom" in first.findings[0].says
    assert second.check == "spool"


def test_the_command_fails_only_for_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*findings: Finding) -> tuple[int, dict[str, Any], str]:
        monkeypatch.setattr(
            "console.management.commands.doctor.examine",
            lambda **_options: [Examined("spool", findings)],
        )
        code, texts = 0, []
        for arguments in (("--json",), ()):
            output = io.StringIO()
            try:
                call_command("doctor", *arguments, stdout=output)
            except SystemExit as ended:
                code = int(str(ended.code))
            texts.append(output.getvalue())
        return code, json.loads(texts[0]), texts[1]

    fine = Finding(Level.OK, "Fine.")
    code, values, text = told(fine, Finding(Level.WARNING, "Hm.", "Look."))
    assert (code, values["status"]) == (0, "warning")
    assert values["findings"][1] == {
        "check": "spool",
        "level": "warning",
        "says": "Hm.",
        "do": "Look.",
    }
    assert text == "OK       spool: Fine.\nWARNING  spool: Hm.\n         Look.\n"
    assert told(fine)[:2] == (0, values | {"status": "ok", "findings": values["findings"][:1]})
    assert told(Finding(Level.FAULT, "Bad."))[0] == 1


# -- the site --------------------------------------------------------------------------------------


@contextmanager
def answering(status: int, headers: dict[str, str]) -> Iterator[str]:
    """A site that gives one answer, whatever it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return

    with HTTPServer(("127.0.0.1", free_port()), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "headers", "level", "says"),
    [
        (200, {"X-Request-Id": "x"}, Level.OK, "answers with the sign-in page"),
        (200, {}, Level.FAULT, "not as Modelkeep's"),
        (301, {"Location": "/accounts/login/"}, Level.FAULT, "redirects to itself"),
        (502, {}, Level.FAULT, "answers 502"),
    ],
)
def test_the_site(status: int, headers: dict[str, str], level: Level, says: str) -> None:
    with answering(status, headers) as url, override_settings(SITE_URL=url, HTTPS=False):
        [told] = look("site")
    assert told.level is level
    assert says in told.says


@pytest.mark.parametrize(
    ("status", "headers", "level"),
    [
        (301, {"Location": "https://hub.example.org/"}, Level.OK),
        (200, {"X-Request-Id": "x"}, Level.FAULT),
    ],
)
def test_plain_http_must_lead_to_https(
    monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str], level: Level
) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(answering(status, headers))
        real = network._get
        monkeypatch.setattr(network, "_get", lambda asked: real(asked.replace("http://hub", url)))
        stack.enter_context(override_settings(SITE_URL="https://hub", HTTPS=True))
        [told] = network._unencrypted()
    assert told.level is level


def test_a_mail_server_that_takes_mail() -> None:
    def greet(listener: socket.socket) -> None:
        client, _address = listener.accept()
        with client, client.makefile("rwb") as stream:
            for answer in (b"220 hello\r\n", b"250 hello\r\n", b"221 bye\r\n"):
                stream.write(answer)
                stream.flush()
                stream.readline()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, args=(listener,))
        thread.start()
        with override_settings(
            EMAIL_URL="smtp://127.0.0.1",
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=listener.getsockname()[1],
        ):
            [told] = look("email")
        thread.join()
    assert told.level is Level.OK
