"""Pages of providers and their credentials."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from core.asgi.client_disconnect import disconnect_check
from core.i18n.sentences import listed
from core.request_cache import reading_once
from core.text import joined
from core.web.forms import act, attempt, page_form
from providers import queries
from providers.cards import Card, CredentialCard, matching, sorted_cards
from providers.credentials import services
from providers.credentials.consequences import what_stops
from providers.credentials.validation import MAX_LENGTH
from providers.declaration import registry
from providers.declaration.spec import Provider
from providers.forms import FilterForm, RenameForm, ReplaceForm
from providers.models import CredentialState, ProviderCredential
from providers.queries import ProviderStatus
from providers.stored.queries import of_credential
from tenants.audit.trail import actor_of
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest


@page(Action.VIEW_PROVIDERS)
def provider_list(request: WorkspaceRequest) -> HttpResponse:
    return render(request, "providers/provider_list.html", list_context(request, request.GET))


def list_context(request: WorkspaceRequest, typed: Any) -> dict[str, Any]:
    """Return the list's context for the filters; the setup dialog shows the same list."""
    form = FilterForm(typed)
    filters = form.cleaned_data if form.is_valid() else {"q": "", "type": "", "state": ""}
    configured, available = sorted_cards(queries.statuses(tenant_id=request.tenant.pk).values())
    matches = [
        matching(cards, filters["q"], filters["type"], filters["state"])
        for cards in (configured, available)
    ]
    return {
        "filters": form,
        "configured": matches[0],
        "available": matches[1],
        "available_count": len(matches[1]),
        "low_trials": [card for card in configured if card.trial_is_low],
        "nothing_yet": not configured,
        "demo_offered": any(card.slug == "demo" for card in available),
        "searching": any(filters.values()),
    }


def known_status(request: WorkspaceRequest, provider: str) -> ProviderStatus:
    """Return the provider's status in this workspace, or raise Http404."""
    status = queries.status(tenant_id=request.tenant.pk, provider=provider)
    if status is None:
        raise Http404
    return status


def known_provider(provider: str) -> Provider:
    try:
        return registry.get(provider)
    except registry.UnknownProvider:
        raise Http404 from None


def _credential(
    request: WorkspaceRequest, provider: str, credential_id: UUID
) -> ProviderCredential:
    row = queries.credential(tenant_id=request.tenant.pk, provider=provider, pk=credential_id)
    if row is None:
        raise Http404
    return row


@page(Action.VIEW_PROVIDERS)
def provider_credentials(request: WorkspaceRequest, provider: str) -> HttpResponse:
    status = known_status(request, provider)
    rows = queries.credentials(tenant_id=request.tenant.pk, provider=provider).select_related(
        "created_by"
    )
    context = {"card": Card(status), "credentials": [CredentialCard(row) for row in rows]}
    return render(request, "providers/credentials.html", context)


@page(Action.MANAGE_PROVIDERS)
def credential_edit(request: WorkspaceRequest, provider: str, credential_id: UUID) -> HttpResponse:
    declared, row = known_provider(provider), _credential(request, provider, credential_id)
    form = ReplaceForm(request.POST or None, provider=declared, credential=row)
    form.typed_url = typed_url(request)
    if request.method == "POST" and form.is_valid():
        check = not (declared.allow_unchecked and "unchecked" in request.POST)
        call = partial(
            services.replace_credential,
            tenant=request.tenant,
            actor=actor_of(request),
            credential=row,
            check=check,
        )
        if attempt(
            form,
            partial(call, values=form.values("values"), check_connected=disconnect_check(request)),
        ):
            messages.success(request, _("“%(name)s” was replaced.") % {"name": row.name})
            return redirect(
                "provider-credentials", workspace=request.tenant.slug, provider=provider
            )
    return credential_page(request, declared, row, form)


def typed_url(request: WorkspaceRequest) -> str:
    """Return what is being typed as the base URL, whose effect the page shows meanwhile."""
    return request.GET.get("values-base_url", "")[:MAX_LENGTH]


def credential_page(
    request: WorkspaceRequest, declared: Provider, row: ProviderCredential, form: Any, **more: Any
) -> HttpResponse:
    rename = more.pop("rename", None) or RenameForm(initial={"name": row.name})
    context = {"provider": declared, "credential": row, "rename": rename, **more}
    response = page_form(request, "providers/credential_edit.html", form, context)
    if rename.errors:
        response.status_code = 422
    return response


