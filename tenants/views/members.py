"""Pages of members and invitations."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from core.web.forms import act, attempt, page_form, paginate
from tenants import queries
from tenants.audit.trail import actor_of
from tenants.auth.decorators import page
from tenants.auth.permissions import (
    ACTION_LABELS,
    RANK,
    ROLE_ACTIONS,
    ROLE_LABELS,
    Action,
    Role,
    can_change_role,
)
from tenants.auth.request import WorkspaceRequest
from tenants.forms.members import InviteForm, MailInviteForm, RoleForm, role_choices
from tenants.forms.rates import RatesForm, initial_rates
from tenants.models import AppKey, Invitation, Membership, User
from tenants.services import invitations
from tenants.services import members as member_services
from tenants.services.mail import send_invitation

MEMBERS_PER_PAGE = 40  # fewer than in other lists, because each row contains a form
ROLES_BY_RANK = sorted(RANK, key=lambda role: -RANK[role])  # owner first


@page(Action.VIEW_MEMBERS)
def members(request: WorkspaceRequest) -> HttpResponse:
    rows = sorted(queries.members(tenant=request.tenant), key=lambda row: -RANK[Role(row.role)])
    own_role, owners = request.principal.role, [row.pk for row in rows if row.role == Role.OWNER]
    may_manage = request.principal.can(Action.MANAGE_MEMBERS)
    context = {
        "members": paginate(request, rows, MEMBERS_PER_PAGE),
        "last_owner": owners[0] if len(owners) == 1 else None,
        "changeable_roles": [
            role
            for role in Role
            if own_role and can_change_role(actor=own_role, current=role, new=role)
        ],
        "roles": role_choices(own_role),
        "role_names": [ROLE_LABELS[role] for role in ROLES_BY_RANK],
        "matrix": _role_matrix(),
        "invitations": queries.open_invitations(tenant=request.tenant) if may_manage else [],
    }
    return render(request, "tenants/members.html", context)


def _role_matrix() -> list[tuple[Any, list[bool]]]:
    """Return (action label, allowed by role) rows, built from the permission table itself."""
    return [
        (ACTION_LABELS[action], [action in ROLE_ACTIONS[role] for role in ROLES_BY_RANK])
        for action in Action
    ]


@page(Action.MANAGE_MEMBERS)
@never_cache
def member_invite(request: WorkspaceRequest) -> HttpResponse:
    form_class = MailInviteForm if settings.EMAIL_URL else InviteForm
    form = form_class(
        request.POST or None,
        role=request.principal.role,
        initial={"role": Role.EDITOR.value, "send": "1"},
    )
    if request.method == "POST" and form.is_valid():
        by_email = bool(form.cleaned_data.get("send"))
        invited = attempt(form, partial(_invite, request, form.cleaned_data, by_email=by_email))
        if invited and not by_email:
            return _show_link(request, *invited)
        if invited:
            text = _("An invitation was sent to %(email)s. No one else sees its link.")
            messages.success(request, text % {"email": invited[0].email})
            return redirect("members", workspace=request.tenant.slug)
    return page_form(
        request, "tenants/member_invite.html", form, {"by_email": bool(settings.EMAIL_URL)}
    )


def _invite(
    request: WorkspaceRequest, values: dict[str, str], *, by_email: bool
) -> tuple[Invitation, str]:
    """Create an invitation and send it if requested; nothing is saved if the e-mail fails."""
    with transaction.atomic():
        invitation, token = invitations.invite(
            tenant=request.tenant,
            email=values["email"],
            role=Role(values["role"]),
            actor=actor_of(request),
            by_email=by_email,
        )
        if by_email:
            send_invitation(invitation, link=_invitation_link(request, token), by=request.user)
    return invitation, token


def _show_link(request: WorkspaceRequest, invitation: Invitation, token: str) -> HttpResponse:
    has_account = User.objects.filter(email=invitation.email).exists()
    context = {
        "invitation": invitation,
        "link": _invitation_link(request, token),
        "has_account": has_account,
    }
    response = render(request, "tenants/member_invited.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _invitation_link(request: WorkspaceRequest, token: str) -> str:
    return request.build_absolute_uri(reverse("invite", args=[token]))


@page(Action.MANAGE_MEMBERS)
@require_POST
def invitation_revoke(request: WorkspaceRequest, invitation_id: UUID) -> HttpResponse:
    call = partial(
        invitations.revoke_invitation,
        tenant=request.tenant,
        invitation_id=invitation_id,
        actor=actor_of(request),
    )
    act(request, call, _("Invitation withdrawn. Its link no longer works."))
    return redirect("members", workspace=request.tenant.slug)


@page(Action.MANAGE_MEMBERS)
@require_POST
def member_role(request: WorkspaceRequest, membership_id: int) -> HttpResponse:
    get_object_or_404(Membership, pk=membership_id)
    form = RoleForm(request.POST)
    if form.is_valid():
        role = Role(form.cleaned_data["role"])
        call = partial(
            member_services.change_role,
            tenant=request.tenant,
            membership_id=membership_id,
            role=role,
            actor=actor_of(request),
        )
        act(request, call, _("Role changed."))
    else:
        messages.error(request, _("This role does not exist. Nothing was changed."))
    return redirect("members", workspace=request.tenant.slug)


@page(Action.MANAGE_MEMBERS)
@never_cache
def member_rates(request: WorkspaceRequest, membership_id: int) -> HttpResponse:
    member = get_object_or_404(Membership.objects.select_related("user"), pk=membership_id)
    form = RatesForm(request.POST or None, initial=initial_rates(member.rates))
    if request.method == "POST" and form.is_valid():
        call = partial(
            member_services.set_member_rates,
            tenant=request.tenant,
            membership_id=membership_id,
            rates=form.rates,
            actor=actor_of(request),
        )
        if attempt(form, call):
            text = _("Rate limits of %(who)s saved. The next call follows them.")
            messages.success(request, text % {"who": member.user.email})
            return redirect("members", workspace=request.tenant.slug)
    return page_form(request, "tenants/member_rates.html", form, {"member": member})


@page(Action.MANAGE_MEMBERS)
def member_remove(request: WorkspaceRequest, membership_id: int) -> HttpResponse:
    member = get_object_or_404(Membership.objects.select_related("user"), pk=membership_id)
    if request.method != "POST":
        if member.user_id == request.user.pk:
            return redirect("workspace-leave", workspace=request.tenant.slug)
        keys = AppKey.objects.filter(created_by=member.user, revoked=None).count()
        return render(request, "tenants/member_remove.html", {"member": member, "key_count": keys})
    call = partial(
        member_services.remove_member,
        tenant=request.tenant,
        membership_id=membership_id,
        actor=actor_of(request),
    )
    removed = act(request, call, _("%(who)s is no longer a member.") % {"who": member.user.email})
    if removed and member.user_id == request.user.pk:
        return redirect("workspace-list")
    return redirect("members", workspace=request.tenant.slug)
