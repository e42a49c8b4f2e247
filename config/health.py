"""Liveness at /healthz and readiness at /readyz.

Both respond before host checks, sessions and authentication.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import ClassVar

from django.http import HttpRequest, HttpResponse, JsonResponse

from config import health, metrics
from console.doctor import readiness
from core.asgi import draining
from core.middleware import GetResponse

log = logging.getLogger("modelkeep.health")


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
    checks |= {name: check() or "ok" for name, check in readiness.WARNINGS.items()}
    status = "ok" if set(checks.values()) == {"ok"} else "degraded"
    return JsonResponse({"status": status, "checks": checks})


def records_fault() -> str:
    """Return why the ends of calls can't be kept, or "". Each process tells for itself."""
    from config.asgi import runtime

    if not runtime.is_losing:
        return ""
    return (
        "The ends of calls reach neither the database nor the spool, so no provider is called. "
        "Check the database, and DATA_DIR and its disk."
    )


def stopping_fault() -> str:
    return "The server is stopping." if draining.is_draining() else ""


# What stops this process from serving, then what stops any.
CHECKS: Mapping[str, readiness.Check] = {
    "stopping": stopping_fault,
    **readiness.FAULTS,
    "records": records_fault,
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
