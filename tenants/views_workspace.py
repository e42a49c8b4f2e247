"""Pages of a workspace about people and access: members and app keys."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import get_script_prefix, reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from tenants import hooks, queries, services
from tenants.audit import actor_of
from tenants.auth.request import WorkspaceRequest
from tenants.forms import AppKeyForm, InviteForm, MailInviteForm, RoleForm, RotateForm, role_choices
from tenants.mail import send_invitation
from tenants.models import AppKey, Invitation, Membership, User
from tenants.pages import act, attempt, endpoint, page_form, paginate
from tenants.permissions import ACTION_LABELS, RANK, ROLE_ACTIONS, ROLE_LABELS, Action, Role, Scope, can_change_role
from tenants.web import page, recently_authenticated

MEMBERS_PER_PAGE = 40  # a row has a form of its own, which makes it twice as heavy as the rows of other lists


@page(Action.VIEW_MEMBERS)
def members(request: WorkspaceRequest) -> HttpResponse:
    rows = sorted(queries.members(tenant=request.tenant), key=lambda row: -RANK[Role(row.role)])
    own_role, owners = request.principal.role, [row.pk for row in rows if row.role == Role.OWNER]
    may_manage = request.principal.can(Action.MANAGE_MEMBERS)
    context = {
        "members": paginate(request, rows, MEMBERS_PER_PAGE),
        "last_owner": owners[0] if len(owners) == 1 else None,
        "changeable_roles": [role for role in Role if own_role and can_change_role(actor=own_role, current=role, new=role)],
        "roles": role_choices(own_role),
        "role_names": [label for _role, label in _roles_down()],
        "matrix": _role_matrix(),
        "invitations": queries.open_invitations(tenant=request.tenant) if may_manage else [],
    }
    return render(request, "tenants/members.html", context)


def _roles_down() -> list[tuple[Role, Any]]:
    return [(role, ROLE_LABELS[role]) for role in sorted(RANK, key=lambda each: -RANK[each])]


def _role_matrix() -> list[tuple[Any, list[bool]]]:
    """The permission table itself, one row an action: what the page says is what the code decides."""
    return [(ACTION_LABELS[action], [action in ROLE_ACTIONS[role] for role, _label in _roles_down()]) for action in Action]


@page(Action.MANAGE_MEMBERS)
@recently_authenticated
@never_cache
def member_invite(request: WorkspaceRequest) -> HttpResponse:
    kind = MailInviteForm if settings.EMAIL_URL else InviteForm
    form = kind(request.POST or None, role=request.principal.role, initial={"role": Role.EDITOR.value, "send": "1"})
    if request.method == "POST" and form.is_valid():
        by_email = bool(form.cleaned_data.get("send"))
        made = attempt(form, partial(_invite, request, form.cleaned_data, by_email=by_email))
        if made and by_email:
            text = _("An invitation was sent to %(email)s. Nobody else sees its link.") % {"email": made[0].email}
            messages.success(request, text)
            return redirect("members", workspace=request.tenant.slug)
        if made:
            return _show_link(request, *made)
    return page_form(request, "tenants/member_invite.html", form, {"by_email": bool(settings.EMAIL_URL)})


def _invite(request: WorkspaceRequest, given: dict[str, str], *, by_email: bool) -> tuple[Invitation, str]:
    """The invitation is there only when its e-mail is on its way."""
    with transaction.atomic():
        invitation, token = services.invite(
            tenant=request.tenant, email=given["email"], role=Role(given["role"]), actor=actor_of(request), by_email=by_email
        )
        if by_email:
            send_invitation(invitation, link=_invitation_link(request, token), by=request.user)
    return invitation, token


def _show_link(request: WorkspaceRequest, invitation: Invitation, token: str) -> HttpResponse:
    has_account = User.objects.filter(email=invitation.email).exists()
    context = {"invitation": invitation, "link": _invitation_link(request, token), "has_account": has_account}
    response = render(request, "tenants/member_invited.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _invitation_link(request: WorkspaceRequest, token: str) -> str:
    return request.build_absolute_uri(reverse("invite", args=[token]))


@page(Action.MANAGE_MEMBERS)
@require_POST
def invitation_revoke(request: WorkspaceRequest, invitation_id: UUID) -> HttpResponse:
    call = partial(services.revoke_invitation, tenant=request.tenant, invitation_id=invitation_id, actor=actor_of(request))
    act(request, call, _("Invitation withdrawn. Its link no longer works."))
    return redirect("members", workspace=request.tenant.slug)


@page(Action.MANAGE_MEMBERS)
@recently_authenticated
@require_POST
def member_role(request: WorkspaceRequest, membership_id: int) -> HttpResponse:
    get_object_or_404(Membership, pk=membership_id)
    form = RoleForm(request.POST)
    if form.is_valid():
        role = Role(form.cleaned_data["role"])
        call = partial(services.change_role, tenant=request.tenant, membership_id=membership_id, role=role, actor=actor_of(request))
        act(request, call, _("Role changed."))
    else:
        messages.error(request, _("There is no such role. Nothing was changed."))
    return redirect("members", workspace=request.tenant.slug)


@page(Action.MANAGE_MEMBERS)
def member_remove(request: WorkspaceRequest, membership_id: int) -> HttpResponse:
    member = get_object_or_404(Membership.objects.select_related("user"), pk=membership_id)
    if request.method != "POST":
        if member.user_id == request.user.pk:
            return redirect("workspace-leave", workspace=request.tenant.slug)
        keys = AppKey.objects.filter(created_by=member.user, revoked=None).count()
        return render(request, "tenants/member_remove.html", {"member": member, "key_count": keys})
    call = partial(services.remove_member, tenant=request.tenant, membership_id=membership_id, actor=actor_of(request))
    removed = act(request, call, _("%(who)s is no longer a member.") % {"who": member.user.email})
    left = removed and member.user_id == request.user.pk
    return redirect("workspace-list") if left else redirect("members", workspace=request.tenant.slug)


@page(Action.VIEW_APP_KEYS)
def app_keys(request: WorkspaceRequest) -> HttpResponse:
    rows = paginate(request, queries.app_keys(tenant=request.tenant))
    return render(request, "tenants/app_keys.html", {"keys": rows, "base_url": endpoint(request)})


@page(Action.MANAGE_OWN_APP_KEYS)
@recently_authenticated
@never_cache
def app_key_new(request: WorkspaceRequest) -> HttpResponse:
    form = AppKeyForm(request.POST or None, role=request.principal.role, offered=hooks.callables(request.tenant.pk))
    if request.method == "POST" and form.is_valid():
        chosen = {name: form.cleaned_data[name] for name in ("name", "scopes")} | form.limits
        call = partial(services.create_app_key, tenant=request.tenant, actor=actor_of(request), expires=form.expires, **chosen)
        made = attempt(form, call)
        if made:
            return _reveal(request, *made)
    return page_form(request, "tenants/app_key_new.html", form)


def _reveal(request: WorkspaceRequest, key: AppKey, text: str, note: Any = "") -> HttpResponse:
    """The one answer that holds the key's text. It is the answer to a POST and never stored: a reload does not show it again."""
    limits = (key.allowed_providers, key.allowed_models, key.allowed_operations)
    example = hooks.example(request.tenant.pk, limits) if Scope.USE in key.scopes else None
    api = request.build_absolute_uri(f"{get_script_prefix()}api/v1/")
    context = {"key": key, "text": text, "note": note, "base_url": endpoint(request), "example": example, "api": api}
    context |= {"uses": Scope.USE in key.scopes, "reads": Scope.READ in key.scopes or Scope.MANAGE in key.scopes}
    response = render(request, "tenants/app_key_shown.html", context)
    response["Cache-Control"] = "no-store"
    return response


