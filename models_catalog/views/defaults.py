"""Page of default models."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from core.errors import ServiceError
from core.request_cache import reading_once
from core.web.forms import attempt
from models_catalog import queries
from models_catalog.forms.defaults import DefaultForm, rearranged
from models_catalog.queries import DefaultChoice
from models_catalog.resolution.entries import Entry
from models_catalog.services import defaults
from models_catalog.services.model_check import try_model
from providers import queries as provider_queries
from providers.cards import Card
from providers.declaration import registry
from tenants.audit.trail import actor_of
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest


@page(Action.VIEW_DEFAULTS, post=Action.MANAGE_DEFAULTS)
def default_models(request: WorkspaceRequest) -> HttpResponse:
    with reading_once():
        choices = list(queries.defaults(tenant_id=request.tenant.pk).values())
        entries = queries.entries(tenant_id=request.tenant.pk, enabled=True)
        forms = [_default_form(request, choice, entries) for choice in choices]
        rows = _default_rows(request, choices, forms, entries)
    # Lists, not generators: validate and save every scenario, and show all errors at once.
    valid = [form.is_valid() for form in forms]
    if request.method == "POST" and all(valid):
        changed = [form for form in forms if form.has_changed()]
        saved = [_save_default(request, form) for form in changed]
        if all(saved):
            messages.success(
                request, _("Default models saved.") if changed else _("Nothing was changed.")
            )
            return redirect("default-models", workspace=request.tenant.slug)
    wrong = any(form.is_bound and form.errors for form in forms)
    context = {"rows": rows, "has_models": any(form.has_models for form in forms)}
    return render(
        request, "models_catalog/default_models.html", context, status=422 if wrong else 200
    )


def _default_form(
    request: WorkspaceRequest, choice: DefaultChoice, entries: list[Entry]
) -> DefaultForm:
    labels = {provider.slug: provider.label for provider in registry.all_providers()}
    fitting = [entry for entry in entries if entry.type is choice.scenario.type]
    return DefaultForm(
        rearranged(request.POST) or None, choice=choice, entries=fitting, labels=labels
    )


def _save_default(request: WorkspaceRequest, form: DefaultForm) -> bool:
    tenant, actor, scenario, model = (
        request.tenant,
        actor_of(request),
        form.scenario.slug,
        form.cleaned_data["model"],
    )
    if not model:
        attempt(
            form, partial(defaults.clear_default, tenant=tenant, actor=actor, scenario=scenario)
        )
    else:
        fallbacks = form.chosen_fallbacks
        attempt(
            form,
            partial(
                defaults.set_default,
                tenant=tenant,
                actor=actor,
                scenario=scenario,
                model=model,
                fallbacks=fallbacks,
            ),
        )
    return not form.errors


def _default_rows(
    request: WorkspaceRequest,
    choices: list[DefaultChoice],
    forms: list[DefaultForm],
    entries: list[Entry],
) -> list[dict[str, Any]]:
    """Return each scenario with its form, its provider's state and possibly a suggestion."""
    cards = {
        slug: Card(status)
        for slug, status in provider_queries.statuses(
            tenant_id=request.tenant.pk, with_counts=False
        ).items()
    }
    rows = []
    for choice, form in zip(choices, forms, strict=True):
        slug, model = queries.split(choice.model)
        offering = [
            card
            for card in cards.values()
            if card.tone != "off" and card.offers(choice.scenario.type)
        ]
        card = cards.get(slug)
        rows.append(
            {
                "choice": choice,
                "form": form,
                "card": card,
                "offering": offering,
                "problem": card.problem_with(model) if card else "",
            }
        )
    return _with_suggestions(request, rows, entries)


def _with_suggestions(
    request: WorkspaceRequest, rows: list[dict[str, Any]], entries: list[Entry]
) -> list[dict[str, Any]]:
    by_id = {entry.id: entry for entry in entries}
    for row in rows:
        choice = row["choice"]
        if not choice.model and row["form"].has_models:
            row["suggestion"] = queries.suggestion(
                tenant_id=request.tenant.pk, scenario=choice.scenario, among=entries
            )
        elif choice.entry is not None and choice.entry.retired and choice.entry.successor:
            successor = by_id.get(f"{choice.entry.provider}/{choice.entry.successor}")
            row["suggestion"] = (
                successor
                if successor is not None and successor.type is choice.scenario.type
                else None
            )
    return rows


@page(Action.MANAGE_DEFAULTS)
@require_POST
def default_test(request: WorkspaceRequest, scenario: str) -> HttpResponse:
    choice = queries.defaults(tenant_id=request.tenant.pk).get(scenario)
    if choice is None:
        raise Http404
    test_model(request, choice.model)
    return redirect("default-models", workspace=request.tenant.slug)


def test_model(request: WorkspaceRequest, model: str) -> None:
    """Call "provider/model" as an application would, and show the result as a message."""
    try:
        took = try_model(tenant=request.tenant, name=model)
    except ServiceError as error:
        messages.error(request, str(error.message))
    else:
        messages.success(
            request, _("%(model)s answered in %(ms)d ms.") % {"model": model, "ms": took}
        )
