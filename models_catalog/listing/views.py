"""The page of all models of a workspace."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from core.request_cache import reading_once
from core.web.forms import paginate
from models_catalog.forms.filters import CatalogFilterForm
from models_catalog.listing import services
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest


@page(Action.VIEW_MODELS)
def models(request: WorkspaceRequest) -> HttpResponse:
    with reading_once():
        all_models = services.listed(tenant_id=request.tenant.pk)
    form = CatalogFilterForm(request.GET, providers=services.providers_of(all_models))
    rows = paginate(request, services.matching(all_models, **form.query))
    context = {
        "rows": rows,
        "filters": form,
        "has_models": bool(all_models),
        "latest": services.latest_calls(
            tenant_id=request.tenant.pk, entries=[row.entry for row in rows]
        ),
        "back": request.GET.urlencode(),
        "on_all_models": True,
    }
    return render(request, "models_catalog/all_models.html", context)
