"""Pages of a provider's models."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from core.request_cache import reading_once
from core.web.forms import act, attempt, page_form, paginate
from core.web.htmx import redirect_page
from models_catalog import queries
from models_catalog.facts.table import facts_table
from models_catalog.forms.facts import FactsForm
from models_catalog.forms.filters import ModelFilterForm
from models_catalog.forms.setup import ModelForm
from models_catalog.listing.services import latest_calls
from models_catalog.scenarios import SCENARIOS
from models_catalog.services import adding, models, setup
from models_catalog.services.imports import ImportResult
from models_catalog.views.defaults import test_model
from models_catalog.views.setup import offered_provider
from providers.cards import Card
from providers.views import known_provider, known_status
from tenants.audit.trail import actor_of
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest


@page(Action.VIEW_MODELS)
def provider_models(request: WorkspaceRequest, provider: str) -> HttpResponse:
    declared = known_provider(provider)
    form = ModelFilterForm(request.GET, provider=declared)
    with reading_once():
        status = known_status(request, provider)
        rows = paginate(
            request, queries.entries(tenant_id=request.tenant.pk, provider=provider, **form.query)
        )
    context = {
        "card": Card(status),
        "rows": rows,
        "filters": form,
        "searching": any(request.GET.get(name) for name in ("q", "type", "state")),
        "latest": latest_calls(tenant_id=request.tenant.pk, entries=rows),
        "back": request.GET.urlencode(),
    }
    return render(request, "models_catalog/models.html", context)


@page(Action.VIEW_MODELS, post=Action.MANAGE_MODELS)
def model_detail(request: WorkspaceRequest, provider: str, model: str) -> HttpResponse:
    """Show a model's facts with their sources, and a form to override them."""
    with reading_once():
        layers = queries.layers(tenant_id=request.tenant.pk, provider=provider, model=model)
        if layers is None:
            raise Http404
        status = known_status(request, provider)
        used = _scenarios_with(request, layers.entry.id)
    form = FactsForm(request.POST if request.method == "POST" else None, layers=layers)
    if request.method == "POST" and form.is_valid():
        call = partial(
            models.override,
            tenant=request.tenant,
            actor=actor_of(request),
            provider=provider,
            model=model,
        )
        if not form.changed_facts:
            messages.info(request, _("Nothing was changed."))
            return redirect(request.path)
        if attempt(form, partial(call, overrides=form.changed_facts)):
            messages.success(request, _("Your values of %(model)s were saved.") % {"model": model})
            return redirect(request.path)
    latest = latest_calls(tenant_id=request.tenant.pk, entries=[layers.entry]).get(layers.entry.id)
    context = {
        "card": Card(status),
        "entry": layers.entry,
        "rows": facts_table(layers),
        "used": used,
        "layers": layers,
        "latest": latest,
    }
    return page_form(request, "models_catalog/model_detail.html", form, context)


def _scenarios_with(request: WorkspaceRequest, model: str) -> list[Any]:
    """Return the scenarios that have the model as default or fallback."""
    chosen = queries.chosen(tenant_id=request.tenant.pk)
    return [
        scenario.label
        for scenario in SCENARIOS
        if (row := chosen.get(scenario.slug)) and model in (row.model, *row.fallbacks)
    ]


@page(Action.MANAGE_MODELS)
@require_POST
def model_toggle(request: WorkspaceRequest, provider: str, model: str) -> HttpResponse:
    enabled = request.POST.get("enabled") == "1"
    call = partial(
        models.set_enabled,
        tenant=request.tenant,
        actor=actor_of(request),
        provider=provider,
        model=model,
        enabled=enabled,
    )
    changed = act(
        request,
        call,
        "" if request.htmx else (_("Switched on.") if enabled else _("Switched off.")),
    )
    if not request.htmx or not changed:
        return _to_models(request, provider)
    entry = queries.entry(tenant_id=request.tenant.pk, provider=provider, model=model)
    context = {
        "entry": entry,
        "back": _list_filters(request),
        "on_all_models": "all" in request.POST,
    }
    response = render(request, "models_catalog/_switch.html", context)
    response["Vary"] = "HX-Request"
    return response


