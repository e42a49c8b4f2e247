"""Liveness at /healthz and readiness at /readyz.

Both respond before host checks, sessions and authentication.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from config import health, metrics
from config.metrics import spool_files
from core.asgi import draining
from core.middleware import GetResponse
from tenants.crypto.keys import master_key_problems
from tenants.installation import secret_key_problem

log = logging.getLogger("modelkeep.health")
_migrated = threading.Event()
LEAST_FREE: Final = 256 * 1024 * 1024  # bytes


def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> JsonResponse:
    """Run the readiness checks.

    Returns:
        200 {"status": "ok", "checks": {name: "ok"}}, or 503 with the reason for the failed check.
        200 with the status "degraded" if calls are served, but an operator should look.
    """
    checks: dict[str, str] = {}
    for name, check in CHECKS.items():
        checks[name] = check() or "ok"
        if checks[name] != "ok":
            log.warning("not ready: %s: %s", name, checks[name])
            break  # later checks depend on earlier ones
    if set(checks.values()) != {"ok"}:
        return JsonResponse({"status": "unavailable", "checks": checks}, status=503)
    checks |= {name: check() or "ok" for name, check in WARNINGS.items()}
    status = "ok" if set(checks.values()) == {"ok"} else "degraded"
    return JsonResponse({"status": status, "checks": checks})


def database_fault() -> str:
    """Return why the database is unusable, or ""; hosts and user names go only to the log."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError as error:
        log.warning("database: %s", error)
        return "The database is not responding. Check the server's log and DATABASE_URL."
    return ""


def migrations_fault() -> str:
    """Return how many migrations are missing, or "".

    Success is remembered: migrations are not undone while a process runs, and loading them takes
    50 ms.
    """
    if _migrated.is_set():
        return ""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        return f"{len(plan)} migrations are not applied. Run: python manage.py migrate"
    _migrated.set()
    return ""


def master_keys_fault() -> str:
    return " ".join(master_key_problems())


def records_fault() -> str:
    """Return why the ends of calls can't be kept, or "". Each process tells for itself."""
    from config.asgi import runtime

    if not runtime.is_losing:
        return ""
    return (
        "The ends of calls reach neither the database nor the spool, so no provider is called. "
        "Check the database, and DATA_DIR and its disk."
    )


def spool_warning() -> str:
    """Return what to do if ends of calls wait for the database, or were rejected by it, or ""."""
    waiting, rejected = spool_files(Path(settings.DATA_DIR))
    if any(path.stat().st_size for path in rejected if path.exists()):
        return "The database rejected ends of calls. Read the server's log and DATA_DIR."
    if any(path.stat().st_size for path in waiting if path.exists()):
        return "Ends of calls wait in DATA_DIR for the database. Keep it until they are written."
    return ""


def disk_warning() -> str:
    if shutil.disk_usage(settings.DATA_DIR).free >= LEAST_FREE:
        return ""
    return "The disk of DATA_DIR is nearly full. Make room."


def stopping_fault() -> str:
    return "The server is stopping." if draining.is_draining() else ""


CHECKS: dict[str, Callable[[], str]] = {
    "stopping": stopping_fault,
    "database": database_fault,
    "migrations": migrations_fault,
    "master_keys": master_keys_fault,
    "records": records_fault,
}
# Asked if all checks pass: calls are served nevertheless.
WARNINGS: dict[str, Callable[[], str]] = {
    "spool": spool_warning,
    "disk": disk_warning,
    "secret_key": secret_key_problem,
}


class ProbeMiddleware:
    """Answer /healthz, /readyz and /metrics before all other middleware.

    Load balancers probe by IP address, over plain HTTP and without a session.
    """

    PROBES: ClassVar[Mapping[str, Callable[[HttpRequest], HttpResponse]]] = {
        "/healthz": health.healthz,
        "/readyz": health.readyz,
        "/metrics": metrics.answer,
    }

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = self.PROBES.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        response = (
            probe(request)
            if request.method in ("GET", "HEAD")
            else HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        )
        response["Cache-Control"] = "no-store"
        return response
