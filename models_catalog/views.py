"""Pages of models: setting a provider up, its models, the defaults."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from models_catalog import queries, services
from models_catalog.catalog import Entry
from models_catalog.details import facts_table
from models_catalog.forms import DefaultForm, FactsForm, ModelFilterForm, ModelForm, SetupForm, rearranged
from models_catalog.importing import ImportResult
from models_catalog.listing import latest_calls
from models_catalog.queries import DefaultChoice
from models_catalog.scenarios import SCENARIOS
from models_catalog.trying import try_model
from providers import queries as provider_queries
from providers import registry
from providers.cards import Card
from providers.leaving import stays
from providers.models import CredentialState, ProviderCredential
from providers.reading import reading_once
from providers.spec import Kind, Provider
from providers.views import known_provider, known_status, list_context
from tenants.audit import actor_of
from tenants.auth.request import WorkspaceRequest
from tenants.errors import ServiceError
from tenants.pages import act, attempt, page_form, paginate
from tenants.permissions import Action
from tenants.web import page


@page(Action.MANAGE_PROVIDERS)
def provider_setup(request: WorkspaceRequest, provider: str) -> HttpResponse:
    """A page, and the same form in a dialog."""
    declared = _offered(provider)
    status = known_status(request, provider)
    # In the dialog the form stands on the page of the list, whose filters have ids of the plain kind.
    form = SetupForm(
        request.POST or None,
        provider=declared,
        with_model=not status.credentials,
        initial={"name": _free_name(request, provider)},
        auto_id="setup_%s",
    )
    if request.method == "POST" and form.is_valid():
        check = not (declared.allow_unchecked and "unchecked" in request.POST)
        call = partial(services.set_up_provider, tenant=request.tenant, actor=actor_of(request), provider=provider, check=check)
        typed = {"name": form.cleaned_data["name"], "values": form.values("values"), "model": form.first_model}
        saved = attempt(form, partial(call, **typed, still_wanted=stays(request)))
        if saved:
            return _saved(request, declared, saved)
    return page_form(request, "providers/setup.html", form, {"provider": declared, "status": status})


def _offered(slug: str) -> Provider:
    found = next((one for one in registry.offered() if one.slug == slug), None)
    if found is None:
        raise Http404
    return found


def _free_name(request: WorkspaceRequest, provider: str) -> str:
    taken = set(provider_queries.credentials(tenant_id=request.tenant.pk, provider=provider).values_list("name", flat=True))
    number = next(number for number in range(1, len(taken) + 2) if _numbered(number) not in taken)
    return _numbered(number)


def _numbered(number: int) -> str:
    return _("Default") if number == 1 else _("Key %(number)d") % {"number": number}


def _saved(request: WorkspaceRequest, provider: Provider, row: ProviderCredential) -> HttpResponse:
    """Plain: back to the credentials. In the dialog of the list: the new list beside, and word that the dialog may close."""
    _tell_saved(request, provider, row)
    home = reverse("provider-list", kwargs={"workspace": request.tenant.slug})
    if "again" in request.POST and provider.kind is Kind.HOSTING:
        home = reverse("model-add", kwargs={"workspace": request.tenant.slug, "provider": provider.slug})
    if not request.htmx:
        return redirect(home)
    here, _mark, typed = (request.htmx.current_url_abs_path or "").partition("?")
    if here != home:
        return HttpResponse(status=204, headers={"HX-Redirect": home})
    response = render(request, "providers/_saved.html", {**list_context(request, QueryDict(typed)), "oob": True})
    for name, value in (("HX-Reswap", "none"), ("HX-Trigger-After-Settle", "modelkeep:saved"), ("Vary", "HX-Request")):
        response[name] = value
    return response


def _tell_saved(request: WorkspaceRequest, provider: Provider, row: ProviderCredential) -> None:
    values = {"provider": provider.label, "name": row.name}
    status = known_status(request, provider.slug)
    if row.state == CredentialState.NO_FUNDS:
        text = _(
            "The key is valid, but the %(provider)s account has no credit%(code)s. Saved; calls will fail until the account is topped up."
        )
        messages.warning(request, text % {**values, "code": row.failure.in_brackets(_)})
    elif status.list_failure:
        text = _("Key saved. The model list could not be fetched%(code)s; the built-in list is used.")
        told = text % {"code": status.list_failure.in_brackets(_)}
        # The button belongs to the form on the provider's card, which the list shows below.
        button = format_html('<button type="submit" form="retry-{}" class="link">{}</button>', provider.slug, _("Retry"))
        messages.warning(request, format_html("{} {}", told, button))
    elif row.state == CredentialState.UNCHECKED and not status.models:
        messages.success(request, _("%(provider)s is saved. Add its models next.") % values)
    else:
        messages.success(request, _("%(provider)s is set up. Its models are in the catalog.") % values)


@page(Action.VIEW_MODELS)
def provider_models(request: WorkspaceRequest, provider: str) -> HttpResponse:
    declared = known_provider(provider)
    form = ModelFilterForm(request.GET, provider=declared)
    with reading_once():
        status = known_status(request, provider)
        rows = paginate(request, queries.entries(tenant_id=request.tenant.pk, provider=provider, **form.query))
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
    """Everything known of one model, where each value comes from, and the workspace's own values."""
    with reading_once():
        layers = queries.layers(tenant_id=request.tenant.pk, provider=provider, model=model)
        if layers is None:
            raise Http404
        status = known_status(request, provider)
        used = _scenarios_with(request, layers.entry.id)
    form = FactsForm(request.POST if request.method == "POST" else None, layers=layers)
    if request.method == "POST" and form.is_valid():
        call = partial(services.override, tenant=request.tenant, actor=actor_of(request), provider=provider, model=model)
        if not form.changed_facts:
            messages.info(request, _("Nothing was changed."))
            return redirect(request.path)
        if attempt(form, partial(call, overrides=form.changed_facts)):
            messages.success(request, _("Your values of %(model)s were saved.") % {"model": model})
            return redirect(request.path)
    latest = latest_calls(tenant_id=request.tenant.pk, entries=[layers.entry]).get(layers.entry.id)
    context = {"card": Card(status), "entry": layers.entry, "rows": facts_table(layers), "used": used, "layers": layers, "latest": latest}
    return page_form(request, "models_catalog/model_detail.html", form, context)


