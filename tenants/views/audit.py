"""The audit log page of a workspace and its CSV download."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _

from core.csv import download, table
from core.web.forms import paginate
from tenants import queries
from tenants.audit.trail import actor_of, record
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest
from tenants.forms.audit import AuditFilterForm
from tenants.models import AuditEntry


@page(Action.VIEW_AUDIT)
def audit(request: WorkspaceRequest) -> HttpResponse:
    return _list(request, _form(request))


def _list(request: WorkspaceRequest, form: AuditFilterForm) -> HttpResponse:
    entries = paginate(request, queries.audit_entries(tenant=request.tenant, **form.filters))
    return render(
        request,
        "tenants/audit.html",
        {"entries": entries, "form": form},
        status=422 if form.errors else 200,
    )


@page(Action.VIEW_AUDIT)
def audit_export(request: WorkspaceRequest) -> HttpResponseBase:
    """Download the filtered entries, newest first; the download is recorded in the log itself."""
    form = _form(request)
    if form.errors:
        return _list(request, form)
    filters = {name: value for name, value in request.GET.items() if value and name in form.fields}
    record(
        tenant=request.tenant,
        actor=actor_of(request),
        action="audit.exported",
        object_type="audit",
        details=filters,
    )
    rows = queries.audit_entries(tenant=request.tenant, **form.filters)
    header = [
        _("Time (UTC)"),
        _("Who"),
        _("What"),
        _("Object"),
        _("IP address"),
        _("Details"),
        _("Action"),
    ]
    name = f"audit-{request.tenant.slug}"
    return download(request, table(header, map(_cells, queries.every_audit_entry(rows))), name=name)


def _form(request: WorkspaceRequest) -> AuditFilterForm:
    return AuditFilterForm(request.GET, actors=queries.audit_actors(tenant=request.tenant))


def _cells(entry: AuditEntry) -> list[Any]:
    return [
        entry.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        entry.actor,
        entry.sentence,
        entry.object_label,
        entry.address,
        json.dumps(entry.details, ensure_ascii=False, sort_keys=True) if entry.details else "",
        entry.action,
    ]