@page(Action.MANAGE_OWN_APP_KEYS)
def app_key_revoke(request: WorkspaceRequest, app_key_id: UUID) -> HttpResponse:
    key = get_object_or_404(AppKey, pk=app_key_id, revoked=None)
    if request.method != "POST":
        return render(request, "tenants/app_key_revoke.html", {"key": key})
    call = partial(services.revoke_app_key, tenant=request.tenant, app_key_id=app_key_id, actor=actor_of(request))
    act(request, call, _("“%(name)s” is revoked. Calls with it are refused from now on.") % {"name": key.name})
    return redirect("app-keys", workspace=request.tenant.slug)


@page(Action.MANAGE_OWN_APP_KEYS)
@recently_authenticated
@never_cache
def app_key_rotate(request: WorkspaceRequest, app_key_id: UUID) -> HttpResponse:
    key = get_object_or_404(AppKey, pk=app_key_id, revoked=None)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        call = partial(
            services.rotate_app_key, tenant=request.tenant, app_key_id=app_key_id, actor=actor_of(request), overlap=form.duration
        )
        made = attempt(form, call)
        if made:
            new_key, text = made
            return _reveal(request, new_key, text, note=form.duration_label)
    return page_form(request, "tenants/app_key_rotate.html", form, {"key": key})