def _scenarios_with(request: WorkspaceRequest, model: str) -> list[Any]:
    """The scenarios whose default or fallback a model is."""
    chosen = queries.chosen(tenant_id=request.tenant.pk)
    return [one.label for one in SCENARIOS if one.slug in chosen and model in (chosen[one.slug].model, *chosen[one.slug].fallbacks)]


@page(Action.MANAGE_MODELS)
@require_POST
def model_toggle(request: WorkspaceRequest, provider: str, model: str) -> HttpResponse:
    enabled = request.POST.get("enabled") == "1"
    call = partial(services.set_enabled, tenant=request.tenant, actor=actor_of(request), provider=provider, model=model, enabled=enabled)
    changed = act(request, call, "" if request.htmx else (_("Switched on.") if enabled else _("Switched off.")))
    if not request.htmx or not changed:
        return _to_models(request, provider)
    entry = queries.entry(tenant_id=request.tenant.pk, provider=provider, model=model)
    context = {"entry": entry, "back": _typed(request), "on_all_models": "all" in request.POST}
    response = render(request, "models_catalog/_switch.html", context)
    response["Vary"] = "HX-Request"
    return response


def _to_models(request: WorkspaceRequest, provider: str) -> HttpResponse:
    """Back to the page of the list that the button stood on."""
    names = {"workspace": request.tenant.slug}
    address = (
        reverse("models", kwargs=names) if "all" in request.POST else reverse("provider-models", kwargs={**names, "provider": provider})
    )
    typed = _typed(request)
    target = f"{address}?{QueryDict(typed).urlencode()}" if typed else address
    return HttpResponse(status=204, headers={"HX-Redirect": target}) if request.htmx else redirect(target)


