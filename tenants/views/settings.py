"""Pages of a workspace's settings: name, address, language, key pair, leaving and closing."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.errors import ServiceError
from core.web.forms import act, attempt, page_form
from tenants import queries
from tenants.audit.trail import actor_of
from tenants.auth.decorators import page
from tenants.auth.permissions import Action, Role
from tenants.auth.request import WorkspaceRequest
from tenants.crypto import keys
from tenants.forms.rates import initial_rates
from tenants.forms.settings import TypedForm, WorkspaceForm
from tenants.models import AppKey, Membership, Tenant
from tenants.services import members, settings


@page(Action.VIEW_MODELS, post=Action.MANAGE_WORKSPACE)
def workspace(request: WorkspaceRequest) -> HttpResponse:
    tenant = request.tenant
    initial = {
        "name": tenant.name,
        "slug": tenant.slug,
        "default_language": tenant.default_language,
        "kept_hours": tenant.kept_hours,
        "allowed_origins": "\n".join(queries.allowed_origins(tenant=tenant)),
        **initial_rates(tenant.rates),
    }
    form = WorkspaceForm(request.POST or None, initial=initial)
    if (
        request.method == "POST"
        and form.is_valid()
        and attempt(form, partial(_save, request, form)) is not None
    ):
        messages.success(request, _("Workspace saved."))
        return redirect("workspace", workspace=tenant.slug)
    pair = queries.key_pair(tenant=tenant)
    context = {
        "pair": pair,
        "progress": _progress(tenant),
        "fingerprint": _grouped(pair.fingerprint) if pair else "",
    }
    return page_form(request, "tenants/workspace.html", form, context)


@transaction.atomic
def _save(request: WorkspaceRequest, form: WorkspaceForm) -> Tenant:
    """Save the whole form, or nothing if a value is refused."""
    values = form.cleaned_data
    actor = actor_of(request)
    tenant = Tenant.objects.get(pk=request.tenant.pk)
    settings.rename_workspace(tenant=tenant, name=values["name"], actor=actor)
    settings.set_default_language(tenant=tenant, language=values["default_language"], actor=actor)
    if (hours := values["kept_hours"]) is not None:
        settings.set_kept_hours(tenant=tenant, hours=hours, actor=actor)
    origins = values["allowed_origins"].split()
    settings.set_allowed_origins(tenant=tenant, origins=origins, actor=actor)
    settings.set_rates(tenant=tenant, rates=form.rates, actor=actor)
    settings.move_workspace(tenant=tenant, slug=values["slug"].strip().lower(), actor=actor)
    request.tenant.name, request.tenant.slug = tenant.name, tenant.slug
    return tenant


def _grouped(fingerprint: str) -> str:
    """Group a fingerprint in fours, for easier comparison."""
    return " ".join(fingerprint[start : start + 4] for start in range(0, len(fingerprint), 4))


def _progress(tenant: Tenant) -> Any:
    """Return the progress of a rotation, or None if the master keys cannot be used."""
    try:
        return keys.progress(tenant=tenant)
    except ServiceError:
        return None


@page(Action.MANAGE_WORKSPACE)
def key_pair_rotate(request: WorkspaceRequest) -> HttpResponse:
    """Ask for confirmation, then make a new key pair; the progress page re-seals the texts."""
    form = TypedForm(request.POST or None, slug=request.tenant.slug)
    begin = partial(keys.begin_rotation, tenant=request.tenant, actor=actor_of(request))
    if request.method == "POST" and form.is_valid() and attempt(form, begin) is not None:
        return redirect("key-pair-progress", workspace=request.tenant.slug)
    context = {
        "progress": _progress(request.tenant),
        "pair": queries.key_pair(tenant=request.tenant),
    }
    return page_form(request, "tenants/key_pair_rotate.html", form, context)


@page(Action.MANAGE_WORKSPACE, fresh=False)  # continues what key_pair_rotate began
def key_pair_progress(request: WorkspaceRequest) -> HttpResponse:
    """Show the progress of a rotation. A POST re-seals for two seconds; scripts repeat it."""
    failed = 0
    if request.method == "POST":
        try:
            report = keys.continue_rotation(tenant=request.tenant, actor=actor_of(request))
        except ServiceError as error:
            messages.error(request, str(error.message))
            return redirect("workspace", workspace=request.tenant.slug)
        failed = report.failed if report.complete else 0
        if not request.htmx:
            _add_result_message(request, report.complete, failed)
            page_name = "workspace" if report.complete else "key-pair-progress"
            return redirect(page_name, workspace=request.tenant.slug)
    progress = keys.progress(tenant=request.tenant)
    context = {
        "progress": progress,
        "failed": failed,
        "pair": queries.key_pair(tenant=request.tenant),
    }
    template = "tenants/_rotation.html" if request.htmx else "tenants/key_pair_progress.html"
    response = render(request, template, context)
    response["Vary"] = "HX-Request"
    return response


def _add_result_message(request: WorkspaceRequest, complete: bool, failed: int) -> None:
    if failed:
        text = ngettext(
            "%(n)s credential could not be opened, so it was not re-encrypted. Enter its key "
            "again on the provider's page.",
            "%(n)s credentials could not be opened, so they were not re-encrypted. Enter their "
            "keys again on the providers' pages.",
            failed,
        )
        messages.warning(request, text % {"n": failed})
    elif complete:
        messages.success(request, _("Everything is encrypted with the new key pair."))


@page(Action.VIEW_MODELS, fresh=True)
def workspace_leave(request: WorkspaceRequest) -> HttpResponse:
    tenant = request.tenant
    if request.method == "POST":
        call = partial(
            members.leave_workspace, tenant=tenant, user=request.user, actor=actor_of(request)
        )
        if act(request, call, _("You have left %(name)s.") % {"name": tenant.name}):
            return redirect("workspace-list")
        return redirect("workspace-leave", workspace=tenant.slug)
    own_keys = AppKey.objects.filter(tenant=tenant, created_by=request.user, revoked=None)
    context = {"is_last_owner": _is_last_owner(request), "key_count": own_keys.count()}
    return render(request, "tenants/workspace_leave.html", context)


def _is_last_owner(request: WorkspaceRequest) -> bool:
    if request.principal.role is not Role.OWNER:
        return False
    owners = Membership.objects.filter(tenant=request.tenant, role=Role.OWNER, user__is_active=True)
    return owners.count() == 1


@page(Action.OWN_WORKSPACE)
def workspace_close(request: WorkspaceRequest) -> HttpResponse:
    tenant = request.tenant
    form = TypedForm(request.POST or None, slug=tenant.slug)
    if request.method == "POST" and form.is_valid():
        call = partial(
            settings.close_workspace,
            tenant=tenant,
            typed=form.cleaned_data["typed"],
            actor=actor_of(request),
        )
        attempt(form, call)
        if tenant.status == Tenant.Status.CLOSED:
            messages.success(
                request,
                _("%(name)s is closed. Its keys and credentials were destroyed.")
                % {"name": tenant.name},
            )
            return redirect("workspace-list")
    counts = {
        "key_count": AppKey.objects.filter(tenant=tenant, revoked=None).count(),
        "member_count": Membership.objects.filter(tenant=tenant).count(),
        "progress": _progress(tenant),
    }
    return page_form(request, "tenants/workspace_close.html", form, counts)
