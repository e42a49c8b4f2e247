"""What was logged is archived by whole months, then deleted, of all workspaces; verified, each
archive follows the one before.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.core.management.base import CommandError

from tenants.archives import chain, files, logs
from tenants.archives.files import ArchiveError, Header
from tenants.archives.logs import prune_logs
from tenants.models import Archive, AuditEntry, KeyOpening
from tenants.scope import all_tenants
from tests.factories import Workspace

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, tzinfo=UTC)
JULY, AUGUST, SEPTEMBER = (datetime(2026, month, 15, 8, 30, tzinfo=UTC) for month in (7, 8, 9))


@pytest.fixture(autouse=True)
def limit(settings: Any, tmp_path: Path) -> None:
    settings.MODELKEEP_KEEP_AUDIT_DAYS = 60
    settings.MODELKEEP_ARCHIVE_DIR = str(tmp_path / "archives")


@pytest.fixture
def logged(acme: Workspace, globex: Workspace) -> None:
    with all_tenants():
        AuditEntry.objects.all().delete()
        KeyOpening.objects.all().delete()
        for workspace in (acme, globex):
            for time in (JULY, AUGUST, SEPTEMBER):
                for name in ("one", "two"):
                    AuditEntry.objects.create(
                        tenant=workspace.tenant, actor=name, action="x", time=time
                    )
                KeyOpening.objects.create(
                    tenant=workspace.tenant, day=time.date(), purpose="call", subject="c", count=2
                )
        LogEntry.objects.create(user=acme.owner, action_flag=1, action_time=JULY)


def left() -> tuple[int, int, int]:
    with all_tenants():
        return AuditEntry.objects.count(), KeyOpening.objects.count(), LogEntry.objects.count()


@pytest.mark.usefixtures("logged")
def test_whole_months_go(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(logs, "SIZE", 3)
    settings.MODELKEEP_KEEP_AUDIT_DAYS = 0
    assert prune_logs(now=NOW) == {}
    settings.MODELKEEP_KEEP_AUDIT_DAYS = 60
    assert prune_logs(now=NOW) == {"audit": 8, "openings": 4, "operators": 1}
    assert left() == (4, 2, 0)
    assert prune_logs(now=NOW) == {"audit": 0, "openings": 0, "operators": 0}
    assert chain.verify() == (5, [])
    first = Archive.objects.order_by("number")[0]
    _header, *rows = map(
        json.loads, gzip.decompress((chain.folder() / first.file).read_bytes()).splitlines()
    )
    assert {row["time"] for row in rows} == {"2026-07-15T08:30:00Z"}
    assert len({row["id"] for row in rows}) == len({row["tenant_id"] for row in rows}) * 2 == 4


@pytest.mark.usefixtures("logged")
def test_an_interrupted_run_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_args: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(logs, "_drop", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prune_logs(now=NOW)
    assert left() == (12, 6, 1)
    assert prune_logs(now=NOW)["audit"] == 8
    assert Archive.objects.filter(kind="audit").count() == 2


@pytest.mark.usefixtures("logged")
def test_what_was_done_to_archives_is_told() -> None:
    prune_logs(now=NOW)
    paths = [chain.folder() / archive.file for archive in Archive.objects.order_by("number")]
    out = StringIO()
    call_command("verify_archives", stdout=out)
    assert out.getvalue().startswith("5 archives in ")

    paths[0].unlink()
    assert chain.verify() == (5, [f"{paths[0]} is missing."])
    assert chain.verify(first=2) == (4, [])
    paths[1].write_bytes(paths[2].read_bytes())
    [problem] = chain.verify(first=2)[1]
    assert "was changed" in problem
    with pytest.raises(CommandError, match="2 problems"):
        call_command("verify_archives", stdout=out)

    # Whoever also changes the database breaks the chain.
    Archive.objects.filter(number=2).update(sha256=files.digest(paths[1]))
    problems = chain.verify(first=2)[1]
    assert f"{paths[1]} is archive 3 of openings." in problems
    assert f"{paths[2]} does not follow the archive before it." in problems
    Archive.objects.filter(number=2).delete()
    assert "The database does not know archive 2." in chain.verify(first=2)[1]


@pytest.mark.usefixtures("logged")
def test_nothing_is_deleted_if_the_archive_cannot_be_written(settings: Any, tmp_path: Path) -> None:
    settings.MODELKEEP_ARCHIVE_DIR = str(tmp_path / "file")
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("prune")
    assert left() == (12, 6, 1)


def test_no_file_is_replaced_and_an_empty_one_is_not_made(tmp_path: Path) -> None:
    header = Header(kind="audit", number=1, previous="", made="")
    path = tmp_path / "archive"
    assert files.write(path, header, []) is None
    assert list(tmp_path.iterdir()) == []
    assert files.write(path, header, [{"id": 1}]) is not None
    with pytest.raises(ArchiveError, match="Move it away"):
        files.write(path, header, [{"id": 2}])
    assert [*files.read(path)[1]] == [{"id": 1}]
    assert [each.name for each in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize(
    "content",
    [b"", b"text", gzip.compress(b'{"format": "other"}\n')],
    ids=["empty", "text", "another format"],
)
def test_other_files_are_no_archives(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "archive"
    path.write_bytes(content)
    with pytest.raises(ArchiveError):
        files.read(path)
