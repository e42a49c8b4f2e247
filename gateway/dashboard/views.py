"""The workspace overview and the provider activity page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from core.request_cache import reading_once
from core.web.forms import endpoint
from gateway.dashboard.activity import DAYS
from gateway.dashboard.activity import activity as read_activity
from gateway.dashboard.overview import overview as read_overview
from providers.cards import Card
from providers.views import known_status
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest
from tenants.views.account import LAST_WORKSPACE


@page(Action.VIEW_MODELS)
def overview(request: WorkspaceRequest) -> HttpResponse:
    if request.session.get(LAST_WORKSPACE) != request.tenant.slug:
        request.session[LAST_WORKSPACE] = request.tenant.slug
    context = {"overview": read_overview(tenant=request.tenant), "base_url": endpoint(request)}
    return render(request, "gateway/overview.html", context)


@page(Action.VIEW_PROVIDERS)
def provider_activity(request: WorkspaceRequest, provider: str) -> HttpResponse:
    with reading_once():
        card = Card(known_status(request, provider))
    can = request.principal.can
    activity = read_activity(
        tenant=request.tenant,
        provider=provider,
        with_calls=can(Action.VIEW_USAGE),
        with_changes=can(Action.VIEW_AUDIT),
    )
    return render(
        request,
        "gateway/provider_activity.html",
        {"card": card, "activity": activity, "days": DAYS},
    )