@page(Action.MANAGE_PROVIDERS, fresh=False)
@require_POST
def credential_rename(
    request: WorkspaceRequest, provider: str, credential_id: UUID
) -> HttpResponse:
    declared, row = known_provider(provider), _credential(request, provider, credential_id)
    rename = RenameForm(request.POST)
    if rename.is_valid():
        name = rename.cleaned_data["name"]
        call = partial(
            services.rename_credential,
            tenant=request.tenant,
            actor=actor_of(request),
            credential=row,
            name=name,
        )
        if attempt(rename, call):
            messages.success(request, _("Renamed."))
            return redirect(
                "provider-credentials", workspace=request.tenant.slug, provider=provider
            )
    return credential_page(
        request, declared, row, ReplaceForm(provider=declared, credential=row), rename=rename
    )


@page(Action.MANAGE_PROVIDERS, fresh=False)
@require_POST
def credential_test(request: WorkspaceRequest, provider: str, credential_id: UUID) -> HttpResponse:
    row = _credential(request, provider, credential_id)
    if act(
        request,
        partial(
            services.check_credential,
            tenant=request.tenant,
            actor=actor_of(request),
            credential=row,
        ),
    ):
        row.refresh_from_db()
        _tell_state(request, CredentialCard(row))
    return redirect("provider-credentials", workspace=request.tenant.slug, provider=provider)


def _tell_state(request: WorkspaceRequest, card: CredentialCard) -> None:
    if card.row.state == CredentialState.CONNECTED:
        messages.success(request, _("“%(name)s” works.") % {"name": card.row.name})
    else:
        text = _("“%(name)s”: %(state)s.") % {"name": card.row.name, "state": card.state_label}
        messages.error(request, joined(text, str(card.remedy)))


@page(Action.MANAGE_PROVIDERS)
@require_POST
def credential_activate(
    request: WorkspaceRequest, provider: str, credential_id: UUID
) -> HttpResponse:
    row = _credential(request, provider, credential_id)
    call = partial(
        services.activate_credential, tenant=request.tenant, actor=actor_of(request), credential=row
    )
    act(request, call, _("Calls now use “%(name)s”.") % {"name": row.name})
    return redirect("provider-credentials", workspace=request.tenant.slug, provider=provider)


@page(Action.MANAGE_PROVIDERS)
@require_POST
def credential_move(request: WorkspaceRequest, provider: str, credential_id: UUID) -> HttpResponse:
    """Change the order in which the standby keys are tried."""
    row = _credential(request, provider, credential_id)
    up = request.POST.get("direction") == "up"
    call = partial(
        services.move_standby, tenant=request.tenant, actor=actor_of(request), credential=row, up=up
    )
    act(request, call)
    return redirect("provider-credentials", workspace=request.tenant.slug, provider=provider)


@page(Action.MANAGE_PROVIDERS)
def credential_delete(
    request: WorkspaceRequest, provider: str, credential_id: UUID
) -> HttpResponse:
    row = _credential(request, provider, credential_id)
    others = [
        other
        for other in queries.credentials(tenant_id=request.tenant.pk, provider=provider)
        if other.pk != row.pk
    ]
    if request.method != "POST":
        with reading_once():
            consequences = queries.consequences(credential=row)
            context = {
                "card": Card(known_status(request, provider)),
                "credential": row,
                "what": consequences,
                "stored": of_credential(row),
            }
        context |= {
            "stops": what_stops(consequences.models, consequences.scenarios),
            "defaults": listed(consequences.scenarios),
        }
        cards = [CredentialCard(other) for other in others]
        proposed = next((card for card in cards if card.tone == "ok"), cards[0] if cards else None)
        return render(
            request,
            "providers/credential_delete.html",
            {**context, "others": cards, "proposed": proposed},
        )
    successor_id = request.POST.get("successor")
    successor = next((other for other in others if str(other.pk) == successor_id), None)
    call = partial(
        services.delete_credential,
        tenant=request.tenant,
        actor=actor_of(request),
        credential=row,
        successor=successor,
    )
    act(request, call, _("“%(name)s” was deleted.") % {"name": row.name})
    return redirect("provider-credentials", workspace=request.tenant.slug, provider=provider)


@page(Action.MANAGE_PROVIDERS)
@require_POST
def source_order(request: WorkspaceRequest, provider: str) -> HttpResponse:
    first = request.POST.get("first") == "trial"
    call = partial(
        services.set_source_order,
        tenant=request.tenant,
        actor=actor_of(request),
        provider=provider,
        trial_first=first,
    )
    act(
        request,
        call,
        _("The trial is now used first.") if first else _("Your own key is now used first."),
    )
    return redirect("provider-credentials", workspace=request.tenant.slug, provider=provider)