def _typed(request: WorkspaceRequest) -> str:
    """The filters of the list that a button stood on: "all" of the page of all models, "back" of a provider's."""
    return request.POST.get("all") or request.POST.get("back", "")


@page(Action.MANAGE_MODELS)
@require_POST
def models_bulk(request: WorkspaceRequest, provider: str) -> HttpResponse:
    chosen, enabled = request.POST.getlist("model"), request.POST.get("enabled") == "1"
    if not chosen:
        messages.warning(request, _("Choose models first."))
        return _to_models(request, provider)
    words = ngettext("%(count)d model switched.", "%(count)d models switched.", len(chosen)) % {"count": len(chosen)}
    call = partial(
        services.set_many_enabled, tenant=request.tenant, actor=actor_of(request), provider=provider, models=chosen, enabled=enabled
    )
    act(request, call, words)
    return _to_models(request, provider)


@page(Action.MANAGE_MODELS)
@require_POST
def models_refresh(request: WorkspaceRequest, provider: str) -> HttpResponse:
    known_provider(provider)
    found: list[ImportResult] = []
    act(request, lambda: found.append(services.refresh(tenant=request.tenant, actor=actor_of(request), provider=provider)))
    if found and found[0].failure:
        messages.warning(
            request, _("The list could not be fetched: %(error)s The older list stays.") % {"error": found[0].failure.in_words(_)}
        )
    elif found:
        messages.success(
            request,
            ngettext("List refreshed: %(new)d new model.", "List refreshed: %(new)d new models.", found[0].new) % {"new": found[0].new},
        )
    return _to_models(request, provider)


@page(Action.MANAGE_MODELS)
def model_add(request: WorkspaceRequest, provider: str) -> HttpResponse:
    declared = _offered(provider)
    form = ModelForm(request.POST or None, provider=declared)
    if request.method == "POST" and form.is_valid():
        check = not (declared.allow_unchecked and "unchecked" in request.POST)
        typed = {"model": form.cleaned_data["model"], "type": form.cleaned_data["type"], "values": form.values("model")}
        call = partial(services.add_model, tenant=request.tenant, actor=actor_of(request), provider=provider, check=check, **typed)
        if attempt(form, call):
            messages.success(request, _("%(model)s was added.") % {"model": typed["model"]})
            again = "again" in request.POST
            return redirect("model-add" if again else "provider-models", workspace=request.tenant.slug, provider=provider)
    return page_form(request, "models_catalog/model_add.html", form, {"provider": declared})


@page(Action.MANAGE_MODELS)
@require_POST
def model_test(request: WorkspaceRequest, provider: str, model: str) -> HttpResponse:
    if queries.entry(tenant_id=request.tenant.pk, provider=provider, model=model) is None:
        raise Http404
    _test(request, f"{provider}/{model}")
    return redirect("model-detail", workspace=request.tenant.slug, provider=provider, model=model)


@page(Action.MANAGE_MODELS)
def model_delete(request: WorkspaceRequest, provider: str, model: str) -> HttpResponse:
    entry = queries.entry(tenant_id=request.tenant.pk, provider=provider, model=model)
    if entry is None:
        raise Http404
    if request.method != "POST":
        used = [choice.scenario.label for choice in queries.defaults(tenant_id=request.tenant.pk).values() if choice.model == entry.id]
        return render(request, "models_catalog/model_delete.html", {"entry": entry, "provider": known_provider(provider), "used": used})
    call = partial(services.remove_model, tenant=request.tenant, actor=actor_of(request), provider=provider, model=model)
    act(request, call, _("%(model)s was removed.") % {"model": model})
    return _to_models(request, provider)


# ------------------------------------------------------------------------------------------------ default models


