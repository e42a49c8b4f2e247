"""The chain of archives: each names the hash of the one before, and the database knows all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from tenants.archives import files
from tenants.archives.files import ArchiveError, Header, Row
from tenants.models import Archive


def folder() -> Path:
    """Return the folder of the archives."""
    return Path(settings.MODELKEEP_ARCHIVE_DIR or Path(settings.DATA_DIR) / "archives")


def add(kind: str, rows: Iterable[Row]) -> Archive | None:
    """Write an archive and add it to the chain. The rows are still in the database afterwards.

    Only one process at a time may do this (core.db.exclusive.pruning).

    Returns:
        None if there are no rows.

    Raises:
        ArchiveError: The file cannot be written.
    """
    last = Archive.objects.order_by("number").last()
    number, previous = (last.number + 1, last.sha256) if last else (1, "")
    made = timezone.now()
    name = f"{number:06d}-{kind}-{made:%Y-%m-%d}.jsonl.gz"
    header = Header(kind=kind, number=number, previous=previous, made=made.isoformat())
    written = files.write(folder() / name, header, rows)
    if written is None:
        return None
    return Archive.objects.create(
        number=number,
        kind=kind,
        file=name,
        rows=written.rows,
        size=written.size,
        sha256=written.sha256,
        previous=previous,
        made=made,
    )


def unfinished(kind: str) -> list[Archive]:
    """Return archives whose rows may still be in the database, oldest first."""
    return list(Archive.objects.filter(kind=kind, dropped=None).order_by("number"))


def rows_of(archive: Archive) -> Iterator[Row]:
    """Read the rows of an archive that is as it was written.

    Raises:
        ArchiveError: The file is missing, or was changed.
    """
    if problem := problem_of(archive):
        raise ArchiveError(problem)
    return files.read(folder() / archive.file)[1]


def mark_dropped(archive: Archive) -> None:
    """Note that no row of an archive is left in the database."""
    archive.dropped = timezone.now()
    archive.save(update_fields=["dropped"])


def problem_of(archive: Archive) -> str:
    """Return what is wrong with an archive's file, or ""."""
    path = folder() / archive.file
    try:
        if files.digest(path) == archive.sha256:
            return ""
        return f"{path} was changed: its hash is not the one that the database knows."
    except FileNotFoundError:
        return f"{path} is missing."
    except OSError as error:
        return f"{path} cannot be read: {error}"


def verify(*, first: int = 1) -> tuple[int, list[str]]:
    """Verify the archives from number `first` on: files, hashes, the chain, and numbers of rows.

    Returns:
        How many there are, and what is wrong.
    """
    archives = list(Archive.objects.filter(number__gte=first - 1).order_by("number"))
    wanted = [archive for archive in archives if archive.number >= first]
    before = {archive.number + 1: archive.sha256 for archive in archives}
    problems = [
        problem
        for archive in wanted
        for problem in _problems(archive, before.get(archive.number, ""))
    ]
    known = {archive.number for archive in wanted}
    gaps = set(range(first, max(known, default=0) + 1)) - known
    problems += [f"The database does not know archive {number}." for number in sorted(gaps)]
    return len(wanted), problems


def _problems(archive: Archive, before: str) -> Iterator[str]:
    if problem := problem_of(archive):
        yield problem
        return
    path = folder() / archive.file
    try:
        header, rows = files.read(path)
        if header.previous != archive.previous or archive.previous != before:
            yield f"{path} does not follow the archive before it."
        if (header.number, header.kind) != (archive.number, archive.kind):
            yield f"{path} is archive {header.number} of {header.kind}."
        if sum(1 for _row in rows) != archive.rows:
            yield f"{path} does not have {archive.rows} rows."
    except ArchiveError as error:
        yield str(error)