def _to_models(request: WorkspaceRequest, provider: str) -> HttpResponse:
    """Redirect to the list page that the button was on."""
    names = {"workspace": request.tenant.slug}
    url = (
        reverse("models", kwargs=names)
        if "all" in request.POST
        else reverse("provider-models", kwargs={**names, "provider": provider})
    )
    filters = _list_filters(request)
    target = f"{url}?{QueryDict(filters).urlencode()}" if filters else url
    return redirect_page(target) if request.htmx else redirect(target)


def _list_filters(request: WorkspaceRequest) -> str:
    """Return the filters of the list page: "all" for all models, "back" for a provider's."""
    return request.POST.get("all") or request.POST.get("back", "")


@page(Action.MANAGE_MODELS)
@require_POST
def models_bulk(request: WorkspaceRequest, provider: str) -> HttpResponse:
    chosen, enabled = request.POST.getlist("model"), request.POST.get("enabled") == "1"
    if not chosen:
        messages.warning(request, _("Choose models first."))
        return _to_models(request, provider)
    text = ngettext("%(count)d model switched.", "%(count)d models switched.", len(chosen)) % {
        "count": len(chosen)
    }
    call = partial(
        models.set_many_enabled,
        tenant=request.tenant,
        actor=actor_of(request),
        provider=provider,
        models=chosen,
        enabled=enabled,
    )
    act(request, call, text)
    return _to_models(request, provider)


@page(Action.MANAGE_MODELS)
@require_POST
def models_refresh(request: WorkspaceRequest, provider: str) -> HttpResponse:
    known_provider(provider)
    results: list[ImportResult] = []
    act(
        request,
        lambda: results.append(
            setup.refresh(tenant=request.tenant, actor=actor_of(request), provider=provider)
        ),
    )
    if results and results[0].failure:
        messages.warning(
            request,
            _("The list could not be fetched: %(error)s The previous list is kept.")
            % {"error": results[0].failure.describe(_)},
        )
    elif results:
        messages.success(
            request,
            ngettext(
                "List refreshed: %(new)d new model.",
                "List refreshed: %(new)d new models.",
                results[0].new,
            )
            % {"new": results[0].new},
        )
    return _to_models(request, provider)


@page(Action.MANAGE_MODELS, fresh=True)  # a model may have a key and an address
def model_add(request: WorkspaceRequest, provider: str) -> HttpResponse:
    declared = offered_provider(provider)
    form = ModelForm(request.POST or None, provider=declared)
    if request.method == "POST" and form.is_valid():
        check = not (declared.allow_unchecked and "unchecked" in request.POST)
        typed = {
            "model": form.cleaned_data["model"],
            "type": form.cleaned_data["type"],
            "values": form.values("model"),
        }
        call = partial(
            adding.add_model,
            tenant=request.tenant,
            actor=actor_of(request),
            provider=provider,
            check=check,
            **typed,
        )
        if attempt(form, call):
            messages.success(request, _("%(model)s was added.") % {"model": typed["model"]})
            again = "again" in request.POST
            return redirect(
                "model-add" if again else "provider-models",
                workspace=request.tenant.slug,
                provider=provider,
            )
    return page_form(request, "models_catalog/model_add.html", form, {"provider": declared})


@page(Action.MANAGE_MODELS)
@require_POST
def model_test(request: WorkspaceRequest, provider: str, model: str) -> HttpResponse:
    if queries.entry(tenant_id=request.tenant.pk, provider=provider, model=model) is None:
        raise Http404
    test_model(request, f"{provider}/{model}")
    return redirect("model-detail", workspace=request.tenant.slug, provider=provider, model=model)


@page(Action.MANAGE_MODELS, fresh=True)  # a model may have a key and an address
def model_delete(request: WorkspaceRequest, provider: str, model: str) -> HttpResponse:
    entry = queries.entry(tenant_id=request.tenant.pk, provider=provider, model=model)
    if entry is None:
        raise Http404
    if request.method != "POST":
        used = [
            choice.scenario.label
            for choice in queries.defaults(tenant_id=request.tenant.pk).values()
            if choice.model == entry.id
        ]
        return render(
            request,
            "models_catalog/model_delete.html",
            {"entry": entry, "provider": known_provider(provider), "used": used},
        )
    call = partial(
        models.remove_model,
        tenant=request.tenant,
        actor=actor_of(request),
        provider=provider,
        model=model,
    )
    act(request, call, _("%(model)s was removed.") % {"model": model})
    return _to_models(request, provider)