@page(Action.VIEW_DEFAULTS, post=Action.MANAGE_DEFAULTS)
def default_models(request: WorkspaceRequest) -> HttpResponse:
    with reading_once():
        choices = list(queries.defaults(tenant_id=request.tenant.pk).values())
        entries = queries.entries(tenant_id=request.tenant.pk, enabled=True)
        forms = [_default_form(request, choice, entries) for choice in choices]
        rows = _default_rows(request, choices, forms, entries)
    # Lists, not generators: every scenario is checked and saved, and every refusal is shown at once.
    valid = [form.is_valid() for form in forms]
    if request.method == "POST" and all(valid):
        changed = [form for form in forms if form.has_changed()]
        saved = [_save_default(request, form) for form in changed]
        if all(saved):
            messages.success(request, _("Default models saved.") if changed else _("Nothing was changed."))
            return redirect("default-models", workspace=request.tenant.slug)
    wrong = any(form.is_bound and form.errors for form in forms)
    context = {"rows": rows, "has_models": any(form.has_models for form in forms)}
    return render(request, "models_catalog/default_models.html", context, status=422 if wrong else 200)


def _default_form(request: WorkspaceRequest, choice: DefaultChoice, entries: list[Entry]) -> DefaultForm:
    labels = {one.slug: one.label for one in registry.all_providers()}
    fitting = [entry for entry in entries if entry.type is choice.scenario.type]
    return DefaultForm(rearranged(request.POST) or None, choice=choice, entries=fitting, labels=labels)


def _save_default(request: WorkspaceRequest, form: DefaultForm) -> bool:
    tenant, actor, scenario, model = request.tenant, actor_of(request), form.scenario.slug, form.cleaned_data["model"]
    if not model:
        attempt(form, partial(services.clear_default, tenant=tenant, actor=actor, scenario=scenario))
    else:
        fallbacks = form.chosen_fallbacks
        attempt(form, partial(services.set_default, tenant=tenant, actor=actor, scenario=scenario, model=model, fallbacks=fallbacks))
    return not form.errors


def _default_rows(
    request: WorkspaceRequest, choices: list[DefaultChoice], forms: list[DefaultForm], entries: list[Entry]
) -> list[dict[str, Any]]:
    """Each scenario with its form, the state of what serves it, and a suggestion where nothing is set."""
    cards = {slug: Card(status) for slug, status in provider_queries.statuses(tenant_id=request.tenant.pk, with_counts=False).items()}
    rows = []
    for choice, form in zip(choices, forms, strict=True):
        slug, model = queries.split(choice.model)
        offering = [card for card in cards.values() if card.tone != "off" and card.offers(choice.scenario.type)]
        card = cards.get(slug)
        rows.append(
            {"choice": choice, "form": form, "card": card, "offering": offering, "problem": card.problem_with(model) if card else ""}
        )
    return _with_suggestions(request, rows, entries)


def _with_suggestions(request: WorkspaceRequest, rows: list[dict[str, Any]], entries: list[Entry]) -> list[dict[str, Any]]:
    known = {one.id: one for one in entries}
    for row in rows:
        choice = row["choice"]
        if not choice.model and row["form"].has_models:
            row["suggestion"] = queries.suggestion(tenant_id=request.tenant.pk, scenario=choice.scenario, among=entries)
        elif choice.entry is not None and choice.entry.retired and choice.entry.successor:
            successor = known.get(f"{choice.entry.provider}/{choice.entry.successor}")
            row["suggestion"] = successor if successor is not None and successor.type is choice.scenario.type else None
    return rows


@page(Action.MANAGE_DEFAULTS)
@require_POST
def default_test(request: WorkspaceRequest, scenario: str) -> HttpResponse:
    choice = queries.defaults(tenant_id=request.tenant.pk).get(scenario)
    if choice is None:
        raise Http404
    _test(request, choice.model)
    return redirect("default-models", workspace=request.tenant.slug)


def _test(request: WorkspaceRequest, model: str) -> None:
    """Ask "provider/model" as an application would; what came of it is a message, also that it is switched off or gone."""
    try:
        took = try_model(tenant=request.tenant, name=model)
    except ServiceError as error:
        messages.error(request, str(error.message))
    else:
        messages.success(request, _("%(model)s answered in %(ms)d ms.") % {"model": model, "ms": took})
