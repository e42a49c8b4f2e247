"""CSV downloads of admin lists, recorded in the audit trail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse

from core.csv import download, table
from tenants.audit.trail import actor_of, record
from tenants.scope import tenant_scope
from tenants.services.workspaces import system_tenant


def as_csv(
    request: HttpRequest, *, name: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """Stream a table as a download and record it in the operators' audit trail.

    Args:
        request: The operator's request.
        name: File name without extension.
        header: Column titles.
        rows: The cells of each row.
    """
    with tenant_scope(system_tenant()):
        record(
            tenant=system_tenant(),
            actor=actor_of(request),
            action="operations.exported",
            object_type="csv",
            object_label=name,
        )
    return download(request, table(header, rows), name=name)
