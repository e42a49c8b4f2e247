"""Pages of a workspace about people and access: members, app keys, audit log."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from tenants import services
from tenants.audit import actor_of
from tenants.forms import ROLE_LABELS, InviteForm, RoleForm, role_choices
from tenants.models import AppKey, Invitation, Membership
from tenants.pages import act, attempt, page_form
from tenants.permissions import RANK, ROLE_ACTIONS, Action, Role, Scope, can_change_role
from tenants.web import page
from tenants.wording import ACTION_LABELS


@page(Action.VIEW_MEMBERS)
def members(request: HttpRequest, workspace: str) -> HttpResponse:
    rows = sorted(Membership.objects.select_related("user"), key=lambda row: (-RANK[Role(row.role)], row.user.email))
    own = request.principal.role
    for row in rows:
        row.label = ROLE_LABELS[Role(row.role)]
        row.changeable = bool(own) and can_change_role(actor=own, current=Role(row.role), new=Role(row.role))
    context = {"members": rows, "roles": role_choices(own), "invitations": _open_invitations(), "matrix": _role_matrix()}
    return render(request, "tenants/members.html", {**context, "role_names": [label for _role, label in _roles_down()]})


def _open_invitations() -> list[Invitation]:
    rows = list(Invitation.objects.filter(accepted=None).order_by("-created"))
    for row in rows:
        row.label = ROLE_LABELS[Role(row.role)]
    return rows


def _roles_down() -> list[tuple[Role, Any]]:
    return [(role, ROLE_LABELS[role]) for role in sorted(RANK, key=lambda each: -RANK[each])]


def _role_matrix() -> list[tuple[Any, list[bool]]]:
    """The permission table itself, one row an action: what the page says is what the code decides."""
    return [(ACTION_LABELS[action], [action in ROLE_ACTIONS[role] for role, _label in _roles_down()]) for action in Action]


@page(Action.MANAGE_MEMBERS)
@never_cache
def member_invite(request: HttpRequest, workspace: str) -> HttpResponse:
    form = InviteForm(request.POST or None, role=request.principal.role, initial={"role": Role.EDITOR.value})
    if request.method == "POST" and form.is_valid():
        email, role = form.cleaned_data["email"], Role(form.cleaned_data["role"])
        made = attempt(form, lambda: services.invite(tenant=request.tenant, email=email, role=role, actor=actor_of(request)))
        if made:
            invitation, token = made
            return render(request, "tenants/member_invited.html", {"invitation": invitation, "link": _invitation_link(request, token)})
    return page_form(request, "tenants/member_invite.html", form)


def _invitation_link(request: HttpRequest, token: str) -> str:
    from django.urls import reverse

    return request.build_absolute_uri(reverse("invite", args=[token]))


@page(Action.MANAGE_MEMBERS)
@require_POST
def invitation_revoke(request: HttpRequest, workspace: str, invitation_id: UUID) -> HttpResponse:
    act(
        request,
        lambda: services.revoke_invitation(tenant=request.tenant, invitation_id=invitation_id, actor=actor_of(request)),
        _("Invitation withdrawn. Its link no longer works."),
    )
    return redirect("members", workspace=workspace)


@page(Action.MANAGE_MEMBERS)
@require_POST
def member_role(request: HttpRequest, workspace: str, membership_id: int) -> HttpResponse:
    get_object_or_404(Membership, pk=membership_id)
    form = RoleForm(request.POST)
    if form.is_valid():
        role = Role(form.cleaned_data["role"])
        call = lambda: services.change_role(tenant=request.tenant, membership_id=membership_id, role=role, actor=actor_of(request))  # noqa: E731
        act(request, call, _("Role changed."))
    else:
        messages.error(request, _("There is no such role. Nothing was changed."))
    return redirect("members", workspace=workspace)


@page(Action.MANAGE_MEMBERS)
def member_remove(request: HttpRequest, workspace: str, membership_id: int) -> HttpResponse:
    member = get_object_or_404(Membership.objects.select_related("user"), pk=membership_id)
    if request.method != "POST":
        keys = AppKey.objects.filter(created_by=member.user, revoked=None).count()
        return render(request, "tenants/member_remove.html", {"member": member, "key_count": keys})
    call = lambda: services.remove_member(tenant=request.tenant, membership_id=membership_id, actor=actor_of(request))  # noqa: E731
    act(request, call, _("%(who)s is no longer a member.") % {"who": member.user.email})
    return redirect("members" if member.user_id != request.user.pk else "home", **_unless_left(request, workspace, member))


def _unless_left(request: HttpRequest, workspace: str, member: Membership) -> dict[str, str]:
    return {} if member.user_id == request.user.pk else {"workspace": workspace}


@page(Action.VIEW_APP_KEYS)
def app_keys(request: HttpRequest, workspace: str) -> HttpResponse:
    rows = list(AppKey.objects.filter(revoked=None).select_related("created_by"))
    everybody = request.principal.can(Action.MANAGE_APP_KEYS)
    for row in rows:
        row.changeable = everybody or row.created_by_id == request.user.pk
        row.uses = [SCOPE_SHORT[Scope(scope)] for scope in row.scopes]
    return render(request, "tenants/app_keys.html", {"keys": rows, "base_url": _endpoint(request)})


def _endpoint(request: HttpRequest) -> str:
    return request.build_absolute_uri("/v1")
