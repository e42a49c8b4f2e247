"""Pages for app keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import get_script_prefix
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core.request_cache import reading_once
from core.web.forms import act, attempt, endpoint, page_form, paginate
from tenants import ports, queries
from tenants.audit.trail import actor_of
from tenants.auth.decorators import page
from tenants.auth.permissions import Action, Scope
from tenants.auth.request import WorkspaceRequest
from tenants.forms.app_keys import AppKeyChangeForm, AppKeyForm, RotateForm
from tenants.models import AppKey
from tenants.services import app_keys as app_key_services


@page(Action.VIEW_APP_KEYS)
def app_keys(request: WorkspaceRequest) -> HttpResponse:
    rows = paginate(request, queries.app_keys(tenant=request.tenant))
    return render(request, "tenants/app_keys.html", {"keys": rows, "base_url": endpoint(request)})


@page(Action.VIEW_APP_KEYS)
@require_safe
def connect(request: WorkspaceRequest) -> HttpResponse:
    """Show the setup of each known application, with a placeholder for the key."""
    base_url = endpoint(request)
    clients = ports.guides(request.tenant.pk, base_url)
    context = {"clients": clients, "base_url": base_url}
    return render(request, "tenants/app_key_connect.html", context)


@page(Action.MANAGE_OWN_APP_KEYS)
@never_cache
def app_key_new(request: WorkspaceRequest) -> HttpResponse:
    form = AppKeyForm(
        request.POST or None,
        role=request.principal.role,
        offered=ports.callables(request.tenant.pk),
    )
    if request.method == "POST" and form.is_valid():
        values: dict[str, Any] = {"scopes": form.cleaned_data["scopes"], **form.limits}
        call = partial(
            app_key_services.create_app_key,
            tenant=request.tenant,
            actor=actor_of(request),
            name=form.cleaned_data["name"],
            expires=form.expires,
            rates=form.rates,
            **values,
        )
        created = attempt(form, call)
        if created:
            return _reveal(request, *created)
    return page_form(request, "tenants/app_key_new.html", form)


def _reveal(request: WorkspaceRequest, key: AppKey, text: str, note: Any = "") -> HttpResponse:
    """Show the key's text once; the response is never stored, so a reload won't show it."""
    limits = (key.allowed_providers, key.allowed_models, key.allowed_operations)
    base_url = endpoint(request)
    example: ports.Example | None = None
    clients: Sequence[Any] = ()
    if Scope.USE in key.scopes:
        with reading_once():
            example = ports.example(request.tenant.pk, limits)
            clients = ports.guides(request.tenant.pk, base_url, text, limits)
    api = request.build_absolute_uri(f"{get_script_prefix()}api/v1/")
    context = {
        "key": key,
        "text": text,
        "note": note,
        "base_url": base_url,
        "example": example,
        "clients": clients,
        "api": api,
        "uses": Scope.USE in key.scopes,
        "reads": Scope.READ in key.scopes or Scope.MANAGE in key.scopes,
    }
    response = render(request, "tenants/app_key_shown.html", context)
    response["Cache-Control"] = "no-store"
    return response


@page(Action.MANAGE_OWN_APP_KEYS)
@never_cache
def app_key_change(request: WorkspaceRequest, app_key_id: UUID) -> HttpResponse:
    key = get_object_or_404(AppKey, pk=app_key_id, revoked=None)
    form = AppKeyChangeForm(
        request.POST or None, key=key, offered=ports.callables(request.tenant.pk)
    )
    if request.method == "POST" and form.is_valid():
        call = partial(
            app_key_services.change_app_key,
            tenant=request.tenant,
            app_key_id=app_key_id,
            actor=actor_of(request),
            values=form.values,
        )
        changed = attempt(form, call)
        if changed:
            text = _("“%(name)s” is saved. Its next call follows it.") % {"name": changed.name}
            messages.success(request, text)
            return redirect("app-keys", workspace=request.tenant.slug)
    return page_form(request, "tenants/app_key_change.html", form, {"key": key})


@page(Action.MANAGE_OWN_APP_KEYS)
def app_key_revoke(request: WorkspaceRequest, app_key_id: UUID) -> HttpResponse:
    key = get_object_or_404(AppKey, pk=app_key_id, revoked=None)
    if request.method != "POST":
        made = AppKey.objects.filter(made_by_key=key, revoked=None).count()
        return render(request, "tenants/app_key_revoke.html", {"key": key, "made_count": made})
    call = partial(
        app_key_services.revoke_app_key,
        tenant=request.tenant,
        app_key_id=app_key_id,
        actor=actor_of(request),
    )
    act(
        request,
        call,
        _("“%(name)s” is revoked. Calls with it are refused from now on.") % {"name": key.name},
    )
    return redirect("app-keys", workspace=request.tenant.slug)


@page(Action.MANAGE_OWN_APP_KEYS)
@never_cache
def app_key_rotate(request: WorkspaceRequest, app_key_id: UUID) -> HttpResponse:
    key = get_object_or_404(AppKey, pk=app_key_id, revoked=None)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        call = partial(
            app_key_services.rotate_app_key,
            tenant=request.tenant,
            app_key_id=app_key_id,
            actor=actor_of(request),
            overlap=form.duration,
        )
        rotated = attempt(form, call)
        if rotated:
            new_key, text = rotated
            return _reveal(request, new_key, text, note=form.duration_label)
    return page_form(request, "tenants/app_key_rotate.html", form, {"key": key})
