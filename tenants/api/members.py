"""REST: members and invitations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import listed, listing, page
from core.api.schema import operation
from core.api.serializers import ChangeSerializer, PageQuery, StrictSerializer, Text
from core.errors import NotFound
from tenants import queries
from tenants.api.base import ApiView
from tenants.api.rates import RatesField, RatesIn
from tenants.api.workspace import creation_key
from tenants.auth.permissions import Action, Role
from tenants.models import User
from tenants.services import invitations, members
from tenants.services.mail import send_invitation, site_link

PEOPLE, KEYS = gettext_noop("Members"), gettext_noop("App keys")
ROLES = [role.value for role in Role]


class MemberOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name")
    role = serializers.ChoiceField(ROLES)
    rates = RatesField()
    joined = serializers.DateTimeField(source="created")
    last_active = serializers.DateTimeField(allow_null=True)
    invited_by = serializers.CharField(source="invited_by.email", default=None, allow_null=True)
    password_by_link = serializers.DateTimeField(
        source="user.password_by_link",
        allow_null=True,
        help_text=_("When the password was set through an invitation's link, until it is changed."),
    )


class MemberIn(ChangeSerializer):
    role = serializers.ChoiceField(ROLES, required=False)
    rates = RatesIn(required=False, help_text=_("Left out or null: no limit."))


class MembersView(ApiView):
    required_actions = {"GET": Action.VIEW_MEMBERS}

    @operation(
        "members_list",
        _("List the members"),
        tag=PEOPLE,
        description=_("Everyone with a role in the workspace, with their last activity."),
        query=PageQuery,
        answers={200: listed(MemberOut, "MemberList")},
    )
    def get(self, request: Request) -> Response:
        rows, following = page(
            list(queries.members(tenant=self.tenant)),
            key=lambda row: f"{row.pk:012d}",
            **self.paging,
        )
        return listing(MemberOut, rows, following)


class MemberView(ApiView):
    required_actions = {
        "GET": Action.VIEW_MEMBERS,
        "PATCH": Action.MANAGE_MEMBERS,
        "DELETE": Action.MANAGE_MEMBERS,
    }

    @operation(
        "members_get",
        _("Show a member"),
        tag=PEOPLE,
        description=_("The person's role, and when they joined and were last active."),
        answers={200: MemberOut},
    )
    def get(self, request: Request, pk: int) -> Response:
        row = queries.members(tenant=self.tenant).filter(pk=pk).first()
        if row is None:
            raise NotFound("no_such_member", _("This person is not a member of this workspace."))
        return Response(MemberOut(row).data)

    @operation(
        "members_set_role",
        _("Change a member's role or rate limits"),
        tag=PEOPLE,
        body=MemberIn,
        answers={200: MemberOut},
        description=_(
            "You can't assign or remove a role higher than your own; an app key counts as an admin "
            "at most. Changing the last owner's role is refused (409)."
        ),
    )
    def patch(self, request: Request, pk: int) -> Response:
        body = self.body(MemberIn)
        change: dict[str, Any] = {
            "tenant": self.tenant,
            "membership_id": pk,
            "actor": self.actor,
        }
        with transaction.atomic():
            if "role" in body:
                row = members.change_role(role=Role(body["role"]), **change)
            if "rates" in body:
                row = members.set_member_rates(rates=body["rates"], **change)
        return Response(MemberOut(row).data)

    @operation(
        "members_remove",
        _("Remove a member"),
        tag=PEOPLE,
        description=_("The person's app keys in this workspace stop working."),
    )
    def delete(self, request: Request, pk: int) -> Response:
        members.remove_member(tenant=self.tenant, membership_id=pk, actor=self.actor)
        return Response(status=204)


class InvitationOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="pk")
    email = serializers.EmailField()
    role = serializers.ChoiceField(ROLES)
    created = serializers.DateTimeField()
    expires = serializers.DateTimeField()


class NewInvitationOut(InvitationOut):
    url = serializers.URLField(
        allow_null=True,
        help_text=_(
            "The link for the invited person. It is shown only once, and only if this server sends "
            "no e-mail; otherwise it is sent to the person and `null` here."
        ),
    )


class InvitationIn(StrictSerializer):
    email = Text(max_length=254)
    role = serializers.ChoiceField(ROLES)


class InvitationsView(ApiView):
    required_actions = {"GET": Action.VIEW_MEMBERS, "POST": Action.MANAGE_MEMBERS}

    @operation(
        "invitations_list",
        _("List the open invitations"),
        tag=PEOPLE,
        description=_("Invitations that were neither accepted nor withdrawn and have not expired."),
        query=PageQuery,
        answers={200: listed(InvitationOut, "InvitationList")},
    )
    def get(self, request: Request) -> Response:
        rows, following = page(
            list(queries.open_invitations(tenant=self.tenant)), key=creation_key, **self.paging
        )
        return listing(InvitationOut, rows, following)

    @operation(
        "invitations_create",
        _("Invite a person"),
        tag=PEOPLE,
        body=InvitationIn,
        answers={201: NewInvitationOut},
        description=_(
            "The link is sent by e-mail if this server has a mail server. Inviting an address "
            "again replaces the earlier link. The address of a member is refused (409)."
        ),
    )
    def post(self, request: Request) -> Response:
        body = self.body(InvitationIn)
        by_email = bool(settings.EMAIL_URL)
        with transaction.atomic():  # nothing is saved if the e-mail fails
            row, token = invitations.invite(
                tenant=self.tenant,
                email=body["email"],
                role=Role(body["role"]),
                actor=self.actor,
                by_email=by_email,
            )
            if by_email:
                by = User.objects.filter(pk=self.actor.user_id or 0).first()
                send_invitation(row, link=site_link("invite", token), by=by)
        url = None if by_email else site_link("invite", token)
        return Response({**InvitationOut(row).data, "url": url}, status=201)


class InvitationView(ApiView):
    required_actions = {"DELETE": Action.MANAGE_MEMBERS}

    @operation(
        "invitations_revoke",
        _("Withdraw an invitation"),
        tag=PEOPLE,
        description=_("Its link stops working at once."),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        invitations.revoke_invitation(tenant=self.tenant, invitation_id=pk, actor=self.actor)
        return Response(status=204)
