"""The overview page of a workspace."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from gateway.overview import overview as read_overview
from tenants.pages import endpoint
from tenants.permissions import Action
from tenants.views import LAST_WORKSPACE
from tenants.web import page


@page(Action.VIEW_MODELS)
def overview(request: HttpRequest) -> HttpResponse:
    if request.session.get(LAST_WORKSPACE) != request.tenant.slug:
        request.session[LAST_WORKSPACE] = request.tenant.slug
    context = {"overview": read_overview(tenant=request.tenant), "base_url": endpoint(request)}
    return render(request, "gateway/overview.html", context)
