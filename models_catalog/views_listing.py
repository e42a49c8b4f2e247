"""The page of all models of a workspace."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from models_catalog import listing
from models_catalog.forms import CatalogFilterForm
from providers.reading import reading_once
from tenants.auth.request import WorkspaceRequest
from tenants.pages import paginate
from tenants.permissions import Action
from tenants.web import page


@page(Action.VIEW_MODELS)
def models(request: WorkspaceRequest) -> HttpResponse:
    with reading_once():
        known = listing.listed(tenant_id=request.tenant.pk)
    form = CatalogFilterForm(request.GET, providers=listing.providers_of(known))
    rows = paginate(request, listing.matching(known, **form.query))
    context = {
        "rows": rows,
        "filters": form,
        "has_models": bool(known),
        "latest": listing.latest_calls(tenant_id=request.tenant.pk, entries=[row.entry for row in rows]),
        "back": request.GET.urlencode(),
        "on_all_models": True,
    }
    return render(request, "models_catalog/all_models.html", context)
