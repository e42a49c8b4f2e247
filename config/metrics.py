"""/metrics for Prometheus: numbers of all workers of this server, for whoever has the token."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from console.doctor.readiness import spool_files
from core.metrics.kinds import CONTENT_TYPE, exposition


def answer(request: HttpRequest) -> HttpResponse:
    token = settings.MODELKEEP_METRICS_TOKEN
    if not token:
        return HttpResponse(status=404)
    sent = request.headers.get("Authorization", "")
    if not constant_time_compare(sent, f"Bearer {token}"):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    disk = "".join(f"{line}\n" for line in disk_lines(Path(settings.DATA_DIR)))
    return HttpResponse(exposition() + disk, content_type=CONTENT_TYPE)


def disk_lines(folder: Path) -> Iterator[str]:
    """Yield the gauges of DATA_DIR."""
    waiting, rejected = spool_files(folder)
    yield from _gauge(
        "modelkeep_spool_lines",
        "Ends of calls that wait for the database.",
        sum(map(_lines_of, waiting)),
    )
    yield from _gauge(
        "modelkeep_spool_rejected_lines",
        "Ends of calls that the database rejected.",
        sum(map(_lines_of, rejected)),
    )
    free = shutil.disk_usage(folder).free
    yield from _gauge("modelkeep_disk_free_bytes", "Free on the disk of DATA_DIR.", free)


def _gauge(name: str, about: str, value: int) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} gauge"
    yield f"{name} {value}"


def _lines_of(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(not line.isspace() for line in file)  # blank lines only try the disk
    except FileNotFoundError:
        return 0
