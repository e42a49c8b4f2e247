"""Page to set up a provider."""

from __future__ import annotations

from functools import partial

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from core.asgi.client_disconnect import disconnect_check
from core.web.forms import attempt, page_form
from core.web.htmx import redirect_page
from models_catalog.forms.setup import SetupForm
from models_catalog.services import setup
from providers import queries as provider_queries
from providers.declaration import registry
from providers.declaration.spec import Kind, Provider
from providers.models import CredentialState, ProviderCredential
from providers.views import known_status, list_context, typed_url
from tenants.audit.trail import actor_of
from tenants.auth.decorators import page
from tenants.auth.permissions import Action
from tenants.auth.request import WorkspaceRequest


@page(Action.MANAGE_PROVIDERS)
def provider_setup(request: WorkspaceRequest, provider: str) -> HttpResponse:
    """Set up a provider, on a page or in a dialog."""
    declared = offered_provider(provider)
    status = known_status(request, provider)
    # The dialog opens on the list page, whose filters use the default ids.
    form = SetupForm(
        request.POST or None,
        provider=declared,
        with_model=not status.credentials,
        initial={"name": _free_name(request, provider)},
        auto_id="setup_%s",
    )
    form.typed_url = typed_url(request)
    if request.method == "POST" and form.is_valid():
        check = not (declared.allow_unchecked and "unchecked" in request.POST)
        call = partial(
            setup.set_up_provider,
            tenant=request.tenant,
            actor=actor_of(request),
            provider=provider,
            check=check,
        )
        typed = {
            "name": form.cleaned_data["name"],
            "values": form.values("values"),
            "model": form.first_model,
        }
        saved = attempt(form, partial(call, **typed, check_connected=disconnect_check(request)))
        if saved:
            return _saved(request, declared, saved)
    return page_form(
        request, "providers/setup.html", form, {"provider": declared, "status": status}
    )


def offered_provider(slug: str) -> Provider:
    provider = next((item for item in registry.offered() if item.slug == slug), None)
    if provider is None:
        raise Http404
    return provider


def _free_name(request: WorkspaceRequest, provider: str) -> str:
    taken = set(
        provider_queries.credentials(tenant_id=request.tenant.pk, provider=provider).values_list(
            "name", flat=True
        )
    )
    number = next(number for number in range(1, len(taken) + 2) if _numbered(number) not in taken)
    return _numbered(number)


def _numbered(number: int) -> str:
    return _("Default") if number == 1 else _("Key %(number)d") % {"number": number}


def _saved(request: WorkspaceRequest, provider: Provider, row: ProviderCredential) -> HttpResponse:
    """Redirect to the credentials, or update the list behind the dialog and close the dialog."""
    _add_message(request, provider, row)
    home = reverse("provider-list", kwargs={"workspace": request.tenant.slug})
    if "again" in request.POST and provider.kind is Kind.HOSTING:
        home = reverse(
            "model-add", kwargs={"workspace": request.tenant.slug, "provider": provider.slug}
        )
    if not request.htmx:
        return redirect(home)
    here, _mark, typed = (request.htmx.current_url_abs_path or "").partition("?")
    if here != home:
        return redirect_page(home)
    response = render(
        request, "providers/_saved.html", {**list_context(request, QueryDict(typed)), "oob": True}
    )
    for name, value in (
        ("HX-Reswap", "none"),
        ("HX-Trigger-After-Settle", "modelkeep:saved"),
        ("Vary", "HX-Request"),
    ):
        response[name] = value
    return response


def _add_message(request: WorkspaceRequest, provider: Provider, row: ProviderCredential) -> None:
    values = {"provider": provider.label, "name": row.name}
    status = known_status(request, provider.slug)
    if row.state == CredentialState.NO_FUNDS:
        text = _(
            "The key is valid, but the %(provider)s account has no credit%(code)s. Saved; calls "
            "will fail until the account is topped up."
        )
        messages.warning(request, text % {**values, "code": row.failure.codes_suffix(_)})
    elif status.list_failure:
        text = _(
            "Key saved. The model list could not be fetched%(code)s; the built-in list is used."
        )
        message = text % {"code": status.list_failure.codes_suffix(_)}
        # The button submits the form on the provider's card in the list below.
        button = format_html(
            '<button type="submit" form="retry-{}" class="link">{}</button>',
            provider.slug,
            _("Retry"),
        )
        messages.warning(request, format_html("{} {}", message, button))
    elif row.state == CredentialState.UNCHECKED and not status.models:
        messages.success(request, _("%(provider)s is saved. Add its models next.") % values)
    else:
        messages.success(
            request, _("%(provider)s is set up. Its models are in the catalog.") % values
        )
