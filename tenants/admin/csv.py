"""CSV downloads of the operators' lists, noted in the audit trail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse

from core.csv import download, table
from tenants.audit.trail import actor_of, record
from tenants.scope import tenant_scope
from tenants.services.workspaces import system_tenant

# ---------------------------------------------------------------------------------------------- CSV


def as_csv(
    request: HttpRequest, *, name: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """A table as a download, line by line. name: of the file, without its end. That it was taken is
    in the operators' audit trail.
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
